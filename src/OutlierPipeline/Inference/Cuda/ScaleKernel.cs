using System.Runtime.InteropServices;
using System.Text;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Inference.Cuda;

/// <summary>One picture for <c>scale.cu</c>, in its layout.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ScaledPicture
{
    /// <summary><c>[Height, Width, 3]</c> uint8, RGB, on the device.</summary>
    public byte* Pixels;

    /// <summary><c>[H, W, 3]</c> of the model, on the device.</summary>
    public byte* Target;

    public int Width;
    public int Height;
    public int Square;
    public int CropX;
    public int CropY;
    public int CropWidth;
    public int CropHeight;

    /// <summary>What <see cref="FrameDecoder"/> does to a picture of this size.</summary>
    public static ScaledPicture Of(int width, int height, FrameSize target)
    {
        int eighths = DecodeScale.Eighths(width, height, target);
        var crop = AreaScaler.Crop((width * eighths + 7) / 8, (height * eighths + 7) / 8, target);
        return new ScaledPicture
        {
            Width = width,
            Height = height,
            Square = 8 / eighths,
            CropX = crop.X,
            CropY = crop.Y,
            CropWidth = crop.Width,
            CropHeight = crop.Height
        };
    }
}

/// <summary>The kernel of <c>scale.cu</c>, compiled by NVRTC for the device that is there.</summary>
/// <remarks>NVIDIA, NVRTC and CUDA Driver API: program compilation, module management, execution control.</remarks>
internal sealed unsafe class ScaleKernel
{
    private const int BlockWidth = 32;
    private const int BlockHeight = 8;

    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> _launch;
    private readonly delegate* unmanaged<int, byte**, int> _errorString;
    private readonly nint _function;

    /// <summary>Compiles and loads for the calling thread's device.</summary>
    /// <param name="driver">Handle of <c>libcuda</c>.</param>
    /// <param name="compiler">Handle of <c>libnvrtc</c>.</param>
    /// <exception cref="CudaException">It does not compile or load.</exception>
    public ScaleKernel(nint driver, nint compiler)
    {
        _launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**,
            int>)NativeLibraries.Export(driver, "cuLaunchKernel");
        _errorString = (delegate* unmanaged<int, byte**, int>)NativeLibraries.Export(driver, "cuGetErrorString");
        var load = (delegate* unmanaged<nint*, byte*, int>)NativeLibraries.Export(driver, "cuModuleLoadData");
        var find = (delegate* unmanaged<nint*, nint, byte*, int>)NativeLibraries.Export(driver, "cuModuleGetFunction");
        nint module;
        nint function;
        fixed (byte* code = Compile(compiler)) Check(load(&module, code), "cuModuleLoadData");
        fixed (byte* name = "scale\0"u8) Check(find(&function, module, name), "cuModuleGetFunction");
        _function = function;
    }

    public static ReadOnlySpan<string> DriverNames => (string[])["libcuda.so.1", "nvcuda.dll"];

    public static ReadOnlySpan<string> CompilerNames =>
        (string[])["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", "nvrtc64_130_0.dll", "nvrtc64_120_0.dll"];

    /// <summary>Queues the scaling of some pictures.</summary>
    /// <param name="pictures">Of them, on the device.</param>
    public void Launch(ScaledPicture* pictures, int count, FrameSize target, nint stream)
    {
        int width = target.Width;
        int height = target.Height;
        void** parameters = stackalloc void*[] { &pictures, &width, &height };
        Check(_launch(_function, Blocks(width, BlockWidth), Blocks(height, BlockHeight), (uint)count, BlockWidth, BlockHeight, 1, 0,
            stream, parameters, null), "cuLaunchKernel");
    }

    private static uint Blocks(int pixels, int block) => (uint)((pixels + block - 1) / block);

    /// <summary>The source in this assembly as PTX, which the driver translates for its device; ends with a zero byte.</summary>
    private static byte[] Compile(nint compiler)
    {
        var create = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)NativeLibraries.Export(compiler,
            "nvrtcCreateProgram");
        var compile = (delegate* unmanaged<nint, int, byte**, int>)NativeLibraries.Export(compiler, "nvrtcCompileProgram");
        var destroy = (delegate* unmanaged<nint*, int>)NativeLibraries.Export(compiler, "nvrtcDestroyProgram");
        nint program;
        fixed (byte* source = Source(), name = "scale.cu\0"u8, architecture = "--gpu-architecture=compute_75\0"u8)
        {
            int code = create(&program, source, name, 0, null, null);
            if (code != 0) throw new CudaException($"nvrtcCreateProgram: error {code}");
            try
            {
                code = compile(program, 1, &architecture);
                if (code != 0)
                {
                    string log = Encoding.UTF8.GetString(Text(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog"));
                    throw new CudaException(
                        $"scale.cu does not compile (nvrtc error {code}): {log.TrimEnd('\0', '\n').ReplaceLineEndings(" ")}");
                }
                return Text(program, "nvrtcGetPTXSize", "nvrtcGetPTX");
            }
            finally
            {
                _ = destroy(&program);
            }
        }

        byte[] Text(nint of, string sizeOf, string copy)
        {
            nuint size;
            _ = ((delegate* unmanaged<nint, nuint*, int>)NativeLibraries.Export(compiler, sizeOf))(of, &size);
            byte[] text = new byte[(int)size];
            fixed (byte* target = text) _ = ((delegate* unmanaged<nint, byte*, int>)NativeLibraries.Export(compiler, copy))(of, target);
            return text;
        }
    }

    private static byte[] Source()
    {
        using var resource = typeof(ScaleKernel).Assembly.GetManifestResourceStream("scale.cu")!;
        byte[] source = new byte[resource.Length + 1];
        resource.ReadExactly(source.AsSpan(0, (int)resource.Length));
        return source;
    }

    private void Check(int code, string call)
    {
        if (code == 0) return;
        byte* text = null;
        _ = _errorString(code, &text);
        throw new CudaException($"{call}: {Marshal.PtrToStringUTF8((nint)text)} (CUDA error {code})");
    }
}
