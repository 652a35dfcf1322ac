using System.Diagnostics;
using System.Runtime.InteropServices;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Inference.Cuda;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Gpu;

/// <summary>
/// <c>emulated-cuda.cpp</c>, compiled once for a run of the tests: what surrounds computing on a GPU can be tested without one. What it
/// cannot show is what the real libraries do.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed unsafe class EmulatedCuda : ICollectionFixture<EmulatedCuda>, IDisposable
{
    /// <summary>Its tests run beside no others: they look at what the process allocates and counts.</summary>
    public const string Name = "emulated CUDA";

    private readonly string _directory = Directory.CreateTempSubdirectory("emulated-cuda").FullName;
    private readonly string? _fault;
    private readonly nint _library;

    public EmulatedCuda()
    {
        if (!OperatingSystem.IsLinux()) _fault = "the emulated CUDA is built on Linux only";
        else if (!Support.Repository.Has("g++")) _fault = "g++ is not on this machine, which the emulated CUDA is built with";
        if (_fault is not null) return;
        string file = Path.Combine(_directory, "emulated-cuda.so");
        string[] arguments = ["-O2", "-shared", "-fPIC", "-o", file,
            Path.Combine(Support.Repository.Root, "tests/OutlierPipeline.Tests/Gpu/emulated-cuda.cpp"), "-I",
            Path.Combine(Support.Repository.Root, "src/OutlierPipeline/Inference/Cuda"), "-ldl"];
        using var compiler = Process.Start(new ProcessStartInfo("g++", arguments) { RedirectStandardError = true })!;
        string errors = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        if (compiler.ExitCode != 0) throw new InvalidOperationException($"emulated-cuda.cpp does not compile: {errors}");
        _library = NativeLibrary.Load(file);
    }

    /// <summary>Allocations of device, page-locked memory, streams and handles that were not given back.</summary>
    public long Allocated => ((delegate* unmanaged<long>)NativeLibrary.GetExport(_library, "emulated_allocated"))();

    /// <summary>Calls of <c>nvjpegDecodeBatched</c>.</summary>
    public long JpegBatches => ((delegate* unmanaged<long>)NativeLibrary.GetExport(_library, "emulated_batches"))();

    /// <summary>What every stream's synchronization returns from now on.</summary>
    public void Fail(int code) => ((delegate* unmanaged<int, void>)NativeLibrary.GetExport(_library, "emulated_fail"))(code);

    /// <summary>Whether the chip has engines that decode.</summary>
    public void SetEngines(bool present) =>
        ((delegate* unmanaged<int, void>)NativeLibrary.GetExport(_library, "emulated_engines"))(present ? 1 : 0);

    /// <summary>An engine that computes on CPU, and for the rest goes the way of a GPU.</summary>
    internal InferenceEngine Engine(ModelPackage package, out CudaDevice device)
    {
        Assert.SkipWhen(_fault is not null, _fault ?? "");
        Assert.SkipUnless(TurboJpeg.IsAvailable, "libjpeg-turbo is not on this machine (Debian: libturbojpeg0)");
        device = new CudaDevice(0, _library);
        device.OpenJpeg(_library, _library, _library);
        var options = new InferenceOptions();
        return new InferenceEngine(package, options, new SessionFactory(options, device),
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
