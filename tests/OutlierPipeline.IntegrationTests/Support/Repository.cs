namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Where things lie in the repository, and beside it.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string StreetDemo => Path.Combine(Root, "models", "street-demo");

    public static string CamVidDay => Path.Combine(Root, "models", "camvid-day");

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
        bool found = Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Any(directory => File.Exists(Path.Combine(directory, command)));
        Assert.SkipUnless(found, $"{command} is not on this machine");
    }

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "OutlierPipeline.sln"))) directory = directory.Parent ?? throw new InvalidOperationException("the tests run outside the repository");
        return directory.FullName;
    }
}
