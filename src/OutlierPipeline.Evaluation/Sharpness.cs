using OutlierPipeline.Frames;

namespace OutlierPipeline.Evaluation;

/// <summary>How sharp pictures are, by their gradients. Noise is sharp too, so a figure goes with a picture or an error.</summary>
public static class Sharpness
{
    /// <summary>Mean square of the differences of luma between neighbouring pixels, in grey levels.</summary>
    /// <param name="pictures"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    /// <exception cref="ArgumentException">There is no whole picture.</exception>
    public static double Of(ReadOnlySpan<byte> pictures, FrameSize size) =>
        Products(pictures, pictures, size) / (2.0 * (size.Height - 1) * (size.Width - 1) * (pictures.Length / size.Bytes));

    /// <summary>How far the gradients of drawn pictures are those of their frames.</summary>
    /// <param name="drawn"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    /// <param name="frames">What they redraw, of the same shape.</param>
    /// <returns>
    /// The share of the frames' gradients that is drawn (the regression of drawn gradients on the frames'), and the correlation of both,
    /// each about zero; NaN where one of them has no gradient. Noise that was drawn leaves the share alone and lowers the correlation.
    /// </returns>
    /// <exception cref="ArgumentException">There is no whole picture, or they are not as many.</exception>
    public static (double Share, double Correlation) Followed(ReadOnlySpan<byte> drawn, ReadOnlySpan<byte> frames, FrameSize size)
    {
        if (drawn.Length != frames.Length)
            throw new ArgumentException($"{drawn.Length} bytes cannot redraw {frames.Length}", nameof(drawn));
        double both = Products(drawn, frames, size);
        double of = Products(frames, frames, size);
        return (both / of, both / Math.Sqrt(of * Products(drawn, drawn, size)));
    }

    /// <summary>The sum over all places of the products of two pictures' differences to the right and below.</summary>
    private static double Products(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other, FrameSize size)
    {
        if (one.IsEmpty || one.Length % size.Bytes != 0)
            throw new ArgumentException($"{one.Length} bytes are no pictures of {size}", nameof(one));
        double sum = 0;
        for (int first = 0; first < one.Length; first += size.Bytes)
        {
            var a = one.Slice(first, size.Bytes);
            var b = other.Slice(first, size.Bytes);
            for (int y = 0; y < size.Height - 1; y++)
            {
                for (int x = 0; x < size.Width - 1; x++)
                {
                    double hereA = Luma(a, size, y, x), hereB = Luma(b, size, y, x);
                    sum += (Luma(a, size, y, x + 1) - hereA) * (Luma(b, size, y, x + 1) - hereB)
                        + (Luma(a, size, y + 1, x) - hereA) * (Luma(b, size, y + 1, x) - hereB);
                }
            }
        }
        return sum;
    }

    private static double Luma(ReadOnlySpan<byte> picture, FrameSize size, int y, int x)
    {
        int i = 3 * (y * size.Width + x);
        return 0.299 * picture[i] + 0.587 * picture[i + 1] + 0.114 * picture[i + 2];
    }
}
