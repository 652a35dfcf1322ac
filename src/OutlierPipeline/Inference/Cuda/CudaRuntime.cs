using System.Runtime.InteropServices;

namespace OutlierPipeline.Inference.Cuda;

/// <summary>The few functions of the CUDA runtime that the frame path calls. Loaded where a GPU is used, and nowhere else.</summary>
/// <remarks>NVIDIA, CUDA Runtime API: error handling, stream management, memory management.</remarks>
internal sealed unsafe class CudaRuntime
{
    private const uint NonBlocking = 1;
    private const uint HostAllocDefault = 0;
    private readonly delegate* unmanaged<int, byte*> _errorString;
    private readonly delegate* unmanaged<int, int> _setDevice;
    private readonly delegate* unmanaged<nint*, uint, int> _streamCreate;
    private readonly delegate* unmanaged<nint, int> _streamDestroy;
    private readonly delegate* unmanaged<nint, int> _streamSynchronize;
    private readonly delegate* unmanaged<void**, nuint, int> _allocate;
    private readonly delegate* unmanaged<void*, int> _free;
    private readonly delegate* unmanaged<void**, nuint, uint, int> _allocateHost;
    private readonly delegate* unmanaged<void*, int> _freeHost;
    private readonly delegate* unmanaged<void*, void*, nuint, int, nint, int> _copyAsync;

    /// <param name="library">Handle of <c>libcudart</c>.</param>
    public CudaRuntime(nint library)
    {
        _errorString = (delegate* unmanaged<int, byte*>)NativeLibraries.Export(library, "cudaGetErrorString");
        _setDevice = (delegate* unmanaged<int, int>)NativeLibraries.Export(library, "cudaSetDevice");
        _streamCreate = (delegate* unmanaged<nint*, uint, int>)NativeLibraries.Export(library, "cudaStreamCreateWithFlags");
        _streamDestroy = (delegate* unmanaged<nint, int>)NativeLibraries.Export(library, "cudaStreamDestroy");
        _streamSynchronize = (delegate* unmanaged<nint, int>)NativeLibraries.Export(library, "cudaStreamSynchronize");
        _allocate = (delegate* unmanaged<void**, nuint, int>)NativeLibraries.Export(library, "cudaMalloc");
        _free = (delegate* unmanaged<void*, int>)NativeLibraries.Export(library, "cudaFree");
        _allocateHost = (delegate* unmanaged<void**, nuint, uint, int>)NativeLibraries.Export(library, "cudaHostAlloc");
        _freeHost = (delegate* unmanaged<void*, int>)NativeLibraries.Export(library, "cudaFreeHost");
        _copyAsync = (delegate* unmanaged<void*, void*, nuint, int, nint, int>)NativeLibraries.Export(library, "cudaMemcpyAsync");
    }

    /// <summary>Names under which the library is looked for, the version that ONNX Runtime is built with first.</summary>
    public static ReadOnlySpan<string> Names =>
        (string[])["libcudart.so.13", "libcudart.so.12", "libcudart.so", "cudart64_13.dll", "cudart64_12.dll"];

    /// <summary>Makes a device, and its primary context, that of this thread.</summary>
    public void SetDevice(int device) => Check(_setDevice(device), "cudaSetDevice");

    /// <summary>A stream that does not wait for the default one.</summary>
    public nint CreateStream()
    {
        nint stream;
        Check(_streamCreate(&stream, NonBlocking), "cudaStreamCreateWithFlags");
        return stream;
    }

    public void DestroyStream(nint stream) => _ = _streamDestroy(stream);

    /// <summary>Blocks until all work of the stream is done; throws what failed of it.</summary>
    public void Synchronize(nint stream) => Check(_streamSynchronize(stream), "cudaStreamSynchronize");

    /// <summary>Device memory.</summary>
    public byte* Allocate(long bytes)
    {
        void* memory;
        Check(_allocate(&memory, (nuint)bytes), $"cudaMalloc of {bytes} bytes");
        return (byte*)memory;
    }

    public void Free(void* memory) => _ = _free(memory);

    /// <summary>Page-locked host memory, which the copy engines reach without the CPU's help.</summary>
    public byte* AllocateHost(long bytes)
    {
        void* memory;
        Check(_allocateHost(&memory, (nuint)bytes, HostAllocDefault), $"cudaHostAlloc of {bytes} bytes");
        return (byte*)memory;
    }

    public void FreeHost(void* memory) => _ = _freeHost(memory);

    /// <summary>Queues a copy in a stream.</summary>
    public void Copy(void* target, void* source, long bytes, CopyKind kind, nint stream) =>
        Check(_copyAsync(target, source, (nuint)bytes, (int)kind, stream), "cudaMemcpyAsync");

    private void Check(int code, string call)
    {
        if (code != 0) throw new CudaException($"{call}: {Marshal.PtrToStringUTF8((nint)_errorString(code))} (CUDA error {code})");
    }
}

/// <summary>Values of <c>cudaMemcpyKind</c>.</summary>
internal enum CopyKind
{
    HostToDevice = 1,
    DeviceToHost = 2,
}
