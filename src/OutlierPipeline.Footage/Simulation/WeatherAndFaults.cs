using SkiaSharp;

namespace OutlierPipeline.Footage.Simulation;

/// <summary>What weather and faults do to a picture of any size.</summary>
internal sealed class WeatherAndFaults : IDisposable
{
    /// <summary>The height that lengths below are given for, in pixels.</summary>
    private const float ReferenceHeight = 192;

    private readonly int _width;
    private readonly int _height;
    private readonly float _horizon;

    /// <summary>Flakes, drops and spots keep their share of the picture.</summary>
    private readonly float _scale;

    private readonly Random _random;
    private readonly SKPaint _paint = new() { IsAntialias = true };
    private readonly (SKPoint Centre, float Radius, SKColor Color)[] _dirt;
    private readonly int _deadRow;
    private readonly SKMaskFilter _soft;

    /// <param name="seed">The same seed puts the same dirt in the same places.</param>
    public WeatherAndFaults(int seed, int width, int height)
    {
        _width = width;
        _height = height;
        _horizon = 0.46f * height;
        _scale = height / ReferenceHeight;
        _soft = SKMaskFilter.CreateBlur(SKBlurStyle.Normal, 4 * _scale);
        _random = new Random(seed ^ 0x5EED);
        // Mud lies where the wheel throws it: anywhere, but the same place for the whole drive.
        _dirt = [.. Enumerable.Range(0, 9).Select(_ =>
            (new SKPoint(_random.Next(width), _random.Next(height)), (12f + _random.Next(22)) * _scale,
            new SKColor((byte)_random.Next(52, 84), (byte)_random.Next(44, 66), (byte)_random.Next(30, 48),
            (byte)_random.Next(190, 245))))];
        _deadRow = _random.Next(height / 4, height * 3 / 4);
    }

    public void Draw(SKCanvas canvas, SKBitmap picture, Trouble trouble, double strength)
    {
        switch (trouble)
        {
            case Trouble.Fog: DrawFog(canvas, (float)strength); break;
            case Trouble.Night: DrawNight(canvas, (float)strength); break;
            case Trouble.Snow: DrawSnow(canvas, (float)strength); break;
            case Trouble.Rain: DrawRain(canvas, (float)strength); break;
            case Trouble.DirtyLens: DrawDirt(canvas, (float)strength); break;
            case Trouble.Blur: Defocus(canvas, picture, (float)strength); break;
        }
    }

    public void ClearDeadRows(SKBitmap picture)
    {
        var pixels = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(picture.GetPixelSpan());
        // A band of four and one of two, of 192.
        foreach (var (first, count) in (ReadOnlySpan<(float, float)>)[(0, 4), (20, 2)])
        {
            int row = Math.Min(_height - 1, _deadRow + (int)(first * _scale));
            int rows = Math.Clamp((int)Math.Round(count * _scale), 1, _height - row);
            pixels.Slice(row * _width, rows * _width).Fill((uint)SKColors.Black);
        }
    }

    public void Dispose()
    {
        _paint.Dispose();
        _soft.Dispose();
    }

    private void DrawFog(SKCanvas canvas, float strength)
    {
        // What is far is near the horizon.
        var grey = new SKColor(204, 208, 212);
        using var shader = SKShader.CreateLinearGradient(new SKPoint(0, 0), new SKPoint(0, _height),
            [Veil(0.86f), Veil(0.95f), Veil(0.9f), Veil(0.35f)], [0, 0.42f, 0.52f, 1], SKShaderTileMode.Clamp);
        Overlay(canvas, shader, SKBlendMode.SrcOver);

        SKColor Veil(float share) => grey.WithAlpha((byte)(255 * share * strength));
    }

    private void DrawNight(SKCanvas canvas, float strength)
    {
        byte left = (byte)(255 - 225 * strength);
        _paint.Color = new SKColor(left, left, (byte)Math.Min(255, left + 12));
        _paint.BlendMode = SKBlendMode.Multiply;
        canvas.DrawRect(0, 0, _width, _height, _paint);
        _paint.BlendMode = SKBlendMode.SrcOver;
        using var beam = SKShader.CreateRadialGradient(new SKPoint(_width / 2f, _height * 1.02f), _width * 0.42f,
            [new SKColor(255, 244, 214, (byte)(70 * strength)), new SKColor(255, 244, 214, 0)], SKShaderTileMode.Clamp);
        Overlay(canvas, beam, SKBlendMode.Plus);
    }

    private void DrawSnow(SKCanvas canvas, float strength)
    {
        using var shader = SKShader.CreateLinearGradient(new SKPoint(0, 0), new SKPoint(0, _height),
            [new SKColor(224, 228, 234, (byte)(150 * strength)), new SKColor(228, 231, 236, (byte)(120 * strength)),
            new SKColor(238, 240, 244, (byte)(200 * strength)), new SKColor(238, 240, 244, (byte)(150 * strength))], [0, 0.44f, 0.5f, 1],
            SKShaderTileMode.Clamp);
        Overlay(canvas, shader, SKBlendMode.SrcOver);
        _paint.Color = new SKColor(252, 253, 255, 225);
        for (int i = 0; i < (int)(260 * strength); i++)
        {
            float size = _scale * (0.6f + 2.2f * MathF.Pow(_random.NextSingle(), 3));
            canvas.DrawOval(_random.NextSingle() * _width, _random.NextSingle() * _height, size, size * 1.25f, _paint);
        }
    }

    private void DrawRain(SKCanvas canvas, float strength)
    {
        _paint.Color = new SKColor(70, 78, 88, (byte)(105 * strength));
        canvas.DrawRect(0, 0, _width, _height, _paint);
        using (var wet = SKShader.CreateLinearGradient(new SKPoint(0, _horizon), new SKPoint(0, _height),
            [new SKColor(190, 198, 208, (byte)(120 * strength)), new SKColor(120, 126, 134, (byte)(30 * strength))],
            SKShaderTileMode.Clamp))
        {
            _paint.Shader = wet;
            canvas.DrawRect(0, _horizon, _width, _height - _horizon, _paint);
            _paint.Shader = null;
        }
        _paint.Color = new SKColor(212, 218, 226, 120);
        _paint.StrokeWidth = 0.8f * _scale;
        for (int i = 0; i < (int)(240 * strength); i++)
        {
            float x = _random.NextSingle() * (_width + 20 * _scale);
            float y = _random.NextSingle() * _height;
            float length = _scale * (6 + 10 * _random.NextSingle());
            canvas.DrawLine(x, y, x - length * 0.22f, y + length, _paint);
        }
    }

    private void DrawDirt(SKCanvas canvas, float strength)
    {
        _paint.MaskFilter = _soft;
        foreach (var (centre, radius, color) in _dirt)
        {
            _paint.Color = color.WithAlpha((byte)(color.Alpha * strength));
            canvas.DrawOval(centre.X, centre.Y, radius, radius * 0.8f, _paint);
        }
        _paint.MaskFilter = null;
    }

    private void Defocus(SKCanvas canvas, SKBitmap picture, float strength)
    {
        using var sharp = SKImage.FromBitmap(picture);
        using var paint = new SKPaint();
        paint.ImageFilter = SKImageFilter.CreateBlur(3.2f * strength * _scale, 3.2f * strength * _scale, SKShaderTileMode.Clamp);
        canvas.DrawImage(sharp, 0, 0, paint);
        paint.ImageFilter.Dispose();
    }

    private void Overlay(SKCanvas canvas, SKShader shader, SKBlendMode mode)
    {
        _paint.Color = SKColors.White;
        _paint.Shader = shader;
        _paint.BlendMode = mode;
        canvas.DrawRect(0, 0, _width, _height, _paint);
        _paint.BlendMode = SKBlendMode.SrcOver;
        _paint.Shader = null;
    }
}
