using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Alerts;

/// <summary>The picture of an alert: the frame as the model saw it, and beside it the same with the error map laid over.</summary>
public static class AlertPicture
{
    public const int MaxBytes = 64 * 1024;

    /// <summary>Side of the blocks of a blurred picture, in pixels of the picture as the model sees it.</summary>
    public const int Block = 12;

    private const int Gap = 2;

    /// <summary>Deviations of the error map that are normal, and such that are strange at any rate.</summary>
    private const float Normal = 1;

    private const float Strange = 6;

    /// <summary>Of a picture that is read from an alert: its header may promise any size.</summary>
    private static readonly FrameLimits Limits = new() { MaxPixels = 8 * 1024 * 1024 };

    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB.</param>
    /// <param name="errorMap"><c>[rows, columns]</c>, higher is stranger.</param>
    /// <returns>A JPEG of at most <see cref="MaxBytes"/>; empty where the rule says that there is none.</returns>
    public static byte[] Encode(ReadOnlySpan<byte> pixels, FrameSize size, ReadOnlySpan<float> errorMap, int rows, int columns,
        PictureRule rule = PictureRule.Full)
    {
        if (rule == PictureRule.None) return [];
        using var frame = RgbBitmap.Of(pixels, size);
        if (rule == PictureRule.Blurred) Blur(frame);
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
    /// <param name="isBlurred">Whether the frame is blurred before the heat map is laid over it.</param>
    /// <returns>A JPEG.</returns>
    /// <inheritdoc cref="Encode"/>
    public static byte[] EncodeHeatMap(ReadOnlySpan<byte> pixels, FrameSize size, ReadOnlySpan<float> errorMap, int rows, int columns,
        bool isBlurred = false)
    {
        using var frame = RgbBitmap.Of(pixels, size);
        if (isBlurred) Blur(frame);
        using var heat = HeatMap(errorMap, rows, columns);
        using var canvas = new SKCanvas(frame);
        Lay(canvas, heat, SKRect.Create(size.Width, size.Height));
        canvas.Flush();
        using var jpeg = frame.Encode(SKEncodedImageFormat.Jpeg, 85);
        return jpeg.ToArray();
    }

    /// <summary>A picture as the model sees or draws it, as a JPEG.</summary>
    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB.</param>
    public static byte[] EncodeFrame(ReadOnlySpan<byte> pixels, FrameSize size, bool isBlurred = false)
    {
        using var frame = RgbBitmap.Of(pixels, size);
        if (isBlurred) Blur(frame);
        using var jpeg = frame.Encode(SKEncodedImageFormat.Jpeg, 85);
        return jpeg.ToArray();
    }

    /// <summary>A picture that was made before it was to be blurred.</summary>
    /// <returns>A JPEG; empty if the picture cannot be decoded, or has more pixels than an alert's picture has.</returns>
    public static byte[] Blur(byte[] encoded)
    {
        if (ImageHeader.Read(encoded, Limits, out _) != FrameError.None) return [];
        using var data = SKData.CreateCopy(encoded);
        using var codec = SKCodec.Create(data);
        using var decoded = codec is null ? null : SKBitmap.Decode(codec);
        using var picture = decoded?.Copy(SKColorType.Rgba8888);
        if (picture is null) return [];
        Blur(picture);
        using var jpeg = picture.Encode(SKEncodedImageFormat.Jpeg, 80);
        return jpeg.ToArray();
    }

    /// <summary>Each block becomes the mean of its pixels: what was within it is gone, and no sharpening brings it back.</summary>
    private static void Blur(SKBitmap picture)
    {
        var pixels = picture.GetPixelSpan();
        Span<int> sums = stackalloc int[3];
        for (int top = 0; top < picture.Height; top += Block)
        {
            int bottom = Math.Min(top + Block, picture.Height);
            for (int left = 0; left < picture.Width; left += Block)
            {
                int right = Math.Min(left + Block, picture.Width);
                int count = (bottom - top) * (right - left);
                sums.Clear();
                for (int y = top; y < bottom; y++)
                    for (int x = left; x < right; x++)
                        for (int c = 0; c < 3; c++) sums[c] += pixels[y * picture.RowBytes + 4 * x + c];
                for (int y = top; y < bottom; y++)
                    for (int x = left; x < right; x++)
                        for (int c = 0; c < 3; c++) pixels[y * picture.RowBytes + 4 * x + c] = (byte)((sums[c] + count / 2) / count);
            }
        }
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
