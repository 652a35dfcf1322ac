using SkiaSharp;

namespace OutlierPipeline.Frames;

/// <summary>Between the model's pictures and SkiaSharp's.</summary>
internal static class RgbBitmap
{
    /// <param name="rgb"><c>[H, W, 3]</c> uint8, RGB.</param>
    /// <returns>To be disposed by the caller.</returns>
    public static SKBitmap Of(ReadOnlySpan<byte> rgb, FrameSize size)
    {
        var bitmap = new SKBitmap(size.Width, size.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        var target = bitmap.GetPixelSpan();
        for (int i = 0, o = 0; i < rgb.Length; i += 3, o += 4)
        {
            rgb.Slice(i, 3).CopyTo(target[o..]);
            target[o + 3] = 255;
        }
        return bitmap;
    }
}
