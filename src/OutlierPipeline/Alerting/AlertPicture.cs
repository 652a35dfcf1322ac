using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Alerting;

/// <summary>The picture of an alert: the frame as the model saw it, and beside it the same with the error map laid over.</summary>
public static class AlertPicture
{
    public const int MaxBytes = 64 * 1024;
    private const int Gap = 2;

    /// <summary>Deviations of the error map that are normal, and such that are strange at any rate.</summary>
    private const float Normal = 1;

    private const float Strange = 6;

    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB.</param>
    /// <param name="errorMap"><c>[rows, columns]</c>, higher is stranger.</param>
    /// <returns>A JPEG of at most <see cref="MaxBytes"/>.</returns>
    public static byte[] Encode(ReadOnlySpan<byte> pixels, FrameSize size, ReadOnlySpan<float> errorMap, int rows, int columns)
    {
        using var frame = RgbBitmap.Of(pixels, size);
        using var heat = HeatMap(errorMap, rows, columns);
        using var surface = SKSurface.Create(new SKImageInfo(size.Width * 2 + Gap, size.Height));
        var canvas = surface.Canvas;
        canvas.Clear(SKColors.Black);
        canvas.DrawBitmap(frame, 0, 0);
        canvas.DrawBitmap(frame, size.Width + Gap, 0);
        Lay(canvas, heat, SKRect.Create(size.Width + Gap, 0, size.Width, size.Height));
        using var image = surface.Snapshot();
        for (int quality = 80; ; quality -= 20)
        {
            using var jpeg = image.Encode(SKEncodedImageFormat.Jpeg, quality);
            if (jpeg.Size <= MaxBytes) return jpeg.ToArray();
            if (quality <= 20) return [];
        }
    }

    /// <summary>The frame under its heat map.</summary>
    /// <returns>A JPEG.</returns>
    /// <inheritdoc cref="Encode"/>
    public static byte[] EncodeHeatMap(ReadOnlySpan<byte> pixels, FrameSize size, ReadOnlySpan<float> errorMap, int rows, int columns)
    {
        using var frame = RgbBitmap.Of(pixels, size);
        using var heat = HeatMap(errorMap, rows, columns);
        using var canvas = new SKCanvas(frame);
        Lay(canvas, heat, SKRect.Create(size.Width, size.Height));
        canvas.Flush();
        using var jpeg = frame.Encode(SKEncodedImageFormat.Jpeg, 85);
        return jpeg.ToArray();
    }

    /// <summary>A picture as the model sees or draws it, as a JPEG.</summary>
    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB.</param>
    public static byte[] EncodeFrame(ReadOnlySpan<byte> pixels, FrameSize size)
    {
        using var frame = RgbBitmap.Of(pixels, size);
        using var jpeg = frame.Encode(SKEncodedImageFormat.Jpeg, 85);
        return jpeg.ToArray();
    }

    private static void Lay(SKCanvas canvas, SKBitmap heat, SKRect place)
    {
        using var image = SKImage.FromBitmap(heat);
        canvas.DrawImage(image, place, new SKSamplingOptions(SKFilterMode.Linear));
    }

    /// <summary>Black and clear where the picture is normal, yellow and dense where it is strangest.</summary>
    private static SKBitmap HeatMap(ReadOnlySpan<float> errorMap, int rows, int columns)
    {
        float high = Strange;
        foreach (float value in errorMap)
        {
            if (float.IsFinite(value)) high = Math.Max(high, value);
        }
        var heat = new SKBitmap(columns, rows, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        for (int i = 0; i < errorMap.Length; i++)
        {
            float share = Math.Clamp((errorMap[i] - Normal) / (high - Normal), 0, 1);
            if (float.IsNaN(share)) share = 1;
            heat.SetPixel(i % columns, i / columns, new SKColor(255, (byte)(220 * share), 0, (byte)(220 * share)));
        }
        return heat;
    }
}
