using System.Runtime.InteropServices;

namespace OutlierPipeline.Frames;

/// <summary>
/// A worker's memory for one decoded picture: grows to what is asked for, is used again, and shrinks when the pictures have been much
/// smaller for a while.
/// </summary>
internal sealed unsafe class PixelBuffer : IDisposable
{
    /// <summary>
    /// So many pictures in a row that need less than a quarter let go of the rest: a single huge one does not stay for ever.
    /// </summary>
    private const int Patience = 32;

    private byte* _memory;
    private nuint _size;
    private nuint _used;
    private nuint _largest;
    private int _length;
    private int _small;

    /// <summary>Bytes held.</summary>
    public long Size => (long)_size;

    /// <summary>What was rented last.</summary>
    public Span<byte> Current => new(_memory, _length);

    /// <exception cref="OverflowException">More than 2 GiB.</exception>
    public Span<byte> Rent(long bytes)
    {
        _length = checked((int)bytes);
        _used = Math.Max(_used, (nuint)_length);
        if ((nuint)_length > _size) Resize((nuint)_length);
        return new Span<byte>(_memory, _length);
    }

    /// <summary>A picture is done, whether it needed this memory or another's.</summary>
    public void EndPicture()
    {
        _small = _used < _size / 4 ? _small + 1 : 0;
        _largest = _small > 1 ? Math.Max(_largest, _used) : _used;
        _used = 0;
        if (_small < Patience) return;
        _length = 0;
        Resize(_largest);
    }

    public void Dispose() => Resize(0);

    private void Resize(nuint size)
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
        _size = 0;
        _small = 0;
        if (size == 0) return;
        _memory = (byte*)NativeMemory.AlignedAlloc(size, 64);
        _size = size;
    }
}
