using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>Tells the JPEGs that hardware decodes from the others.</summary>
/// <remarks>ITU-T T.81, annexes B and F; Adobe's APP14 marker: ITU-T T.872.</remarks>
internal static class BaselineJpeg
{
    private const byte BaselineFrame = 0xc0;
    private const byte ExtendedFrame = 0xc1;
    private const byte Scan = 0xda;
    private const byte AdobeSegment = 0xee;

    /// <summary>
    /// Whether a JPEG is baseline, of 8 bits, in YCbCr with the usual subsampling, in one interleaved scan, and has an end: no progressive, CMYK, grey or cut-off one.
    /// </summary>
    /// <param name="jpeg">One whose header could be read.</param>
    public static bool Is(ReadOnlySpan<byte> jpeg)
    {
        // Cut-off pictures are decoded by hardware as if they were whole.
        if (!jpeg.TrimEnd((byte)0).EndsWith((ReadOnlySpan<byte>)[0xff, 0xd9])) return false;
        bool isFrame = false;
        int position = 2;
        while (position + 4 <= jpeg.Length && jpeg[position] == 0xff)
        {
            byte marker = jpeg[position + 1];
            if (marker == 0xff)
            {
                position++;
                continue;
            }
            if (marker is 0x01 or (>= 0xd0 and <= 0xd7))
            {
                position += 2;
                continue;
            }
            int length = BinaryPrimitives.ReadUInt16BigEndian(jpeg[(position + 2)..]);
            if (length < 2 || position + 2 + length > jpeg.Length) return false;
            var segment = jpeg.Slice(position + 4, length - 2);
            switch (marker)
            {
                case BaselineFrame or ExtendedFrame:
                    if (!IsUsualFrame(segment)) return false;
                    isFrame = true;
                    break;
                case >= 0xc2 and <= 0xcf and not (0xc4 or 0xc8 or 0xcc):
                    return false;
                case AdobeSegment when segment.Length >= 12 && segment.StartsWith("Adobe"u8) && segment[11] != 1:
                    return false;
                case Scan:
                    return isFrame && segment.Length > 0 && segment[0] == 3;
            }
            position += 2 + length;
        }
        return false;
    }

    private static bool IsUsualFrame(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < 15 || frame[0] != 8 || frame[5] != 3) return false;
        // Without a marker that says so, a picture whose components are called R, G and B is in these colours.
        if (frame[6] == 'R' && frame[9] == 'G' && frame[12] == 'B') return false;
        return frame[7] is 0x11 or 0x21 or 0x12 or 0x22 && frame[10] == 0x11 && frame[13] == 0x11;
    }
}
