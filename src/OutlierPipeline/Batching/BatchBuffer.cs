using System.Runtime.InteropServices;

namespace OutlierPipeline.Batching;

/// <summary>A part of a batch's memory, which the session reads and writes where it lies.</summary>
internal abstract unsafe class BatchBuffer : IDisposable
{
    /// <summary>Where decoders write and detectors read.</summary>
    public abstract byte* Host { get; }

    /// <summary>Where the session reads and writes.</summary>
    public abstract byte* Device { get; }

    /// <summary>Queues a copy to the device; nothing to do where there is but one memory.</summary>
    public virtual void Upload(long offset, long bytes)
    {
    }

    /// <summary>Queues a copy from the device; nothing to do where there is but one memory.</summary>
    public virtual void Download(long offset, long bytes)
    {
    }

    public abstract void Dispose();
}

/// <summary>Memory of the machine, zeroed.</summary>
internal sealed unsafe class HostBuffer : BatchBuffer
{
    private const int Alignment = 64;
    private byte* _memory;

    public HostBuffer(long bytes)
    {
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        NativeMemory.Clear(_memory, (nuint)bytes);
    }

    public override byte* Host => _memory;

    public override byte* Device => _memory;

    public override void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
