using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>What the chunks of a WebP say of it.</summary>
/// <remarks>RFC 9649.</remarks>
internal static class WebPFile
{
    public static FrameError Read(ReadOnlySpan<byte> webP, out ImageHeader header)
    {
        header = default;
        if (webP.Length < 30) return FrameError.Truncated;
        var error = ReadSize(webP.Slice(12, 4), webP[20..], out int width, out int height);
        if (error != FrameError.None) return error;
        if (width <= 0 || height <= 0) return FrameError.Corrupt;
        var orientation = PictureOrientation.Upright;
        bool isLossless = false;
        int chunks = 0;
        int position = 12;
        while (position <= webP.Length - 8)
        {
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(webP[(position + 4)..]);
            chunks++;
            var type = webP.Slice(position, 4);
            isLossless |= type.SequenceEqual("VP8L"u8) || type.SequenceEqual("ALPH"u8) || type.SequenceEqual("ANMF"u8);
            if (length > webP.Length - position - 8) break;
            var content = webP.Slice(position + 8, (int)length);
            if (type.SequenceEqual("EXIF"u8)) orientation = Exif.Orientation(content.StartsWith("Exif\0\0"u8) ? content[6..] : content);
            position += 8 + (int)length + (int)(length & 1);
        }
        header = new ImageHeader(ImageFormat.WebP, width, height)
        {
            Orientation = orientation,
            Cost = DecodeCost.OfWebP((long)width * height, isLossless, chunks, webP.Length)
        };
        return FrameError.None;
    }

    private static FrameError ReadSize(ReadOnlySpan<byte> chunk, ReadOnlySpan<byte> data, out int width, out int height)
    {
        width = 0;
        height = 0;
        if (chunk.SequenceEqual("VP8 "u8))
        {
            if (!data[3..].StartsWith((ReadOnlySpan<byte>)[0x9d, 0x01, 0x2a])) return FrameError.Corrupt;
            width = BinaryPrimitives.ReadUInt16LittleEndian(data[6..]) & 0x3fff;
            height = BinaryPrimitives.ReadUInt16LittleEndian(data[8..]) & 0x3fff;
            return FrameError.None;
        }
        if (chunk.SequenceEqual("VP8L"u8))
        {
            if (data[0] != 0x2f) return FrameError.Corrupt;
            uint bits = BinaryPrimitives.ReadUInt32LittleEndian(data[1..]);
            width = (int)(bits & 0x3fff) + 1;
            height = (int)((bits >> 14) & 0x3fff) + 1;
            return FrameError.None;
        }
        if (!chunk.SequenceEqual("VP8X"u8)) return FrameError.Corrupt;
        width = (data[4] | data[5] << 8 | data[6] << 16) + 1;
        height = (data[7] | data[8] << 8 | data[9] << 16) + 1;
        return FrameError.None;
    }
}
