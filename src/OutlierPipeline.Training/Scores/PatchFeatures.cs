using OutlierPipeline.Frames;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training.Scores;

/// <summary>Measurements of each 8×8 patch of picture and residual, over the pixels that count.</summary>
/// <param name="Energies">Mean squared Haar coefficients of three scales and three orientations, <c>[N, 18, h, w]</c>: nine of the grey picture (by scale, then horizontal, vertical, diagonal), then nine of the grey residual. They sum to the variance within the patch.</param>
/// <param name="LogEnergies">Their logarithms, floored at half a grey level.</param>
/// <param name="Products">Mean products of the picture's coefficients with the residual's, summed: their covariance within the patch, <c>[N, 1, h, w]</c>.</param>
/// <param name="Colours">Mean red, green and blue of the picture, <c>[N, 3, h, w]</c>.</param>
/// <param name="ResidualColours">The same of the residual.</param>
/// <param name="Mask">1 for patches of which at least a quarter counts, <c>[N or 1, 1, h, w]</c>.</param>
/// <remarks>Haar 1910; energies of an orthogonal pyramid as a measure of input complexity: Serrà et al., ICLR 2020, in a local form.</remarks>
public sealed record PatchFeatures<T>(T Energies, T LogEnergies, T Products, T Colours, T ResidualColours, T Mask);

/// <summary>Computes <see cref="PatchFeatures{T}"/>, and means over them.</summary>
internal static class PatchFeatures
{
    public const int Scales = 3;
    public const int Bands = 3 * Scales;

    /// <summary>The square of half a grey level: smaller energies are rounding, of the camera and of float32.</summary>
    public const double Floor = 0.25 / (255 * 255);

    public const double Tiny = 1e-6;

    private static readonly float[][] Patterns = [[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]];

    /// <summary>The finest step, from colours: the means of red, green and blue, and three details of grey; <c>[6, 3, 2, 2]</c>.</summary>
    private static readonly float[] Finest = Kernels(3, [(0, [1f, 0, 0]), (0, [0, 1, 0]), (0, [0, 0, 1]), .. Enumerable.Range(1, 3).Select(detail => (detail, new[] { 1f / 3, 1f / 3, 1f / 3 }))]);

    /// <summary>A coarser step, of the grey means of picture and residual: their means, and three details of each; <c>[8, 2, 2, 2]</c>.</summary>
    private static readonly float[] Coarser = Kernels(2, [(0, [1f, 0]), (0, [0, 1]), .. Enumerable.Range(1, 3).Select(detail => (detail, new[] { 1f, 0 })), .. Enumerable.Range(1, 3).Select(detail => (detail, new[] { 0, 1f }))]);

    public static int Rows(FrameSize size) => size.Height / PatchNetwork.Patch;

    public static int Columns(FrameSize size) => size.Width / PatchNetwork.Patch;

    public static int Count(FrameSize size) => Rows(size) * Columns(size);

    public static PatchFeatures<T> Of<T>(TensorOps<T> ops, FrameSize size, T image, T residual, T mask)
    {
        var counted = ops.Clip(ops.Multiply(ops.Subtract(ops.AveragePool(mask, PatchNetwork.Patch), ops.Constant(0.24)), ops.Constant(1e4)), 0, 1);
        // Everything but this one step is done at half the size and below.
        var finest = ops.Constant(Finest, 6, 3, 2, 2);
        var none = ops.Constant(new float[6], 6);
        var x = ops.Conv(image, finest, none, 2, 0);
        var r = ops.Conv(residual, finest, none, 2, 0);
        var level = Whole(ops, mask);
        var pictureColours = Pool(ops.Slice(x, 1, 0, 3), level, 4);
        var residualColours = Pool(ops.Slice(r, 1, 0, 3), level, 4);
        var planes = ops.Concat(Grey(ops.Slice(x, 1, 0, 3)), Grey(ops.Slice(r, 1, 0, 3)));
        var energies = new List<T> { Energies(ops.Slice(x, 1, 3, 3), ops.Slice(r, 1, 3, 3), level, 4) };
        for (int scale = 1; scale < Scales; scale++)
        {
            var bands = ops.Conv(planes, ops.Constant(Coarser, 8, 2, 2, 2), ops.Constant(new float[8], 8), 2, 0);
            planes = ops.Slice(bands, 1, 0, 2);
            level = Whole(ops, level);
            energies.Add(Energies(ops.Slice(bands, 1, 2, 3), ops.Slice(bands, 1, 5, 3), level, 4 >> scale));
        }
        var all = ops.Concat([.. energies.Select(energy => ops.Slice(energy, 1, 0, 3)), .. energies.Select(energy => ops.Slice(energy, 1, 3, 3))]);
        var products = ops.Concat([.. energies.Select(energy => ops.Slice(energy, 1, 6, 3))]);
        var covariance = ops.Reshape(ops.Multiply(ops.Mean(products, 1), ops.Constant(Bands)), 1, Rows(size), Columns(size));
        return new PatchFeatures<T>(all, Log(ops, all), covariance, pictureColours, residualColours, counted);

        T Grey(T colours) => ops.Reshape(ops.Mean(colours, 1), 1, size.Height / 2, size.Width / 2);

        T Energies(T picture, T remainder, T counts, int block) =>
            Pool(ops.Concat(ops.Square(picture), ops.Square(remainder), ops.Multiply(picture, remainder)), counts, block);

        T Pool(T values, T counts, int block)
        {
            var counting = ops.Multiply(values, counts);
            return block == 1 ? counting : ops.Divide(ops.AveragePool(counting, block), ops.Add(ops.AveragePool(counts, block), ops.Constant(Tiny)));
        }
    }

    public static T Log<T>(TensorOps<T> ops, T energy) => ops.Log(ops.Add(energy, ops.Constant(Floor)));

    /// <summary>Mean over what counts, <c>[N, C]</c>, of <c>[N, C, h, w]</c>.</summary>
    public static T MaskedMean<T>(TensorOps<T> ops, T x, T mask, int channels) =>
        ops.Divide(ops.Reshape(ops.Mean(ops.Multiply(x, mask), 2, 3), channels), ops.Add(ops.Reshape(ops.Mean(mask, 2, 3), 1), ops.Constant(Tiny)));

    /// <summary>Side by side: <c>[N, C, h, w]</c> as <c>[N, C, h·w]</c>.</summary>
    public static T Flat<T>(TensorOps<T> ops, FrameSize size, T x, int channels) => ops.Reshape(x, channels, Count(size));

    /// <summary>1 for 2×2 blocks of which every pixel counts: elsewhere the mask's edge would be taken for the picture's.</summary>
    private static T Whole<T>(TensorOps<T> ops, T mask) => ops.Clip(ops.Subtract(ops.Multiply(ops.AveragePool(mask, 2), ops.Constant(4)), ops.Constant(3)), 0, 1);

    private static float[] Kernels(int inputs, (int Pattern, float[] Weights)[] outputs) =>
        [.. outputs.SelectMany(output => Enumerable.Range(0, inputs).SelectMany(input => Patterns[output.Pattern].Select(value => value * output.Weights[input] / 4)))];
}
