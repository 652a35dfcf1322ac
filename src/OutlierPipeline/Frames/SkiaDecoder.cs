using SkiaSharp;

namespace OutlierPipeline.Frames;

/// <summary>SkiaSharp: PNG and WebP everywhere, JPEG where libjpeg-turbo is not on the machine. Alpha is blended on black; of an animation the first frame is taken; EXIF orientation is not applied.</summary>
internal sealed unsafe class SkiaDecoder : IDisposable
{
    private readonly PixelBuffer _buffer = new();

    public FrameError Decode(ReadOnlySpan<byte> encoded, in ImageHeader header, FrameSize target, AreaScaler scaler, Span<byte> rgb)
    {
        fixed (byte* source = encoded)
        {
            using var data = SKData.Create((nint)source, encoded.Length);
            using var codec = SKCodec.Create(data);
            if (codec is null) return FrameError.Corrupt;
            int width = header.Width;
            int height = header.Height;
            if (header.Format == ImageFormat.Jpeg)
            {
                int scale = DecodeScale.Eighths(width, height, target);
                var scaled = codec.GetScaledDimensions(scale / 8f);
                (width, height) = (scaled.Width, scaled.Height);
            }
            else if (codec.Info.Width != width || codec.Info.Height != height)
            {
                return FrameError.Corrupt;
            }
            var pixels = _buffer.Rent((long)width * height * 4);
            // Colours are taken as they are written, as libjpeg-turbo takes them: no colour management.
            var info = new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Premul);
            SKCodecResult result;
            fixed (byte* output = pixels) result = codec.GetPixels(info, (nint)output);
            switch (result)
            {
                case SKCodecResult.Success:
                    scaler.Scale(pixels, width, height, width * 4, 4, rgb);
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
