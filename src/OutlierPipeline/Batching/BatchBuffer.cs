using System.Runtime.InteropServices;
using OutlierPipeline.Inference.Cuda;

namespace OutlierPipeline.Batching;

/// <summary>
/// A part of a batch's memory. On CPU the session reads and writes it where it lies; on a GPU it is page-locked, and has a counterpart on
/// the device that copies in the
/// batch's stream keep equal.
/// </summary>
internal sealed unsafe class BatchBuffer : IDisposable
{
    private const int Alignment = 64;
    private readonly CudaStream? _stream;

    /// <param name="stream">Of the GPU that computes, or null.</param>
    public BatchBuffer(long bytes, CudaStream? stream)
    {
        _stream = stream;
        if (stream is null)
        {
            Host = Device = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        }
        else
        {
            Host = stream.Runtime.AllocateHost(bytes);
            Device = stream.Runtime.Allocate(bytes);
        }
        NativeMemory.Clear(Host, (nuint)bytes);
        Upload(0, bytes);
    }

    public byte* Host { get; private set; }

    /// <summary>Where the session reads and writes.</summary>
    public byte* Device { get; private set; }

    /// <summary>Queues a copy to the device.</summary>
    public void Upload(long offset, long bytes) =>
        _stream?.Runtime.Copy(Device + offset, Host + offset, bytes, CopyKind.HostToDevice, _stream.Handle);

    /// <summary>Queues a copy from the device.</summary>
    public void Download(long offset, long bytes) =>
        _stream?.Runtime.Copy(Host + offset, Device + offset, bytes, CopyKind.DeviceToHost, _stream.Handle);

    public void Dispose()
    {
        if (_stream is null)
        {
            NativeMemory.AlignedFree(Host);
        }
        else if (Host != null)
        {
            _stream.Runtime.Free(Device);
            _stream.Runtime.FreeHost(Host);
        }
        Host = Device = null;
    }
}
