using System.Runtime.InteropServices;
using OutlierPipeline.Batching;

namespace OutlierPipeline.Inference.Cuda;

/// <summary>Page-locked memory, zeroed, and its counterpart on a GPU, which copies in the batch's stream keep equal.</summary>
internal sealed unsafe class DeviceBuffer : BatchBuffer
{
    private readonly CudaStream _stream;
    private byte* _host;
    private byte* _device;

    /// <param name="stream">Outlives the buffer.</param>
    public DeviceBuffer(long bytes, CudaStream stream)
    {
        _stream = stream;
        _host = stream.Runtime.AllocateHost(bytes);
        _device = stream.Runtime.Allocate(bytes);
        NativeMemory.Clear(_host, (nuint)bytes);
        Upload(0, bytes);
    }

    public override byte* Host => _host;

    public override byte* Device => _device;

    public override void Upload(long offset, long bytes) =>
        _stream.Runtime.Copy(_device + offset, _host + offset, bytes, CopyKind.HostToDevice, _stream.Handle);

    public override void Download(long offset, long bytes) =>
        _stream.Runtime.Copy(_host + offset, _device + offset, bytes, CopyKind.DeviceToHost, _stream.Handle);

    public override void Dispose()
    {
        if (_host == null) return;
        _stream.Runtime.Free(_device);
        _stream.Runtime.FreeHost(_host);
        _host = _device = null;
    }
}
