using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>Walks through a JPEG's marker segments, up to where the data of a scan begin.</summary>
/// <remarks>ITU-T T.81, annex B.</remarks>
internal ref struct JpegSegments(ReadOnlySpan<byte> jpeg)
{
    public const byte StartOfScan = 0xda;
    public const byte EndOfImage = 0xd9;
    private readonly ReadOnlySpan<byte> _jpeg = jpeg;
    private int _position = 2;

    /// <summary>Second byte of the segment's marker.</summary>
    public byte Marker { get; private set; }

    /// <summary>What stands in it, less where the file ends before.</summary>
    public ReadOnlySpan<byte> Content { get; private set; }

    /// <summary>Why there is no further segment.</summary>
    public FrameError Error { get; private set; }

    /// <summary>Whether the marker begins a frame: C0 to CF but for the tables DHT, JPG and DAC.</summary>
    public readonly bool IsFrame => Marker is >= 0xc0 and <= 0xcf and not (0xc4 or 0xc8 or 0xcc);

    public bool MoveNext()
    {
        while (_position + 4 <= _jpeg.Length)
        {
            if (_jpeg[_position] != 0xff) return Fail(FrameError.Corrupt);
            Marker = _jpeg[_position + 1];
            if (Marker == 0xff)
            {
                _position++;
                continue;
            }
            // These stand alone.
            if (Marker is 0x01 or (>= 0xd0 and <= 0xd7))
            {
                _position += 2;
                continue;
            }
            int length = BinaryPrimitives.ReadUInt16BigEndian(_jpeg[(_position + 2)..]);
            if (length < 2) return Fail(FrameError.Corrupt);
            int from = _position + 4;
            _position += 2 + length;
            Content = _jpeg[from..Math.Min(_position, _jpeg.Length)];
            return true;
        }
        return Fail(FrameError.Truncated);
    }

    private bool Fail(FrameError error)
    {
        Error = error;
        return false;
    }
}
