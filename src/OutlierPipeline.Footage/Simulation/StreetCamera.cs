using SkiaSharp;

namespace OutlierPipeline.Footage.Simulation;

/// <summary>
/// A camera on a car that drives through a street without end, drawn with SkiaSharp. The same seed draws the same drive. Not thread-safe.
/// </summary>
public sealed class StreetCamera : ISimulatedCamera
{
    public const int Width = 320;
    public const int Height = 192;
    private const int JpegQuality = 78;
    private const int LargeJpegQuality = 90;
    private readonly SKBitmap _picture = new(Width, Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
    private readonly SKCanvas _canvas;
    private readonly StreetScene _scene;
    private readonly WeatherAndFaults _troubles;
    private readonly Random _noise;
    private readonly sbyte[] _noiseTable = new sbyte[1 << 16];
    private byte[]? _frozen;

    /// <param name="seed">Of the street, its light and its traffic.</param>
    public StreetCamera(int seed)
    {
        _canvas = new SKCanvas(_picture);
        _scene = new StreetScene(seed);
        _troubles = new WeatherAndFaults(seed, Width, Height);
        _noise = new Random(seed);
        for (int i = 0; i < _noiseTable.Length; i++)
        {
            // Four uniform numbers are near enough to a normal one.
            double sum = _noise.NextDouble() + _noise.NextDouble() + _noise.NextDouble() + _noise.NextDouble() - 2;
            _noiseTable[i] = (sbyte)Math.Round(sum * 4);
        }
    }

    /// <summary>Draws one frame.</summary>
    /// <param name="seconds">Time of the drive.</param>
    /// <param name="strength">Of the trouble, 0 to 1.</param>
    /// <returns>A JPEG of 320×192 pixels, at most 20 KiB.</returns>
    public byte[] Render(double seconds, Trouble trouble = Trouble.None, double strength = 1)
    {
        if (trouble == Trouble.Frozen && _frozen is not null) return _frozen;
        Draw(seconds, trouble, strength);
        using var jpeg = _picture.Encode(SKEncodedImageFormat.Jpeg, JpegQuality);
        byte[] encoded = jpeg.ToArray();
        // The sensor goes on, but what leaves the camera is what it last saw.
        _frozen = trouble == Trouble.Frozen ? encoded : null;
        return encoded;
    }

    /// <summary>
    /// Draws one frame as a camera of another resolution sends it: with the sensor's noise at that size, as nothing else would take a
    /// decoder's time.
    /// </summary>
    /// <returns>A JPEG.</returns>
    public byte[] RenderAt(SKSizeI size, double seconds, Trouble trouble = Trouble.None)
    {
        using var scaled = Draw(seconds, trouble).Resize(size, new SKSamplingOptions(SKFilterMode.Linear));
        var pixels = scaled.GetPixelSpan();
        for (int i = 0; i < pixels.Length; i++) pixels[i] = (byte)Math.Clamp(pixels[i] + _noise.Next(-6, 7), 0, 255);
        using var jpeg = scaled.Encode(SKEncodedImageFormat.Jpeg, LargeJpegQuality);
        return jpeg.ToArray();
    }

    /// <summary>Draws one frame into memory, without the JPEG.</summary>
    /// <returns>The picture, valid until the next call.</returns>
    public SKBitmap Draw(double seconds, Trouble trouble = Trouble.None, double strength = 1)
    {
        _scene.Draw(_canvas, seconds, isNight: trouble == Trouble.Night, trouble == Trouble.Obstacle ? strength : 0);
        _troubles.Draw(_canvas, _picture, trouble, strength);
        AddNoise(trouble == Trouble.Night ? 3 : 2);
        if (trouble == Trouble.DeadRows) _troubles.ClearDeadRows(_picture);
        return _picture;
    }

    /// <summary>Draws the street's first place as the factors say, for the study of what codes mean.</summary>
    /// <returns>A JPEG of 320×192 pixels.</returns>
    public byte[] Render(in StreetFactors factors)
    {
        _scene.Draw(_canvas, factors);
        if (factors.Fog > 0) _troubles.Draw(_canvas, _picture, Trouble.Fog, 0.8 * factors.Fog);
        AddNoise(2);
        using var jpeg = _picture.Encode(SKEncodedImageFormat.Jpeg, LargeJpegQuality);
        return jpeg.ToArray();
    }

    public void Dispose()
    {
        _canvas.Dispose();
        _picture.Dispose();
        _scene.Dispose();
        _troubles.Dispose();
    }

    private void AddNoise(int halves)
    {
        var pixels = _picture.GetPixelSpan();
        int at = _noise.Next(_noiseTable.Length);
        for (int i = 0; i < pixels.Length; i++)
        {
            // Not a multiple of the table's length, so that rows do not repeat.
            at = (at + 1) & 0xFFFF;
            pixels[i] = (byte)Math.Clamp(pixels[i] + _noiseTable[at] * halves / 2, 0, 255);
            if ((i & 0x3FF) == 0) at = (at + 7919) & 0xFFFF;
        }
    }
}
