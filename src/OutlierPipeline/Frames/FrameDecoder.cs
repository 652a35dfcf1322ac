namespace OutlierPipeline.Frames;

/// <summary>What decodes JPEG.</summary>
public enum DecoderChoice
{
    /// <summary><see cref="NvJpeg"/> where a GPU computes and the library is there, else <see cref="Cpu"/>; the log says which and why.</summary>
    Auto,

    /// <summary>libjpeg-turbo where it is on the machine, else SkiaSharp.</summary>
    Cpu,

    /// <summary>nvJPEG on the GPU that computes; one that is missing stops the start.</summary>
    NvJpeg,
}

/// <summary>Which library of the CPU decodes JPEG.</summary>
public enum JpegLibrary
{
    /// <summary>libjpeg-turbo where it is on the machine, else SkiaSharp.</summary>
    Fastest,
    TurboJpeg,
    Skia,
}

/// <summary>
/// Encoded picture in, uint8 RGB at the model's size out: the one piece of code that training and service share. One a worker; not thread-safe.
/// </summary>
public sealed class FrameDecoder : IDisposable
{
    private readonly FrameSize _size;
    private readonly FrameLimits _limits;
    private readonly AreaScaler _scaler;
    private readonly TurboJpeg? _turbo;
    private readonly SkiaDecoder _skia = new();

    public FrameDecoder(FrameSize size, FrameLimits limits, JpegLibrary library = JpegLibrary.Fastest)
    {
        _size = size;
        _limits = limits;
        _scaler = new AreaScaler(size);
        if (library == JpegLibrary.TurboJpeg && !TurboJpeg.IsAvailable)
            throw new InvalidOperationException("libjpeg-turbo (libturbojpeg.so.0) is not on this machine: install libturbojpeg0 (Debian) or libturbojpeg (Ubuntu)");
        _turbo = library != JpegLibrary.Skia && TurboJpeg.IsAvailable ? new TurboJpeg() : null;
    }

    /// <summary>What decodes JPEG: <c>libjpeg-turbo</c> or <c>SkiaSharp</c>.</summary>
    public string Name => _turbo is null ? "SkiaSharp" : "libjpeg-turbo";

    /// <summary>Checks the header and the limits, decodes, crops (centre, to the model's aspect ratio) and scales.</summary>
    /// <param name="encoded">JPEG, PNG or WebP.</param>
    /// <param name="rgb">Receives <c>[H, W, 3]</c> uint8, RGB: <see cref="FrameSize.Bytes"/> bytes.</param>
    /// <returns><see cref="FrameError.None"/>, or what is wrong; <paramref name="rgb"/> is then undefined.</returns>
    public FrameError Decode(ReadOnlySpan<byte> encoded, Span<byte> rgb)
    {
        if (rgb.Length != _size.Bytes) throw new ArgumentException($"{rgb.Length} bytes cannot hold a frame of {_size}: it takes {_size.Bytes}", nameof(rgb));
        var error = ImageHeader.Read(encoded, _limits, out var header);
        if (error != FrameError.None) return error;
        return header.Format == ImageFormat.Jpeg && _turbo is not null
            ? _turbo.Decode(encoded, _size, _scaler, rgb)
            : _skia.Decode(encoded, header, _size, _scaler, rgb);
    }

    public void Dispose()
    {
        _turbo?.Dispose();
        _skia.Dispose();
    }
}
