using SkiaSharp;

namespace OutlierPipeline.Frames;

/// <summary>
/// SkiaSharp: PNG and WebP everywhere, JPEG where libjpeg-turbo is not on the machine. Alpha is blended on black; of an animation the first
/// frame is taken.
/// </summary>
internal sealed unsafe class SkiaDecoder : IDisposable
{
    private readonly PixelBuffer _buffer = new();

    /// <summary>Memory for decoded pictures.</summary>
    public PixelBuffer Buffer => _buffer;

    /// <param name="encoded">A PNG, a WebP, or a JPEG that is known to be whole: SkiaSharp draws grey for what is missing or damaged, and
    /// does not say so.</param>
    /// <param name="eighths">Of a JPEG, the scale.</param>
    /// <param name="picture">Written whole, or empty.</param>
    public FrameError Decode(scoped ReadOnlySpan<byte> encoded, scoped in ImageHeader header, int eighths, out DecodedPicture picture)
    {
        picture = default;
        fixed (byte* source = encoded)
        {
            using var data = SKData.Create((nint)source, encoded.Length);
            using var codec = SKCodec.Create(data);
            if (codec is null) return header.Format == ImageFormat.Jpeg ? FrameError.UnsupportedFormat : FrameError.Corrupt;
            int width = header.StoredWidth;
            int height = header.StoredHeight;
            if (codec.Info.Width != width || codec.Info.Height != height) return FrameError.Corrupt;
            if (header.Format == ImageFormat.Jpeg)
            {
                var scaled = codec.GetScaledDimensions(eighths / 8f);
                (width, height) = (scaled.Width, scaled.Height);
            }
            var pixels = _buffer.Rent((long)width * height * 4);
            // Colours are taken as they are written, as libjpeg-turbo takes them: no colour management.
            var info = new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Premul);
            SKCodecResult result;
            fixed (byte* output = pixels) result = codec.GetPixels(info, (nint)output);
            switch (result)
            {
                case SKCodecResult.Success:
                    picture = new DecodedPicture(pixels, width, height, 4);
                    return FrameError.None;
                case SKCodecResult.IncompleteInput:
                    return FrameError.Truncated;
                case SKCodecResult.InvalidConversion or SKCodecResult.Unimplemented:
                    return FrameError.UnsupportedFormat;
                default:
                    return FrameError.Corrupt;
            }
        }
    }

    public void Dispose() => _buffer.Dispose();
}
