using OutlierPipeline.Models;
using SkiaSharp;

namespace OutlierPipeline.Evaluation;

/// <summary>Segmentation maps as pictures, for people.</summary>
public static class MapPictures
{
    private const double Opacity = 0.5;
    private const int Line = 24;
    private const int LegendWidth = 220;

    /// <summary>Pictures under the colours of their maps.</summary>
    /// <param name="pixels"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    /// <param name="map">Indices of classes, <c>[n, H, W]</c>.</param>
    /// <returns><c>[n, H, W, 3]</c> uint8, RGB.</returns>
    public static byte[] Overlay(ReadOnlySpan<byte> pixels, ReadOnlySpan<byte> map,
        IReadOnlyList<(byte Red, byte Green, byte Blue)> palette)
    {
        byte[] mixed = new byte[pixels.Length];
        for (int i = 0; i < map.Length; i++)
        {
            var (red, green, blue) = palette[map[i]];
            mixed[3 * i] = Mixed(pixels[3 * i], red);
            mixed[3 * i + 1] = Mixed(pixels[3 * i + 1], green);
            mixed[3 * i + 2] = Mixed(pixels[3 * i + 2], blue);
        }
        return mixed;

        static byte Mixed(byte pixel, byte colour) => (byte)Math.Round((1 - Opacity) * pixel + Opacity * colour);
    }

    /// <summary>Colours, indices and names of classes.</summary>
    /// <returns>A PNG.</returns>
    public static byte[] Legend(IReadOnlyList<ClassCard> classes)
    {
        using var picture = new SKBitmap(LegendWidth, classes.Count * Line, SKColorType.Rgba8888, SKAlphaType.Opaque);
        picture.Erase(SKColors.White);
        using (var canvas = new SKCanvas(picture))
        using (var font = new SKFont(SKTypeface.Default, Line * 0.6f))
        using (var paint = new SKPaint())
        {
            for (int k = 0; k < classes.Count; k++)
            {
                paint.Color = SKColor.Parse(classes[k].Colour);
                canvas.DrawRect(4, k * Line + 3, Line, Line - 6, paint);
                paint.Color = SKColors.Black;
                canvas.DrawText(FormattableString.Invariant($"{k} {classes[k].Name}"), Line + 14, k * Line + Line * 0.7f, font, paint);
            }
        }
        using var png = picture.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }
}
