namespace OutlierPipeline.Frames;

/// <summary>What decodes JPEG.</summary>
public enum DecoderChoice
{
    /// <summary>
    /// <see cref="NvJpeg"/> where a GPU computes and the library is there, else <see cref="Cpu"/>; the log says which and why.
    /// </summary>
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
/// Encoded picture in, uint8 RGB at the model's size out: the one piece of code that training and service share. One a worker; not
/// thread-safe.
/// </summary>
public sealed class FrameDecoder : IDisposable
{
    private readonly FrameSize _size;
    private readonly FrameLimits _limits;
    private readonly AreaScaler _scaler;
    private readonly TurboJpeg? _turbo;
    private readonly SkiaDecoder _skia = new();
    private readonly JpegEntropy _entropy = new();
    private readonly PixelBuffer _mended = new();
    private readonly PixelBuffer _stripped = new();
    private readonly PixelBuffer _turned = new();
    private readonly PixelBuffer[] _buffers;
    private AreaScaler? _swapped;

    public FrameDecoder(FrameSize size, FrameLimits limits, JpegLibrary library = JpegLibrary.Fastest)
    {
        _size = size;
        _limits = limits;
        _scaler = new AreaScaler(size);
        if (library == JpegLibrary.TurboJpeg && !TurboJpeg.IsAvailable)
            throw new InvalidOperationException(
                "libjpeg-turbo (libturbojpeg.so.0) is not on this machine: install libturbojpeg0 (Debian) or libturbojpeg (Ubuntu)");
        _turbo = library != JpegLibrary.Skia && TurboJpeg.IsAvailable ? new TurboJpeg() : null;
        _buffers = [_skia.Buffer, _entropy.Buffer, _mended, _stripped, _turned, .. _turbo is null
            ? Array.Empty<PixelBuffer>()
            : [_turbo.Buffer]];
    }

    /// <summary>What decodes JPEG: <c>libjpeg-turbo</c> or <c>SkiaSharp</c>.</summary>
    public string Name => _turbo is null ? "SkiaSharp" : "libjpeg-turbo";

    /// <summary>Bytes of memory held for pictures to come.</summary>
    internal long Held => _buffers.Sum(buffer => buffer.Size);

    /// <summary>
    /// Checks the header and the limits, decodes, turns upright (EXIF), crops (centre, to the model's aspect ratio) and scales.
    /// </summary>
    /// <param name="encoded">JPEG, PNG or WebP.</param>
    /// <param name="rgb">Receives <c>[H, W, 3]</c> uint8, RGB: <see cref="FrameSize.Bytes"/> bytes.</param>
    /// <returns><see cref="FrameError.None"/> if every byte was written from this picture, else what is wrong; <paramref name="rgb"/> is
    /// then undefined.</returns>
    public FrameError Decode(ReadOnlySpan<byte> encoded, Span<byte> rgb)
    {
        if (rgb.Length != _size.Bytes)
            throw new ArgumentException($"{rgb.Length} bytes cannot hold a frame of {_size}: it takes {_size.Bytes}", nameof(rgb));
        var error = DecodeChecked(encoded, rgb);
        foreach (var buffer in _buffers) buffer.EndPicture();
        return error;
    }

    private FrameError DecodeChecked(ReadOnlySpan<byte> encoded, Span<byte> rgb)
    {
        var error = ImageHeader.Read(encoded, _limits, out var header);
        if (error != FrameError.None) return error;
        error = header.Format == ImageFormat.Jpeg
            ? DecodeJpeg(encoded, header, out var picture)
            : _skia.Decode(encoded, header, 8, out picture);
        // There is no way to 'no error' but through a picture that was decoded whole.
        if (picture.IsEmpty) return error == FrameError.None ? FrameError.Corrupt : error;
        if (header.Orientation == PictureOrientation.Upright)
        {
            _scaler.Scale(picture, rgb);
            return FrameError.None;
        }
        // Scaled as it is stored, and turned when it is small.
        bool isSwapped = header.Orientation.SwapsSides();
        var stored = isSwapped ? new FrameSize(_size.Width, _size.Height) : _size;
        var scaled = _turned.Rent(_size.Bytes);
        (isSwapped ? _swapped ??= new AreaScaler(stored) : _scaler).Scale(picture, scaled);
        new DecodedPicture(scaled, stored.Width, stored.Height, 3).Turn(header.Orientation, rgb);
        return FrameError.None;
    }

    public void Dispose()
    {
        _turbo?.Dispose();
        _skia.Dispose();
        _entropy.Dispose();
        _mended.Dispose();
        _stripped.Dispose();
        _turned.Dispose();
    }

    private FrameError DecodeJpeg(scoped ReadOnlySpan<byte> encoded, scoped in ImageHeader header, out DecodedPicture picture)
    {
        var file = header.Jpeg;
        scoped var jpeg = encoded;
        if (file.Oddities != JpegOddities.None)
        {
            var mended = _mended.Rent(encoded.Length + JpegRepair.Extra);
            jpeg = mended[..JpegRepair.Copy(encoded, file, mended)];
        }
        int eighths = DecodeScale.Eighths(header.Width, header.Height, _size);
        if (_turbo is null) return DecodeBySkia(jpeg, header, eighths, out picture);
        var error = _turbo.Decode(jpeg, file, eighths, out picture, out bool hasExtraneous);
        // The library tells its first warning only, and padding may hide damage behind it: without the padding there must be none.
        if (hasExtraneous)
        {
            // It costs about as much again, twice.
            if (header.Cost * 3 > _limits.MaxDecodeTime * 2) return FrameError.TooCostly;
            if (_entropy.Check(jpeg, file) is not FrameError.None and var damage) return damage;
            var stripped = _stripped.Rent(jpeg.Length);
            return _turbo.Decode(stripped[.._entropy.Strip(jpeg, stripped)], file, eighths, out picture, out _);
        }
        // What one decoder does not do, the other may: a file has the same fate on every machine.
        return error == FrameError.UnsupportedFormat ? DecodeBySkia(jpeg, header, eighths, out picture) : error;
    }

    private FrameError DecodeBySkia(scoped ReadOnlySpan<byte> jpeg, scoped in ImageHeader header, int eighths, out DecodedPicture picture)
    {
        picture = default;
        return _entropy.Check(jpeg, header.Jpeg) is not FrameError.None and var damage
            ? damage
            : _skia.Decode(jpeg, header, eighths, out picture);
    }
}
