namespace OutlierPipeline.Training.Networks;

/// <summary>
/// An orthonormal transform of an 8×8 patch, the first step into the network and the last out of it: a Haar pyramid of luma at full
/// resolution, and of two chromas at a
/// quarter of it, as still-picture codecs keep them. What is measured of picture and residual for the scores is read off the same
/// coefficients.
/// </summary>
/// <remarks>Haar, Mathematische Annalen 1910. Luma is (R + G + B)/√3, the chromas (R − B)/√2 and (R − 2G + B)/√6. Coefficients come in this
/// order: 63 details of luma, from
/// fine to coarse, of each scale horizontal, vertical and diagonal; means of luma and chromas; three coarsest details of each
/// chroma.</remarks>
public static class PatchTransform
{
    public const int Side = 8;

    /// <summary>Values of a patch: its pixels row by row, each red, green and blue.</summary>
    public const int Values = 3 * Side * Side;

    public const int Scales = 3;

    /// <summary>Scales times orientations.</summary>
    public const int Bands = 3 * Scales;

    /// <summary>Coefficients of luma but for its mean; they come first.</summary>
    public const int Details = Side * Side - 1;

    public const int Coefficients = Details + 3 + 2 * 3;

    private static readonly double[][] Colours =
        [[1 / Math.Sqrt(3), 1 / Math.Sqrt(3), 1 / Math.Sqrt(3)], [1 / Math.Sqrt(2), 0, -1 / Math.Sqrt(2)],
        [1 / Math.Sqrt(6), -2 / Math.Sqrt(6), 1 / Math.Sqrt(6)]];

    private static readonly (int Band, int Colour, int Block, int Top, int Left)[] Kernels =
    [
        .. Enumerable.Range(0, Bands).SelectMany(band => Blocks(2 << (band / 3)).Select(at => (band, 0, 2 << (band / 3), at.Top, at.Left))),
        .. Enumerable.Range(0, 3).Select(colour => (-1, colour, Side, 0, 0)),
        .. Enumerable.Range(1, 2).SelectMany(colour => Enumerable.Range(Bands - 3, 3).Select(band => (band, colour, Side, 0, 0))),
    ];

    /// <summary>From values to coefficients, <c>[192, 72]</c>; its transpose is the way back, but for the chromas' finer details.</summary>
    public static float[] Analysis { get; } = [.. Enumerable.Range(0, Values).SelectMany(value =>
        Kernels.Select(kernel => Weight(kernel, value)))];

    /// <summary>From coefficients to values, <c>[72, 192]</c>.</summary>
    public static float[] Synthesis { get; } = [.. Kernels.SelectMany(kernel =>
        Enumerable.Range(0, Values).Select(value => Weight(kernel, value)))];

    /// <summary>The band of a detail of luma.</summary>
    public static int Band(int detail) => Kernels[detail].Band;

    private static IEnumerable<(int Top, int Left)> Blocks(int block) =>
        Enumerable.Range(0, Side / block).SelectMany(row =>
        Enumerable.Range(0, Side / block).Select(column => (row * block, column * block)));

    private static float Weight((int Band, int Colour, int Block, int Top, int Left) kernel, int value)
    {
        int y = value / 3 / Side - kernel.Top;
        int x = value / 3 % Side - kernel.Left;
        if (y < 0 || x < 0 || y >= kernel.Block || x >= kernel.Block) return 0;
        int vertical = y < kernel.Block / 2 ? 1 : -1;
        int horizontal = x < kernel.Block / 2 ? 1 : -1;
        int sign = kernel.Band < 0 ? 1 : (kernel.Band % 3) switch { 0 => vertical, 1 => horizontal, _ => vertical * horizontal };
        return (float)(sign * Colours[kernel.Colour][value % 3] / kernel.Block);
    }
}
