using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>Measurements of a picture that several scores share.</summary>
internal static class PictureFeatures
{
    /// <summary>The square of one grey level: smaller energies are rounding, of the camera and of float32.</summary>
    private const double Floor = 1.0 / (255 * 255);

    /// <summary>Mean of the channels, <c>[N, 1, H, W]</c>.</summary>
    public static T Grey<T>(TensorOps<T> ops, FrameSize size, T picture) => ops.Reshape(ops.Mean(picture, 1), 1, size.Height, size.Width);

    public static T LogFloored<T>(TensorOps<T> ops, T x) => ops.Log(ops.Add(x, ops.Constant(Floor)));

    /// <summary>
    /// One step of a Laplacian pyramid with block means: the means of 2×2 blocks, and each block's mean squared deviation from its mean, both
    /// <c>[N, 1, H/2, W/2]</c>. Deviations, and not the difference of two energies, which would lose the digits of a faint band.
    /// </summary>
    public static (T Coarser, T Energy) Split<T>(TensorOps<T> ops, T level, int height, int width)
    {
        var coarser = ops.AveragePool(level, 2);
        var blocks = ops.Reshape(level, height / 2, 2, width / 2, 2);
        var deviations = ops.Subtract(blocks, ops.Reshape(coarser, height / 2, 1, width / 2, 1));
        return (coarser, ops.Reshape(ops.Mean(ops.Square(deviations), 2, 4), 1, height / 2, width / 2));
    }

    /// <summary>Log energies of the pyramid's bands, <c>[N, levels + 1]</c>, finest first, the last being the rest.</summary>
    public static T BandEnergies<T>(TensorOps<T> ops, FrameSize size, T grey, int levels)
    {
        var bands = new List<T>();
        var level = grey;
        for (int i = 0; i < levels; i++)
        {
            (level, var energy) = Split(ops, level, size.Height >> i, size.Width >> i);
            bands.Add(LogFloored(ops, ops.Reshape(ops.Mean(energy, 2, 3), 1)));
        }
        bands.Add(LogFloored(ops, ops.Reshape(ops.Mean(ops.Square(level), 2, 3), 1)));
        return ops.Concat([.. bands]);
    }

    /// <summary>Log mean absolute differences between neighbouring rows and between neighbouring columns, <c>[N, 2]</c>.</summary>
    public static T Gradients<T>(TensorOps<T> ops, FrameSize size, T grey)
    {
        var rows = ops.Subtract(ops.Slice(grey, 2, 1, size.Height - 1), ops.Slice(grey, 2, 0, size.Height - 1));
        var columns = ops.Subtract(ops.Slice(grey, 3, 1, size.Width - 1), ops.Slice(grey, 3, 0, size.Width - 1));
        return ops.Concat(Log(rows), Log(columns));

        T Log(T difference) => LogFloored(ops, ops.Reshape(ops.Mean(ops.Abs(difference), 2, 3), 1));
    }
}
