using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>
/// What is unusual in a JPEG and costs no pixel: the one table of harmless faults. Each is mended in a copy before decoding
/// (<see cref="JpegRepair"/>), so that whatever
/// a decoder warns of afterwards is damage.
/// </summary>
[Flags]
internal enum JpegOddities
{
    None = 0,

    /// <summary>Bytes between two segments that belong to none. Left out.</summary>
    Padding = 1,

    /// <summary>A sequential scan whose header says 0/0/0 instead of 0/63/0 (some phones). Written as it should be.</summary>
    ScanParameters = 2,

    /// <summary>The end marker is missing. Added; whether all rows are there is then the decoder's to say.</summary>
    MissingEnd = 4,

    /// <summary>A JFIF version other than 1. Written as 1: no later one was ever defined.</summary>
    JfifVersion = 8,

    /// <summary>An Adobe colour transform that is not defined. Written as what decoders take it for.</summary>
    AdobeTransform = 16,
}

/// <summary>What the segments of a JPEG say of it, read without decoding.</summary>
/// <remarks>ITU-T T.81, annexes B and G; Adobe's APP14 marker: ITU-T T.872; EXIF: CIPA DC-008.</remarks>
internal struct JpegFile
{
    private const byte JfifSegment = 0xe0;
    private const byte ExifSegment = 0xe1;
    private const byte AdobeSegment = 0xee;
    private const int MaxComponents = 4;
    private bool _hasHuffmanTables;
    private bool _isUsualFrame;
    private int _adobeTransform;

    public int Width { get; private set; }

    public int Height { get; private set; }

    public int Components { get; private set; }

    public bool IsProgressive { get; private set; }

    public int Scans { get; private set; }

    /// <summary>Segments of any kind.</summary>
    public int Segments { get; private set; }

    /// <summary>Blocks of 8×8 values that the scans go over, all together.</summary>
    public long ScanBlocks { get; private set; }

    /// <summary>Blocks of 8×8 values in the picture.</summary>
    public long Blocks { get; private set; }

    public PictureOrientation Orientation { get; private set; }

    /// <summary>The harmless faults found.</summary>
    public JpegOddities Oddities { get; private set; }

    /// <summary>Whether the colours are those of print, which libjpeg does not convert.</summary>
    public readonly bool IsCmyk => Components == 4;

    /// <summary>
    /// Whether hardware decodes it as the CPU does: baseline, 8 bits, in YCbCr with the usual subsampling, in one interleaved scan, with
    /// tables and an end, upright and without
    /// oddities.
    /// </summary>
    public readonly bool IsForHardware =>
        _isUsualFrame && !IsProgressive && Scans == 1 && _hasHuffmanTables && _adobeTransform is -1 or 1 && Oddities == JpegOddities.None
        && Orientation == PictureOrientation.Upright;

    /// <summary>Reads all segments.</summary>
    /// <param name="jpeg">Begins with FF D8.</param>
    /// <returns>
    /// <see cref="FrameError.Truncated"/> for a file that ends before its first scan, or whose scans do not complete every coefficient;
    /// <see cref="FrameError.Corrupt"/> for one that
    /// makes no sense; <see cref="FrameError.UnsupportedFormat"/> for lossless, hierarchical and arithmetic coding, and for other than 8
    /// bits.
    /// </returns>
    public static FrameError Read(ReadOnlySpan<byte> jpeg, out JpegFile file)
    {
        file = new JpegFile { _adobeTransform = -1, Orientation = PictureOrientation.Upright };
        // The bits of each coefficient that are still to come; 127 where nothing came.
        Span<sbyte> missing = stackalloc sbyte[MaxComponents * 64];
        missing.Fill(127);
        ReadOnlySpan<byte> frame = default;
        var segments = new JpegSegments(jpeg);
        bool hasEnd = false;
        // Scans are counted to the end, since their number may be the truer reason to refuse the file.
        var fault = FrameError.None;
        while (segments.MoveNext())
        {
            file.Segments++;
            if (segments.Padding > 0) file.Oddities |= JpegOddities.Padding;
            var content = segments.Content;
            FrameError error = FrameError.None;
            switch (segments.Marker)
            {
                case JpegSegments.EndOfImage:
                    hasEnd = true;
                    break;
                case JpegSegments.HuffmanTables:
                    file._hasHuffmanTables = true;
                    break;
                case JfifSegment when content.Length >= 7 && content.StartsWith("JFIF\0"u8) && content[5] != 1:
                    file.Oddities |= JpegOddities.JfifVersion;
                    break;
                case ExifSegment when content.StartsWith("Exif\0\0"u8) && frame.IsEmpty:
                    file.Orientation = Exif.Orientation(content[6..]);
                    break;
                case AdobeSegment when content.Length >= 12 && content.StartsWith("Adobe"u8):
                    file._adobeTransform = content[11];
                    break;
                case JpegSegments.StartOfScan:
                    error = frame.IsEmpty ? FrameError.Corrupt : file.AddScan(frame, content, missing);
                    break;
                default:
                    if (!segments.IsFrame) break;
                    error = frame.IsEmpty ? file.AddFrame(segments.Marker, content) : FrameError.Corrupt;
                    if (error != FrameError.None) return error;
                    frame = content;
                    break;
            }
            if (fault == FrameError.None) fault = error;
        }
        if (fault != FrameError.None) return fault;
        if (segments.Error == FrameError.Corrupt || hasEnd && file.Scans == 0) return FrameError.Corrupt;
        if (file.Scans == 0) return FrameError.Truncated;
        if (!hasEnd) file.Oddities |= JpegOddities.MissingEnd;
        if (file._adobeTransform > (file.IsCmyk ? 2 : 1) || file._adobeTransform == 1 && file.IsCmyk)
            file.Oddities |= JpegOddities.AdobeTransform;
        foreach (sbyte bits in missing[..(file.Components * 64)])
        {
            if (bits != 0) return FrameError.Truncated;
        }
        return FrameError.None;
    }

    /// <summary>
    /// The transform of the Adobe segment that decoders take an undefined one for: YCbCr, or YCCK where there are four components.
    /// </summary>
    public static byte AdobeTransformFor(int components) => (byte)(components == 4 ? 2 : 1);

    private FrameError AddFrame(byte marker, ReadOnlySpan<byte> frame)
    {
        // Baseline, extended and progressive with Huffman coding; not lossless, hierarchical or arithmetic.
        if (marker is not (0xc0 or 0xc1 or 0xc2)) return FrameError.UnsupportedFormat;
        if (frame.Length < 6) return FrameError.Corrupt;
        if (frame[0] != 8) return FrameError.UnsupportedFormat;
        Height = BinaryPrimitives.ReadUInt16BigEndian(frame[1..]);
        Width = BinaryPrimitives.ReadUInt16BigEndian(frame[3..]);
        Components = frame[5];
        IsProgressive = marker == 0xc2;
        if (Width == 0 || Height == 0 || frame.Length != 6 + 3 * Components) return FrameError.Corrupt;
        if (Components is not (1 or 3 or 4)) return FrameError.UnsupportedFormat;
        for (int i = 0; i < Components; i++)
        {
            if (Horizontal(frame, i) is < 1 or > 4 || Vertical(frame, i) is < 1 or > 4) return FrameError.Corrupt;
            Blocks += BlocksOf(frame, i);
        }
        _isUsualFrame = Components == 3
            // Without a marker that says so, a picture whose components are called R, G and B is in these colours.
            && !(frame[6] == 'R' && frame[9] == 'G' && frame[12] == 'B')
            && frame[7] is 0x11 or 0x21 or 0x12 or 0x22 && frame[10] == 0x11 && frame[13] == 0x11;
        return FrameError.None;
    }

    private FrameError AddScan(ReadOnlySpan<byte> frame, ReadOnlySpan<byte> scan, Span<sbyte> missing)
    {
        Scans++;
        if (scan.IsEmpty || scan[0] is 0 or > MaxComponents || scan.Length != 4 + 2 * scan[0]) return FrameError.Corrupt;
        int first = scan[^3];
        int last = scan[^2];
        int high = scan[^1] >> 4;
        int low = scan[^1] & 15;
        if (!IsProgressive)
        {
            if (first != 0 || last != 63 || scan[^1] != 0) Oddities |= JpegOddities.ScanParameters;
            (first, last, high, low) = (0, 63, 0, 0);
        }
        bool isSound = first <= last && last <= 63 && low <= 13 && (first == 0) == (last == 0 || !IsProgressive)
            && (first == 0 || scan[0] == 1);
        int taken = 0;
        for (int i = 0; i < scan[0]; i++)
        {
            int component = Find(frame, scan[1 + 2 * i], ref taken);
            if (component < 0) return FrameError.Corrupt;
            // Counted whether it makes sense or not: a decoder goes over it before it says so.
            ScanBlocks += BlocksOf(frame, component);
            // Details before what they are details of.
            isSound &= first == 0 || missing[component * 64] != 127;
            for (int k = component * 64 + first; isSound && k <= component * 64 + last; k++)
            {
                // A first pass may come once, a refinement brings the next bit: what else there is would be drawn over.
                isSound &= !IsProgressive || (high == 0 ? missing[k] == 127 : missing[k] == high && low == high - 1);
                missing[k] = (sbyte)low;
            }
        }
        return isSound ? FrameError.None : FrameError.Corrupt;
    }

    /// <summary>The component that a scan names, or -1. Some files call all of theirs the same: each is taken once, in order.</summary>
    /// <param name="taken">A bit for each that the scan has named already.</param>
    public static int Find(ReadOnlySpan<byte> frame, byte id, ref int taken)
    {
        for (int i = 0; i < frame[5]; i++)
        {
            if (frame[6 + 3 * i] != id || (taken & 1 << i) != 0) continue;
            taken |= 1 << i;
            return i;
        }
        return -1;
    }

    private readonly long BlocksOf(ReadOnlySpan<byte> frame, int component)
    {
        int largestHorizontal = 1;
        int largestVertical = 1;
        for (int i = 0; i < Components; i++)
        {
            largestHorizontal = Math.Max(largestHorizontal, Horizontal(frame, i));
            largestVertical = Math.Max(largestVertical, Vertical(frame, i));
        }
        return Across(Width, Horizontal(frame, component), largestHorizontal) * Across(Height, Vertical(frame, component), largestVertical);
    }

    private static long Across(int pixels, int factor, int largest) => ((long)pixels * factor + 8L * largest - 1) / (8L * largest);

    private static int Horizontal(ReadOnlySpan<byte> frame, int component) => frame[7 + 3 * component] >> 4;

    private static int Vertical(ReadOnlySpan<byte> frame, int component) => frame[7 + 3 * component] & 15;
}
