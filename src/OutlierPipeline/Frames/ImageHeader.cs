using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>The picture formats that are decoded.</summary>
public enum ImageFormat
{
    Jpeg,
    Png,
    WebP,
}

/// <summary>What a picture's first bytes say of it.</summary>
public readonly record struct ImageHeader(ImageFormat Format, int Width, int Height)
{
    private static readonly byte[] PngSignature = [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a];

    /// <summary>Reads format and size without decoding, and checks them against the limits.</summary>
    /// <returns>
    /// <see cref="FrameError.Empty"/>, <see cref="FrameError.TooLarge"/>, <see cref="FrameError.Truncated"/> for a header that is cut off,
    /// <see cref="FrameError.Corrupt"/> for one that makes no sense, <see cref="FrameError.UnsupportedFormat"/> for other pictures and for
    /// video, <see cref="FrameError.NotAnImage"/> for anything else.
    /// </returns>
    public static FrameError Read(ReadOnlySpan<byte> encoded, FrameLimits limits, out ImageHeader header)
    {
        header = default;
        if (encoded.IsEmpty) return FrameError.Empty;
        if (encoded.Length > limits.MaxBytes) return FrameError.TooLarge;
        FrameError error;
        int width;
        int height;
        ImageFormat format;
        if (encoded.StartsWith((ReadOnlySpan<byte>)[0xff, 0xd8, 0xff]))
        {
            format = ImageFormat.Jpeg;
            error = ReadJpeg(encoded, out width, out height);
        }
        else if (encoded.StartsWith(PngSignature))
        {
            format = ImageFormat.Png;
            error = ReadPng(encoded, out width, out height);
        }
        else if (encoded.Length >= 12 && encoded.StartsWith("RIFF"u8) && encoded[8..].StartsWith("WEBP"u8))
        {
            format = ImageFormat.WebP;
            error = ReadWebP(encoded, out width, out height);
        }
        else
        {
            return IsKnownOther(encoded) ? FrameError.UnsupportedFormat : FrameError.NotAnImage;
        }
        if (error != FrameError.None) return error;
        if (width <= 0 || height <= 0) return FrameError.Corrupt;
        if ((long)width * height > limits.MaxPixels) return FrameError.TooLarge;
        header = new ImageHeader(format, width, height);
        return FrameError.None;
    }

    private static FrameError ReadJpeg(ReadOnlySpan<byte> bytes, out int width, out int height)
    {
        width = 0;
        height = 0;
        var segments = new JpegSegments(bytes);
        while (segments.MoveNext())
        {
            if (segments.IsFrame)
            {
                var frame = segments.Content;
                if (frame.Length < 5) return FrameError.Truncated;
                height = BinaryPrimitives.ReadUInt16BigEndian(frame[1..]);
                width = BinaryPrimitives.ReadUInt16BigEndian(frame[3..]);
                return FrameError.None;
            }
            // The pixels begin, or the file ends, and no size was said.
            if (segments.Marker is JpegSegments.StartOfScan or JpegSegments.EndOfImage) return FrameError.Corrupt;
        }
        return segments.Error;
    }

    private static FrameError ReadPng(ReadOnlySpan<byte> bytes, out int width, out int height)
    {
        width = 0;
        height = 0;
        if (bytes.Length < 24) return FrameError.Truncated;
        if (!bytes[12..].StartsWith("IHDR"u8)) return FrameError.Corrupt;
        width = BinaryPrimitives.ReadInt32BigEndian(bytes[16..]);
        height = BinaryPrimitives.ReadInt32BigEndian(bytes[20..]);
        return FrameError.None;
    }

    private static FrameError ReadWebP(ReadOnlySpan<byte> bytes, out int width, out int height)
    {
        width = 0;
        height = 0;
        if (bytes.Length < 30) return FrameError.Truncated;
        var chunk = bytes.Slice(12, 4);
        var data = bytes[20..];
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
        if (chunk.SequenceEqual("VP8X"u8))
        {
            width = (data[4] | data[5] << 8 | data[6] << 16) + 1;
            height = (data[7] | data[8] << 8 | data[9] << 16) + 1;
            return FrameError.None;
        }
        return FrameError.Corrupt;
    }

    /// <summary>GIF, BMP, TIFF, the ISO containers (MP4, HEIC, AVIF), and H.264 or H.265 in byte-stream form.</summary>
    private static bool IsKnownOther(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith("GIF8"u8) || bytes.StartsWith("BM"u8) || bytes.StartsWith("II*\0"u8) || bytes.StartsWith("MM\0*"u8)
        || (bytes.Length >= 8 && bytes[4..].StartsWith("ftyp"u8))
        || bytes.StartsWith((ReadOnlySpan<byte>)[0, 0, 0, 1]) || bytes.StartsWith((ReadOnlySpan<byte>)[0, 0, 1]);
}
