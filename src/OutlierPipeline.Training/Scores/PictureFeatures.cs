using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>Measurements of a picture that several scores share.</summary>
internal static class PictureFeatures
{
    private const double Floor = 1e-6;

    /// <summary>Mean of the channels, <c>[N, 1, H, W]</c>.</summary>
    public static T Grey<T>(TensorOps<T> ops, FrameSize size, T picture) => ops.Reshape(ops.Mean(picture, 1), 1, size.Height, size.Width);

    public static T LogFloored<T>(TensorOps<T> ops, T x) => ops.Log(ops.Add(x, ops.Constant(Floor)));

    /// <summary>
    /// Log energies of the bands of a Laplacian pyramid with block means, <c>[N, levels + 1]</c>, finest first, the last being the rest.
    /// Block means are orthogonal projections, so a band's energy is the energy before less the energy after.
    /// </summary>
    public static T BandEnergies<T>(TensorOps<T> ops, T grey, int levels)
    {
        var bands = new List<T>();
        var level = grey;
        var energy = ops.Reshape(ops.Mean(ops.Square(level), 2, 3), 1);
        for (int i = 0; i < levels; i++)
        {
            level = ops.AveragePool(level, 2);
            var coarser = ops.Reshape(ops.Mean(ops.Square(level), 2, 3), 1);
            bands.Add(LogFloored(ops, ops.Clip(ops.Subtract(energy, coarser), 0, 1e6f)));
            energy = coarser;
        }
        bands.Add(LogFloored(ops, energy));
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
