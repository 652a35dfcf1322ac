using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Deploy;

/// <summary>What the build of a clone leaves.</summary>
public sealed class BuildTests
{
    private const long MaxBytes = 1_800_000_000;

    /// <summary>Where -r puts what it makes, below what is built without.</summary>
    private static readonly string[] Published = ["linux-x64", "linux-arm64", "osx-arm64", "win-x64"];

    [Fact]
    public void A_built_clone_takes_less_than_1_8_GB_and_holds_the_libraries_of_this_platform_alone()
    {
        DirectoryInfo[] built =
        [
            .. new[] { "src", "tests" }.SelectMany(part => Directory.GetDirectories(Path.Combine(Repository.Root, part)))
                .Select(project => new DirectoryInfo(Path.Combine(project, "bin", Tool.Configuration, "net10.0"))).Where(directory =>
                directory.Exists),
        ];
        Assert.True(built.Length >= 6, "this is no build of the whole solution");
        FileInfo[] files = [.. built.SelectMany(Files).Where(file => file.LinkTarget is null)];
        Assert.InRange(files.Sum(file => file.Length), 0, MaxBytes);
        Assert.DoesNotContain(built, directory => Directory.Exists(Path.Combine(directory.FullName, "runtimes")));
        if (OperatingSystem.IsWindows()) return;
        Assert.DoesNotContain(files, file => file.Name is "onnxruntime.dll" or "torch_cpu.dll" or "libSkiaSharp.dll");
    }

    private static IEnumerable<FileInfo> Files(DirectoryInfo directory) => directory.EnumerateFiles().Concat(
        directory.EnumerateDirectories().Where(below => !Published.Contains(below.Name)).SelectMany(below =>
        below.EnumerateFiles("*", SearchOption.AllDirectories)));
}
