using System.Text.RegularExpressions;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Deploy;

/// <summary>What is published, and whether it runs elsewhere.</summary>
[Collection(DebianRoot.Name)]
public sealed partial class PublishTests(DebianRoot debian, SourceCopy sources)
{
    /// <summary>Of libc6, libgcc-s1, libstdc++6 and zlib1g, which a Debian 12 and an Ubuntu 24.04 have from the beginning.</summary>
    private static readonly string[] Base =
    [
        "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux-x86-64.so.2", "libgcc_s.so.1", "libstdc++.so.6",
        "libz.so.1",
    ];

    [Theory]
    [InlineData("linux-x64", "Cpu")]
    [InlineData("linux-arm64", "Cpu")]
    [InlineData("osx-arm64", "Cpu")]
    [InlineData("win-x64", "Cpu")]
    [InlineData("linux-x64", "Cuda")]
    public async Task A_locked_restore_works_for_every_supported_runtime_identifier(string runtime, string accelerator)
    {
        var restored = await sources.DotnetAsync("restore", "OutlierPipeline.sln", "--locked-mode", "-r", runtime,
            $"-p:Accelerator={accelerator}");
        Assert.True(restored.Code == 0, restored.Output);
    }

    [Fact]
    public async Task A_runtime_identifier_that_is_not_supported_is_refused()
    {
        var refused = await sources.DotnetAsync("publish", "src/OutlierPipeline.Cli", "-r", "linux-musl-x64", "-o", At("musl"));
        Assert.Equal(1, refused.Code);
        Assert.Contains("linux-musl-x64 is not supported: expected one of linux-x64", refused.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_published_with_its_runtime_changes_no_lock_file_and_its_demo_runs_in_a_bare_Debian_12()
    {
        var before = sources.LockFiles();
        Assert.Equal(18, before.Count);
        var published = await sources.DotnetAsync("publish", "src/OutlierPipeline.Service", "-c", "Release", "-r", "linux-x64",
            "--self-contained", "-o", At("service"));
        Assert.True(published.Code == 0, published.Output);
        Assert.Equal(before.Keys.Order(), sources.LockFiles().Keys.Order());
        foreach (var (name, content) in sources.LockFiles()) Assert.True(before[name] == content, $"{name} was written again: {content}");
        NeedsNothingNew(At("service"));
        string app = Path.Combine(debian.Directory, "app");
        Assert.Equal(0, (await Tool.RunAsync("cp", ["-r", At("service"), app])).Code);
        var demo = await debian.RunAsync("/app/OutlierPipeline.Service", "demo", "--duration", "00:00:15");
        // The root is shared: the image's base is made of it too.
        Directory.Delete(app, recursive: true);
        Assert.True(demo.Code == 0, demo.Output + demo.Error);
        // Debian has no libsasl2.so.3: without the other librdkafka there would be no broker.
        Assert.Contains(" opened ", demo.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_build_for_CUDA_has_its_libraries_and_says_what_a_machine_without_a_GPU_lacks()
    {
        var published = await sources.DotnetAsync("publish", "src/OutlierPipeline.Cli", "-c", "Release", "-p:Accelerator=Cuda", "-r",
            "linux-x64", "--no-self-contained", "-o", At("cuda"));
        Assert.True(published.Code == 0, published.Output);
        string[] files = [.. Directory.EnumerateFiles(At("cuda")).Select(Path.GetFileName).OfType<string>()];
        foreach (string name in new[] { "libonnxruntime.so", "libonnxruntime_providers_cuda.so", "libonnxruntime_providers_tensorrt.so",
            "libonnxruntime_providers_shared.so" }) Assert.Contains(name, files);
        Assert.DoesNotContain(files, file => file.StartsWith("onnxruntime", StringComparison.Ordinal));
        Assert.SkipWhen(Repository.Has("nvidia-smi"), "this machine has a GPU");
        var bench = await Tool.RunAsync("dotnet", ["exec", Path.Combine(At("cuda"), "outlier.dll"), "bench", "--model",
            Repository.StreetDemo, "--accelerator", "cuda", "--seconds", "0.1", "--batch", "1"]);
        Assert.Equal(1, bench.Code);
        Assert.Single(bench.Error.TrimEnd().Split('\n'));
        Assert.Matches(
            @"Inference:Accelerator is Cuda, but it does not start: lib\S+\.so\S* is not on this machine; install CUDA 13 and cuDNN 9",
            bench.Error);
        Assert.DoesNotContain("onnxruntime_src", bench.Error, StringComparison.Ordinal);
    }

    /// <summary>No library that Ubuntu 24.04 lacks, and no symbol that is newer than Debian 12's glibc and libstdc++.</summary>
    private static void NeedsNothingNew(string directory)
    {
        Repository.Needs("readelf");
        var faults = new List<string>();
        foreach (string file in Directory.EnumerateFiles(directory, "*.so").Append(Path.Combine(directory, "OutlierPipeline.Service")))
        {
            string name = Path.GetFileName(file);
            // Of librdkafka the first is taken that loads; that for tracing is asked for by who traces.
            if (name is "librdkafka.so" or "alpine-librdkafka.so" or "libcoreclrtraceptprovider.so") continue;
            string dynamic = Tool.RunAsync("readelf", ["-dVW", file]).GetAwaiter().GetResult().Output;
            faults.AddRange(NeededLibrary().Matches(dynamic).Select(match => match.Groups["name"].Value).Where(needed =>
                !Base.Contains(needed) && !File.Exists(Path.Combine(directory, needed))).Select(needed => $"{name} needs {needed}"));
            foreach (Match version in SymbolVersion().Matches(dynamic))
            {
                var newest = version.Groups["of"].Value == "GLIBC" ? new Version(2, 36) : new Version(3, 4, 30);
                if (Version.Parse(version.Groups["number"].Value) > newest) faults.Add($"{name} needs {version.Value}");
            }
        }
        Assert.True(File.Exists(Path.Combine(directory, "centos8-librdkafka.so")), "the librdkafka that needs no libsasl2 is missing");
        Assert.Empty(faults);
    }

    private string At(string name) => Path.Combine(sources.Directory, "out", name);

    [GeneratedRegex(@"\(NEEDED\).*\[(?<name>\S+)\]")]
    private static partial Regex NeededLibrary();

    [GeneratedRegex(@"Name: (?<of>GLIBC|GLIBCXX)_(?<number>\d+\.\d+(\.\d+)?)\b")]
    private static partial Regex SymbolVersion();
}
