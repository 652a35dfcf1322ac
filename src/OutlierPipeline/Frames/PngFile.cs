using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>What the chunks of a PNG say of it.</summary>
/// <remarks>ISO/IEC 15948 (PNG, third edition), clauses 5 and 11.</remarks>
internal static class PngFile
{
    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a];

    public static FrameError Read(ReadOnlySpan<byte> png, out ImageHeader header)
    {
        header = default;
        if (png.Length < 33) return FrameError.Truncated;
        if (!png[12..].StartsWith("IHDR"u8)) return FrameError.Corrupt;
        int width = BinaryPrimitives.ReadInt32BigEndian(png[16..]);
        int height = BinaryPrimitives.ReadInt32BigEndian(png[20..]);
        int depth = png[24];
        int colour = png[25];
        if (width <= 0 || height <= 0 || Channels(colour) == 0) return FrameError.Corrupt;
        // One channel of 16 bits is a map of depths or temperatures, and no picture for people.
        if (depth == 16 && colour is 0 or 4) return FrameError.UnsupportedFormat;
        var orientation = PictureOrientation.Upright;
        int chunks = 0;
        long compressedText = 0;
        int position = 8;
        while (position <= png.Length - 12)
        {
            uint length = BinaryPrimitives.ReadUInt32BigEndian(png[position..]);
            chunks++;
            var type = png.Slice(position + 4, 4);
            if (length > png.Length - position - 12 || type.SequenceEqual("IEND"u8)) break;
            if (type.SequenceEqual("eXIf"u8)) orientation = Exif.Orientation(png.Slice(position + 8, (int)length));
            if (IsCompressedText(type, png.Slice(position + 8, (int)length))) compressedText += length;
            position += 12 + (int)length;
        }
        var cost = DecodeCost.OfPng((long)width * height, Channels(colour) * depth / 8.0, png[28] != 0, chunks, compressedText, png.Length);
        header = new ImageHeader(ImageFormat.Png, width, height) { Orientation = orientation, Cost = cost };
        return FrameError.None;
    }

    /// <summary>Whether a chunk holds text that is inflated when the picture is opened, a thousand times its size at most.</summary>
    private static bool IsCompressedText(ReadOnlySpan<byte> type, ReadOnlySpan<byte> content) =>
        type.SequenceEqual("zTXt"u8) || type.SequenceEqual("iTXt"u8) && content.IndexOf((byte)0) is >= 0 and int end
        && end + 1 < content.Length && content[end + 1] == 1;

    /// <summary>Of a colour type: grey, RGB, palette, grey and alpha, RGB and alpha; 0 for none of these.</summary>
    private static int Channels(int colour) => colour switch { 0 or 3 => 1, 2 => 3, 4 => 2, 6 => 4, _ => 0 };
}
