using System.Runtime.InteropServices;

namespace OutlierPipeline.Inference.Cuda;

/// <summary>nvJPEG, of the CUDA toolkit: a handle for one device. The handle is for several threads, a state for one.</summary>
/// <remarks>NVIDIA, nvJPEG Library: single-phase batched decoding.</remarks>
internal sealed unsafe class NvJpeg : IDisposable
{
    private const int BackendGpuHybrid = 2;
    private const int BackendHardware = 3;
    private const int OutputInterleavedRgb = 5;
    private const uint StrictBitstream = 1 << 2;
    private readonly delegate* unmanaged<nint, int> _destroy;
    private readonly delegate* unmanaged<nint, nint*, int> _createState;
    private readonly delegate* unmanaged<nint, int> _destroyState;
    private readonly delegate* unmanaged<nint, nint, int, int, int, int> _initialize;
    private readonly delegate* unmanaged<nint, nint, byte**, nuint*, NvJpegImage*, nint, int> _decodeBatched;
    private nint _handle;

    /// <summary>Opens the decoding engines of the chip, or where it has none the CUDA kernels.</summary>
    /// <param name="library">Handle of <c>libnvjpeg</c>.</param>
    /// <exception cref="CudaException">It does not start on this device.</exception>
    public NvJpeg(nint library)
    {
        var create = (delegate* unmanaged<int, void*, void*, uint, nint*, int>)NativeLibraries.Export(library, "nvjpegCreateEx");
        _destroy = (delegate* unmanaged<nint, int>)NativeLibraries.Export(library, "nvjpegDestroy");
        _createState = (delegate* unmanaged<nint, nint*, int>)NativeLibraries.Export(library, "nvjpegJpegStateCreate");
        _destroyState = (delegate* unmanaged<nint, int>)NativeLibraries.Export(library, "nvjpegJpegStateDestroy");
        _initialize = (delegate* unmanaged<nint, nint, int, int, int, int>)NativeLibraries.Export(library, "nvjpegDecodeBatchedInitialize");
        _decodeBatched = (delegate* unmanaged<nint, nint, byte**, nuint*, NvJpegImage*, nint, int>)NativeLibraries.Export(library,
            "nvjpegDecodeBatched");
        nint handle;
        HasEngines = create(BackendHardware, null, null, StrictBitstream, &handle) == 0;
        if (!HasEngines) Check(create(BackendGpuHybrid, null, null, StrictBitstream, &handle), "nvjpegCreateEx");
        _handle = handle;
    }

    public static ReadOnlySpan<string> Names =>
        (string[])["libnvjpeg.so.13", "libnvjpeg.so.12", "libnvjpeg.so", "nvjpeg64_13.dll", "nvjpeg64_12.dll"];

    /// <summary>Whether engines of the chip decode, rather than its multiprocessors.</summary>
    public bool HasEngines { get; }

    public nint CreateState()
    {
        nint state;
        Check(_createState(_handle, &state), "nvjpegJpegStateCreate");
        return state;
    }

    public void DestroyState(nint state) => _ = _destroyState(state);

    /// <summary>Tells a state how many pictures come at once; also after a batch that failed.</summary>
    /// <param name="threads">Threads of the CPU that may help.</param>
    public void Initialize(nint state, int count, int threads) =>
        Check(_initialize(_handle, state, count, threads, OutputInterleavedRgb), "nvjpegDecodeBatchedInitialize");

    /// <summary>Queues the decoding of as many pictures as <see cref="Initialize"/> was told.</summary>
    /// <param name="data">Their JPEGs, in host memory that stays until the stream has done it.</param>
    /// <returns>Whether it took them; false if one of them is damaged or of a kind that it does not decode.</returns>
    /// <exception cref="CudaException">The device failed.</exception>
    public bool Decode(nint state, byte** data, nuint* lengths, NvJpegImage* targets, nint stream)
    {
        var status = (NvJpegStatus)_decodeBatched(_handle, state, data, lengths, targets, stream);
        if (status is NvJpegStatus.AllocatorFailure or NvJpegStatus.ExecutionFailed or NvJpegStatus.ArchMismatch)
            Check((int)status, "nvjpegDecodeBatched");
        return status == NvJpegStatus.Success;
    }

    public void Dispose()
    {
        if (_handle != 0) _ = _destroy(_handle);
        _handle = 0;
    }

    private static void Check(int status, string call)
    {
        if (status != 0) throw new CudaException($"{call}: {(NvJpegStatus)status} (nvJPEG status {status})");
    }

    private enum NvJpegStatus
    {
        Success = 0,
        NotInitialized = 1,
        InvalidParameter = 2,
        BadJpeg = 3,
        JpegNotSupported = 4,
        AllocatorFailure = 5,
        ExecutionFailed = 6,
        ArchMismatch = 7,
        InternalError = 8,
        ImplementationNotSupported = 9,
        IncompleteBitstream = 10,
    }
}

/// <summary><c>nvjpegImage_t</c>: where a picture goes. Interleaved ones use the first channel.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NvJpegImage
{
    public byte* Channel0;
    public byte* Channel1;
    public byte* Channel2;
    public byte* Channel3;
    public nuint Pitch0;
    public nuint Pitch1;
    public nuint Pitch2;
    public nuint Pitch3;
}
