using OutlierPipeline.Frames;

namespace OutlierPipeline.Evaluation;

/// <summary>How sharp pictures are, by their gradients. Noise is sharp too, so a figure goes with a picture or an error.</summary>
public static class Sharpness
{
    /// <summary>Mean square of the differences of luma between neighbouring pixels, in grey levels.</summary>
    /// <param name="pictures"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    /// <exception cref="ArgumentException">There is no whole picture.</exception>
    public static double Of(ReadOnlySpan<byte> pictures, FrameSize size)
    {
        if (pictures.IsEmpty || pictures.Length % size.Bytes != 0)
            throw new ArgumentException($"{pictures.Length} bytes are no pictures of {size}", nameof(pictures));
        double sum = 0;
        long count = 0;
        for (int first = 0; first < pictures.Length; first += size.Bytes)
        {
            var picture = pictures.Slice(first, size.Bytes);
            for (int y = 0; y < size.Height - 1; y++)
            {
                for (int x = 0; x < size.Width - 1; x++)
                {
                    double here = Luma(picture, size, y, x);
                    double right = Luma(picture, size, y, x + 1) - here;
                    double below = Luma(picture, size, y + 1, x) - here;
                    sum += right * right + below * below;
                    count += 2;
                }
            }
        }
        return sum / count;
    }

    private static double Luma(ReadOnlySpan<byte> picture, FrameSize size, int y, int x)
    {
        int i = 3 * (y * size.Width + x);
        return 0.299 * picture[i] + 0.587 * picture[i + 1] + 0.114 * picture[i + 2];
    }
}
