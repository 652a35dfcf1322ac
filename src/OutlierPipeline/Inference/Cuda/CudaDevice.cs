using OutlierPipeline.Frames;

namespace OutlierPipeline.Inference.Cuda;

/// <summary>One GPU, with what of CUDA the frame path calls itself; ONNX Runtime does the rest.</summary>
internal sealed class CudaDevice : IDisposable
{
    private ScaleKernel? _scale;
    private NvJpeg? _jpeg;

    /// <param name="ordinal">Number of the GPU.</param>
    /// <param name="runtime">Handle of <c>libcudart</c>.</param>
    /// <exception cref="CudaException">The device does not answer.</exception>
    public CudaDevice(int ordinal, nint runtime)
    {
        Ordinal = ordinal;
        Runtime = new CudaRuntime(runtime);
        Runtime.SetDevice(ordinal);
    }

    public int Ordinal { get; }

    public CudaRuntime Runtime { get; }

    /// <summary>Whether it decodes JPEG.</summary>
    public bool DecodesJpeg => _jpeg is not null;

    /// <summary>Whether engines of the chip decode JPEG, rather than its multiprocessors.</summary>
    public bool HasJpegEngines => _jpeg is { HasEngines: true };

    /// <exception cref="CudaException">There is no CUDA runtime, or the device does not answer.</exception>
    public static CudaDevice Open(int ordinal)
    {
        nint runtime = NativeLibraries.Load(CudaRuntime.Names);
        if (runtime == 0) throw new CudaException($"the CUDA runtime is not on this machine ({CudaRuntime.Names[0]}): install the CUDA " +
            $"toolkit, or add its folder to LD_LIBRARY_PATH");
        return new CudaDevice(ordinal, runtime);
    }

    /// <summary>Opens what decodes JPEG; null, or why that is not possible.</summary>
    public string? OpenJpeg()
    {
        if (DecodesJpeg) return null;
        nint jpeg = NativeLibraries.Load(NvJpeg.Names);
        if (jpeg == 0) return $"{NvJpeg.Names[0]} is not on this machine";
        nint driver = NativeLibraries.Load(ScaleKernel.DriverNames);
        if (driver == 0) return $"{ScaleKernel.DriverNames[0]} is not on this machine";
        nint compiler = NativeLibraries.Load(ScaleKernel.CompilerNames);
        if (compiler == 0) return $"{ScaleKernel.CompilerNames[0]} is not on this machine";
        try
        {
            OpenJpeg(jpeg, driver, compiler);
            return null;
        }
        catch (CudaException e)
        {
            return e.Message;
        }
    }

    /// <summary>The same with these libraries.</summary>
    /// <exception cref="CudaException">One of them does not work on this device.</exception>
    public void OpenJpeg(nint jpeg, nint driver, nint compiler)
    {
        Runtime.SetDevice(Ordinal);
        _scale = new ScaleKernel(driver, compiler);
        _jpeg = new NvJpeg(jpeg);
    }

    /// <summary>A decoder of JPEG batches in a stream.</summary>
    public JpegBatch CreateJpegBatch(CudaStream stream, int capacity, FrameSize size) => new(_jpeg!, _scale!, stream, capacity, size);

    public void Dispose() => _jpeg?.Dispose();
}
