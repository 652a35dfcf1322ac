namespace OutlierPipeline.Frames;

/// <summary>Tells the JPEGs that hardware decodes from the others.</summary>
/// <remarks>ITU-T T.81, annexes B and F; Adobe's APP14 marker: ITU-T T.872.</remarks>
internal static class BaselineJpeg
{
    private const byte BaselineFrame = 0xc0;
    private const byte ExtendedFrame = 0xc1;
    private const byte AdobeSegment = 0xee;

    /// <summary>
    /// Whether a JPEG is baseline, of 8 bits, in YCbCr with the usual subsampling, in one interleaved scan, and has an end: no progressive, CMYK, grey or cut-off one.
    /// </summary>
    /// <param name="jpeg">One whose header could be read.</param>
    public static bool Is(ReadOnlySpan<byte> jpeg)
    {
        // Cut-off pictures are decoded by hardware as if they were whole.
        if (!jpeg.TrimEnd((byte)0).EndsWith((ReadOnlySpan<byte>)[0xff, JpegSegments.EndOfImage])) return false;
        bool isUsual = false;
        var segments = new JpegSegments(jpeg);
        while (segments.MoveNext())
        {
            var content = segments.Content;
            if (segments.IsFrame)
            {
                if (segments.Marker is not (BaselineFrame or ExtendedFrame) || !IsUsualFrame(content)) return false;
                isUsual = true;
            }
            else if (segments.Marker == AdobeSegment && content.Length >= 12 && content.StartsWith("Adobe"u8) && content[11] != 1)
            {
                return false;
            }
            else if (segments.Marker == JpegSegments.StartOfScan)
            {
                return isUsual && content.Length > 0 && content[0] == 3;
            }
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
