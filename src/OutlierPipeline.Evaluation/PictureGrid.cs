using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Evaluation;

/// <summary>Pictures side by side, for people.</summary>
public static class PictureGrid
{
    /// <param name="pixels"><c>[n, H, W, 3]</c> uint8, RGB; row by row.</param>
    /// <returns>A PNG.</returns>
    public static byte[] Encode(ReadOnlySpan<byte> pixels, FrameSize size, int columns)
    {
        int count = pixels.Length / size.Bytes;
        int rows = (count + columns - 1) / columns;
        using var grid = new SKBitmap(columns * size.Width, rows * size.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        grid.Erase(SKColors.White);
        var target = grid.GetPixelSpan();
        for (int i = 0; i < count; i++)
        {
            for (int y = 0; y < size.Height; y++)
            {
                var row = pixels.Slice(i * size.Bytes + y * size.Width * 3, size.Width * 3);
                int at = ((i / columns * size.Height + y) * grid.Width + i % columns * size.Width) * 4;
                for (int x = 0; x < size.Width; x++) row.Slice(x * 3, 3).CopyTo(target[(at + x * 4)..]);
            }
        }
        using var png = grid.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }

    /// <summary>Error maps as pictures: black where normal, through red to yellow at eight deviations.</summary>
    /// <param name="maps"><c>[n, h, w]</c>.</param>
    /// <returns><c>[n, H, W, 3]</c> uint8, RGB.</returns>
    public static byte[] Heat(ReadOnlySpan<float> maps, int rows, int columns, FrameSize size)
    {
        byte[] pixels = new byte[maps.Length / (rows * columns) * size.Bytes];
        for (int i = 0; i < pixels.Length / 3; i++)
        {
            int frame = i / (size.Height * size.Width);
            int y = i / size.Width % size.Height * rows / size.Height;
            int x = i % size.Width * columns / size.Width;
            float share = Math.Clamp(maps[(frame * rows + y) * columns + x] / 8, 0, 1);
            pixels[i * 3] = (byte)(255 * Math.Min(1, 2 * share));
            pixels[i * 3 + 1] = (byte)(255 * Math.Max(0, 2 * share - 1));
        }
        return pixels;
    }
}
