namespace OutlierPipeline.Tests.Support;

/// <summary>Where things lie in the repository, and beside it.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string StreetDemo => Model("street-demo");

    public static string CamVidDay => Model("camvid-day");

    /// <summary>A package that is shipped.</summary>
    public static string Model(string name) => Path.Combine(Root, "models", name);

    /// <summary>A folder of real footage; the test that asks is skipped where there is none.</summary>
    public static string Footage(string name)
    {
        string path = Path.Combine(Root, "..", "shared", "data", name);
        Assert.SkipUnless(Directory.Exists(path), $"no real footage here ({Path.Combine("..", "shared", "data", name)})");
        return path;
    }

    /// <summary>Skips the test where a command is not on the machine.</summary>
    public static void Needs(string command)
    {
        Assert.SkipUnless(Has(command), $"{command} is not on this machine");
    }

    /// <summary>Whether a command is on the machine.</summary>
    public static bool Has(string command) => Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Any(directory =>
        File.Exists(Path.Combine(directory, command)));

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "OutlierPipeline.sln")))
            directory = directory.Parent ?? throw new InvalidOperationException("the tests run outside the repository");
        return directory.FullName;
    }
}
