using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Deploy;

/// <summary>What the build of a clone leaves.</summary>
public sealed class BuildTests
{
    private const long MaxBytes = 1_800_000_000;

    [Fact]
    public void A_built_clone_takes_less_than_1_8_GB_and_holds_the_libraries_of_this_platform_alone()
    {
        string[] built = [.. new[] { "src", "tests" }.SelectMany(part => Directory.GetDirectories(Path.Combine(Repository.Root, part))).Select(project => Path.Combine(project, "bin", Tool.Configuration, "net10.0")).Where(Directory.Exists)];
        Assert.True(built.Length >= 6, "this is no build of the whole solution");
        var files = built.SelectMany(directory => new DirectoryInfo(directory).EnumerateFiles("*", SearchOption.AllDirectories)).Where(file => file.LinkTarget is null).ToArray();
        Assert.InRange(files.Sum(file => file.Length), 0, MaxBytes);
        Assert.DoesNotContain(built, directory => Directory.Exists(Path.Combine(directory, "runtimes")));
        if (!OperatingSystem.IsWindows()) Assert.DoesNotContain(files, file => file.Name is "onnxruntime.dll" or "torch_cpu.dll" or "libSkiaSharp.dll");
    }
}
