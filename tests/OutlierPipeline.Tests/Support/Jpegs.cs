using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Tests.Support;

/// <summary>JPEGs as cameras, phones and encoders of hardware write them, and damaged ones; each made of a sound one.</summary>
internal static class Jpegs
{
    public const byte App0 = 0xe0;

    /// <summary>A sound baseline JPEG.</summary>
    public static byte[] Sound(int seed = 1, int width = 320, int height = 192) =>
        Pictures.Encode(SKEncodedImageFormat.Jpeg, width, height, seed);

    /// <summary>Bytes put before the first segment of a kind.</summary>
    public static byte[] Before(byte[] jpeg, byte marker, params byte[] bytes)
    {
        int at = Find(jpeg, marker);
        return [.. jpeg[..at], .. bytes, .. jpeg[at..]];
    }

    /// <summary>The first so much of a file, 0 to 1.</summary>
    public static byte[] Cut(byte[] jpeg, double share) => jpeg[..(int)(jpeg.Length * share)];

    /// <summary>A file cut off within its data, with an end marker all the same.</summary>
    public static byte[] CutAndEnded(byte[] jpeg, double share) => [.. Cut(jpeg, share), 0xff, 0xd9];

    public static byte[] WithoutEnd(byte[] jpeg) => jpeg[..^2];

    /// <summary>The three bytes that end the first scan's header.</summary>
    public static byte[] WithScanParameters(byte[] jpeg, byte first, byte last, byte bits)
    {
        byte[] changed = [.. jpeg];
        int at = Find(jpeg, 0xda);
        int length = jpeg[at + 2] << 8 | jpeg[at + 3];
        (changed[at + length - 1], changed[at + length], changed[at + length + 1]) = (first, last, bits);
        return changed;
    }

    public static byte[] WithJfifVersion(byte[] jpeg, byte major)
    {
        byte[] changed = [.. jpeg];
        changed[Find(jpeg, App0) + 9] = major;
        return changed;
    }

    /// <summary>With an EXIF block that says how to turn the picture.</summary>
    public static byte[] WithOrientation(byte[] jpeg, int orientation, bool bigEndian = false)
    {
        byte low = (byte)orientation;
        byte[] tiff = bigEndian
            ? [.. "MM\0*"u8, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, low, 0, 0, 0, 0, 0, 0]
            : [.. "II*\0"u8, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, low, 0, 0, 0, 0, 0, 0, 0];
        byte[] content = [.. "Exif\0\0"u8, .. tiff];
        return [.. jpeg[..2], 0xff, 0xe1, 0, (byte)(content.Length + 2), .. content, .. jpeg[2..]];
    }

    /// <summary>Without its Huffman tables, as Motion JPEG is written.</summary>
    public static byte[] WithoutTables(byte[] jpeg)
    {
        var kept = new List<byte>(jpeg[..2]);
        var segments = new JpegSegments(jpeg);
        while (segments.MoveNext())
        {
            if (segments.Marker == JpegSegments.HuffmanTables) continue;
            kept.AddRange([0xff, segments.Marker]);
            if (segments.Marker == JpegSegments.EndOfImage) break;
            kept.AddRange([(byte)((segments.Content.Length + 2) >> 8), (byte)(segments.Content.Length + 2)]);
            kept.AddRange(segments.Content);
            kept.AddRange(segments.ScanData);
        }
        return [.. kept];
    }

    /// <summary>A progressive JPEG without its last scans.</summary>
    public static byte[] WithScans(byte[] jpeg, int count)
    {
        int scans = 0;
        var segments = new JpegSegments(jpeg);
        int length = 0;
        while (segments.MoveNext())
        {
            if (segments.Marker == JpegSegments.EndOfImage || (segments.Marker == JpegSegments.StartOfScan && ++scans > count)) break;
            length = jpeg.Length - Rest(jpeg, segments);
        }
        return [.. jpeg[..length], 0xff, 0xd9];
    }

    /// <summary>A progressive JPEG of the largest size there is and no content, with thousands of scans that refine nothing.</summary>
    public static byte[] Costly(int side, int scans)
    {
        var jpeg = new List<byte>([0xff, 0xd8, 0xff, 0xdb, 0, 67, 0, .. Enumerable.Repeat((byte)16, 64)]);
        jpeg.AddRange([0xff, 0xc2, 0, 11, 8, (byte)(side >> 8), (byte)side, (byte)(side >> 8), (byte)side, 1, 1, 0x11, 0]);
        // One code of one bit each: a DC difference of nothing, and an end of band that runs over 32,767 blocks.
        jpeg.AddRange([0xff, 0xc4, 0, 20, 0x00, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        jpeg.AddRange([0xff, 0xc4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0]);
        for (int i = 0; i < scans; i++) jpeg.AddRange([0xff, 0xda, 0, 8, 1, 1, 0, 1, (byte)(1 + i % 63), 0]);
        return [.. jpeg, 0xff, 0xd9];
    }

    private static int Find(byte[] jpeg, byte marker)
    {
        int at = jpeg.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xff, marker]);
        Assert.True(at >= 0, $"no segment FF {marker:X2}");
        return at;
    }

    private static int Rest(byte[] jpeg, JpegSegments segments)
    {
        ReadOnlySpan<byte> last = segments.ScanData.IsEmpty ? segments.Content : segments.ScanData;
        bool overlaps = jpeg.AsSpan().Overlaps(last, out int at);
        Assert.True(overlaps);
        return jpeg.Length - at - last.Length;
    }
}
