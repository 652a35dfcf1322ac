using OutlierPipeline.Frames;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training.Scores;

/// <summary>Measurements of a picture that several scores share. Each looks only at what the mask leaves.</summary>
internal static class PictureFeatures
{
    /// <summary>The square of one grey level: smaller energies are rounding, of the camera and of float32.</summary>
    private const double Floor = 1.0 / (255 * 255);

    private const double Tiny = 1e-6;

    /// <summary>Mean of the channels, <c>[N, 1, H, W]</c>.</summary>
    public static T Grey<T>(TensorOps<T> ops, FrameSize size, T picture) => ops.Reshape(ops.Mean(picture, 1), 1, size.Height, size.Width);

    public static T LogFloored<T>(TensorOps<T> ops, T x) => ops.Log(ops.Add(x, ops.Constant(Floor)));

    /// <summary>Mean over the pixels that count, <c>[N, C]</c>, of <c>[N, C, h, w]</c>.</summary>
    public static T MaskedMean<T>(TensorOps<T> ops, T x, T mask, int channels = 1) =>
        ops.Divide(ops.Reshape(ops.Mean(ops.Multiply(x, mask), 2, 3), channels), ops.Add(ops.Reshape(ops.Mean(mask, 2, 3), 1), ops.Constant(Tiny)));

    /// <summary>
    /// One step of a Laplacian pyramid with block means: the means of 2×2 blocks, each block's mean squared deviation from its mean, and 1
    /// for the blocks of which every pixel counts; all <c>[N, 1, H/2, W/2]</c>. Deviations, and not the difference of two energies, which would
    /// lose the digits of a faint band.
    /// </summary>
    public static (T Coarser, T Energy, T Mask) Split<T>(TensorOps<T> ops, T level, T mask, int height, int width)
    {
        var coarser = ops.AveragePool(level, 2);
        var blocks = ops.Reshape(level, height / 2, 2, width / 2, 2);
        var deviations = ops.Subtract(blocks, ops.Reshape(coarser, height / 2, 1, width / 2, 1));
        var whole = ops.Clip(ops.Subtract(ops.Multiply(ops.AveragePool(mask, 2), ops.Constant(4)), ops.Constant(3)), 0, 1);
        return (coarser, ops.Reshape(ops.Mean(ops.Square(deviations), 2, 4), 1, height / 2, width / 2), whole);
    }

    /// <summary>Log energies of the pyramid's bands, <c>[N, levels + 1]</c>, finest first, the last being the rest.</summary>
    public static T BandEnergies<T>(TensorOps<T> ops, FrameSize size, T grey, T mask, int levels)
    {
        var bands = new List<T>();
        var level = grey;
        for (int i = 0; i < levels; i++)
        {
            (level, var energy, mask) = Split(ops, level, mask, size.Height >> i, size.Width >> i);
            bands.Add(LogFloored(ops, MaskedMean(ops, energy, mask)));
        }
        bands.Add(LogFloored(ops, MaskedMean(ops, ops.Square(level), mask)));
        return ops.Concat([.. bands]);
    }

    /// <summary>Log mean absolute differences between neighbouring rows and between neighbouring columns, <c>[N, 2]</c>.</summary>
    public static T Gradients<T>(TensorOps<T> ops, FrameSize size, T grey, T mask)
    {
        return ops.Concat(Log(2, size.Height), Log(3, size.Width));

        T Log(int dimension, int length)
        {
            var difference = ops.Subtract(ops.Slice(grey, dimension, 1, length - 1), ops.Slice(grey, dimension, 0, length - 1));
            var both = ops.Multiply(ops.Slice(mask, dimension, 1, length - 1), ops.Slice(mask, dimension, 0, length - 1));
            return LogFloored(ops, MaskedMean(ops, ops.Abs(difference), both));
        }
    }

    /// <summary>Means over patches of the pixels that count, <c>[N, h·w]</c>, of <c>[N, 1, …]</c> in blocks of a patch.</summary>
    /// <param name="x"><c>[N, 1, H/s, W/s]</c>, and its mask.</param>
    /// <param name="block">Side of a patch at that scale, 8/s.</param>
    public static T PatchMeans<T>(TensorOps<T> ops, FrameSize size, T x, T mask, int block)
    {
        var means = block > 1
            ? ops.Divide(ops.AveragePool(ops.Multiply(x, mask), block), ops.Add(ops.AveragePool(mask, block), ops.Constant(Tiny)))
            : x;
        return ops.Reshape(means, Patches(size));
    }

    /// <summary>1 for each patch of which at least a quarter counts, <c>[N or 1, h·w]</c>.</summary>
    public static T PatchMask<T>(TensorOps<T> ops, FrameSize size, T mask) =>
        ops.Reshape(ops.Clip(ops.Multiply(ops.Subtract(ops.AveragePool(mask, PatchNetwork.Patch), ops.Constant(0.24)), ops.Constant(1e4)), 0, 1), Patches(size));

    /// <summary>Puts the mean of the patches that count in the place of those that do not: so they move no quantile far.</summary>
    public static T WithoutMasked<T>(TensorOps<T> ops, T patches, T mask)
    {
        var mean = ops.Divide(ops.SumLast(ops.Multiply(patches, mask)), ops.Add(ops.SumLast(mask), ops.Constant(Tiny)));
        return ops.Add(ops.Multiply(patches, mask), ops.Multiply(mean, ops.Subtract(ops.Constant(1), mask)));
    }

    public static int Patches(FrameSize size) => size.Height / PatchNetwork.Patch * (size.Width / PatchNetwork.Patch);
}
