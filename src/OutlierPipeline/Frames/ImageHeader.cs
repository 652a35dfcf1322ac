namespace OutlierPipeline.Frames;

/// <summary>The picture formats that are decoded.</summary>
public enum ImageFormat
{
    Jpeg,
    Png,
    WebP,
}

/// <summary>What an encoded picture says of itself before it is decoded.</summary>
/// <param name="StoredWidth">In pixels, before it is turned upright.</param>
/// <param name="StoredHeight">In pixels, before it is turned upright.</param>
public readonly record struct ImageHeader(ImageFormat Format, int StoredWidth, int StoredHeight)
{
    /// <summary>How it has to be turned, by its EXIF block.</summary>
    public PictureOrientation Orientation { get; init; } = PictureOrientation.Upright;

    /// <summary>What decoding it may cost at most, in time of one core.</summary>
    public TimeSpan Cost { get; init; }

    /// <summary>Of a JPEG, what its segments say.</summary>
    internal JpegFile Jpeg { get; init; }

    /// <summary>Of the upright picture, in pixels.</summary>
    public int Width => Orientation.SwapsSides() ? StoredHeight : StoredWidth;

    /// <summary>Of the upright picture, in pixels.</summary>
    public int Height => Orientation.SwapsSides() ? StoredWidth : StoredHeight;

    /// <summary>Reads format, size, orientation and cost without decoding, and checks them against the limits.</summary>
    /// <returns>
    /// <see cref="FrameError.Empty"/>, <see cref="FrameError.TooLarge"/>, <see cref="FrameError.TooCostly"/>,
    /// <see cref="FrameError.Truncated"/> for a picture that is seen to be cut off,
    /// <see cref="FrameError.Corrupt"/> for one that makes no sense, <see cref="FrameError.UnsupportedFormat"/> for other pictures and for
    /// video, <see cref="FrameError.NotAnImage"/> for anything else.
    /// </returns>
    public static FrameError Read(ReadOnlySpan<byte> encoded, FrameLimits limits, out ImageHeader header)
    {
        header = default;
        if (encoded.IsEmpty) return FrameError.Empty;
        if (encoded.Length > limits.MaxBytes) return FrameError.TooLarge;
        if (FormatOf(encoded) is not { } format) return IsKnownOther(encoded) ? FrameError.UnsupportedFormat : FrameError.NotAnImage;
        var error = format switch
        {
            ImageFormat.Jpeg => ReadJpeg(encoded, out header),
            ImageFormat.Png => PngFile.Read(encoded, out header),
            _ => WebPFile.Read(encoded, out header),
        };
        // What was read of the size counts even where the rest makes no sense: it is the truer reason.
        if ((long)header.StoredWidth * header.StoredHeight > limits.MaxPixels) return FrameError.TooLarge;
        return header.Cost > limits.MaxDecodeTime ? FrameError.TooCostly : error;
    }

    /// <summary>The format that the first bytes are those of, or null.</summary>
    public static ImageFormat? FormatOf(ReadOnlySpan<byte> encoded) =>
        encoded.StartsWith((ReadOnlySpan<byte>)[0xff, 0xd8]) ? ImageFormat.Jpeg
        : encoded.StartsWith(PngFile.Signature) ? ImageFormat.Png
        : encoded.Length >= 12 && encoded.StartsWith("RIFF"u8) && encoded[8..].StartsWith("WEBP"u8) ? ImageFormat.WebP
        : null;

    /// <summary>GIF, BMP, TIFF, the ISO containers (MP4, HEIC, AVIF), and H.264 or H.265 in byte-stream form.</summary>
    public static bool IsKnownOther(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith("GIF8"u8) || bytes.StartsWith("BM"u8) || bytes.StartsWith("II*\0"u8) || bytes.StartsWith("MM\0*"u8)
        || (bytes.Length >= 8 && bytes[4..].StartsWith("ftyp"u8))
        || bytes.StartsWith((ReadOnlySpan<byte>)[0, 0, 0, 1]) || bytes.StartsWith((ReadOnlySpan<byte>)[0, 0, 1]);

    private static FrameError ReadJpeg(ReadOnlySpan<byte> encoded, out ImageHeader header)
    {
        var error = JpegFile.Read(encoded, out var file);
        header = new ImageHeader(ImageFormat.Jpeg, file.Width, file.Height)
        {
            Orientation = file.Orientation,
            Cost = DecodeCost.OfJpeg(file, encoded.Length),
            Jpeg = file
        };
        return error;
    }
}
