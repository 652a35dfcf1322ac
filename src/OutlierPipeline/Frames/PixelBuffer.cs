using System.Runtime.InteropServices;

namespace OutlierPipeline.Frames;

/// <summary>A worker's memory for one decoded picture: grows to the largest seen and is used again.</summary>
internal sealed unsafe class PixelBuffer : IDisposable
{
    private byte* _memory;
    private nuint _size;

    /// <exception cref="OverflowException">More than 2 GiB.</exception>
    public Span<byte> Rent(long bytes)
    {
        int length = checked((int)bytes);
        if ((nuint)length > _size)
        {
            NativeMemory.AlignedFree(_memory);
            _memory = null;
            _size = 0;
            _memory = (byte*)NativeMemory.AlignedAlloc((nuint)length, 64);
            _size = (nuint)length;
        }
        return new Span<byte>(_memory, length);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
        _size = 0;
    }
}
