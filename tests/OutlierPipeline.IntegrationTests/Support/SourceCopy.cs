namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The sources once more, as a clone has them: what is built of them disturbs nobody.</summary>
public sealed class SourceCopy : IDisposable
{
    private static readonly string[] Built = ["bin", "obj"];
    private readonly DirectoryInfo _directory = System.IO.Directory.CreateTempSubdirectory("outlier-clone-");

    public SourceCopy()
    {
        Copy("", file => true, recursive: false);
        Copy("src", file => true);
        Copy("models/street-demo", file => true);
        Copy("tests", file => file.EndsWith(".csproj", StringComparison.Ordinal) || file.EndsWith(".lock.json", StringComparison.Ordinal)
            || file.EndsWith(".targets", StringComparison.Ordinal));
    }

    public string Directory => _directory.FullName;

    /// <summary>The lock files by their names, with what they hold.</summary>
    public Dictionary<string, string> LockFiles() =>
        System.IO.Directory.EnumerateFiles(Directory, "packages*.lock.json", SearchOption.AllDirectories).ToDictionary(file =>
        Path.GetRelativePath(Directory, file), File.ReadAllText);

    /// <summary>Runs the .NET SDK in it, with nothing left running.</summary>
    public Task<(int Code, string Output, string Error)> DotnetAsync(params string[] arguments) =>
        Tool.RunAsync("dotnet", [.. arguments, "--disable-build-servers"], directory: Directory, limit: TimeSpan.FromMinutes(8));

    public void Dispose() => _directory.Delete(recursive: true);

    private void Copy(string from, Func<string, bool> wanted, bool recursive = true)
    {
        var options = new EnumerationOptions { RecurseSubdirectories = recursive, AttributesToSkip = FileAttributes.None };
        foreach (string file in System.IO.Directory.EnumerateFiles(Path.Combine(Repository.Root, from), "*", options))
        {
            string name = Path.GetRelativePath(Repository.Root, file);
            if (!wanted(file) || name.Split(Path.DirectorySeparatorChar).Intersect(Built).Any()) continue;
            string copy = Path.Combine(Directory, name);
            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }
}
