using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>
/// Walks through a JPEG's marker segments, from the first one after its start to its end, over padding and over the entropy-coded data of
/// scans.
/// </summary>
/// <remarks>ITU-T T.81, annex B. Bytes between segments that belong to none are passed over, as libjpeg does.</remarks>
internal ref struct JpegSegments(ReadOnlySpan<byte> jpeg)
{
    public const byte StartOfImage = 0xd8;
    public const byte EndOfImage = 0xd9;
    public const byte StartOfScan = 0xda;
    public const byte RestartInterval = 0xdd;
    public const byte HuffmanTables = 0xc4;
    private readonly ReadOnlySpan<byte> _jpeg = jpeg;
    private int _position = 2;

    /// <summary>Second byte of the segment's marker.</summary>
    public byte Marker { get; private set; }

    /// <summary>What stands in the segment, after its length.</summary>
    public ReadOnlySpan<byte> Content { get; private set; }

    /// <summary>Entropy-coded data behind a <see cref="StartOfScan"/>, restart markers included; else empty.</summary>
    public ReadOnlySpan<byte> ScanData { get; private set; }

    /// <summary>Where <see cref="ScanData"/> begins in the file.</summary>
    public int ScanBegin { get; private set; }

    /// <summary>Bytes before the segment that belong to none.</summary>
    public int Padding { get; private set; }

    /// <summary>Why there is no further segment; <see cref="FrameError.None"/> after <see cref="EndOfImage"/>.</summary>
    public FrameError Error { get; private set; }

    /// <summary>Whether the marker begins a frame: C0 to CF but for the tables DHT, JPG and DAC.</summary>
    public readonly bool IsFrame => Marker is >= 0xc0 and <= 0xcf and not (0xc4 or 0xc8 or 0xcc);

    public bool MoveNext()
    {
        if (Marker == EndOfImage) return false;
        ScanData = default;
        Content = default;
        Padding = 0;
        if (!FindMarker()) return Fail(FrameError.Truncated);
        if (Marker == EndOfImage) return true;
        // A second start within a picture: two files in one, or damage.
        if (Marker == StartOfImage) return Fail(FrameError.Corrupt);
        // TEM and restart markers stand alone.
        if (Marker is 0x01 or (>= 0xd0 and <= 0xd7)) return true;
        if (_position + 2 > _jpeg.Length) return Fail(FrameError.Truncated);
        int length = BinaryPrimitives.ReadUInt16BigEndian(_jpeg[_position..]);
        if (length < 2) return Fail(FrameError.Corrupt);
        if (_position + length > _jpeg.Length) return Fail(FrameError.Truncated);
        Content = _jpeg.Slice(_position + 2, length - 2);
        _position += length;
        if (Marker != StartOfScan) return true;
        int begin = _position;
        _position = EndOfScan(begin);
        ScanData = _jpeg[begin.._position];
        ScanBegin = begin;
        return true;
    }

    /// <summary>The next marker; bytes before it count as padding, but for FF, with which a marker may be filled.</summary>
    private bool FindMarker()
    {
        while (_position < _jpeg.Length)
        {
            int next = _jpeg[_position..].IndexOf((byte)0xff);
            if (next < 0) return false;
            Padding += next;
            _position += next;
            while (_position < _jpeg.Length && _jpeg[_position] == 0xff) _position++;
            if (_position == _jpeg.Length) return false;
            byte marker = _jpeg[_position++];
            if (marker != 0)
            {
                Marker = marker;
                return true;
            }
            Padding += 2;
        }
        return false;
    }

    /// <summary>Where the next marker that does not belong to a scan begins, or the file ends.</summary>
    private readonly int EndOfScan(int position)
    {
        while (true)
        {
            int next = _jpeg[position..].IndexOf((byte)0xff);
            if (next < 0) return _jpeg.Length;
            position += next;
            int after = position + 1;
            while (after < _jpeg.Length && _jpeg[after] == 0xff) after++;
            if (after == _jpeg.Length) return _jpeg.Length;
            if (_jpeg[after] is not (0 or (>= 0xd0 and <= 0xd7))) return position;
            position = after + 1;
        }
    }

    private bool Fail(FrameError error)
    {
        Error = error;
        return false;
    }
}
