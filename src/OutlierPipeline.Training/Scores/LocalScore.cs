using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training.Scores;

/// <summary>
/// The strangest place of the picture: the maximum of the error map, which is each patch's log squared residual less its mean over the
/// training frames, in units of its deviation there. Finds what is small, where every mean over the picture fails.
/// </summary>
/// <remarks>Per-position normalisation as in Defard et al., PaDiM, ICPR 2021, with one feature a patch.</remarks>
public sealed class LocalScore : Score
{
    /// <summary>Share of the deviation over all patches in that of one: few frames say little of one place.</summary>
    private const double Pooled = 0.3;

    private float[] _mean = [];
    private float[] _deviation = [];

    public override string Name => "local";

    /// <summary>Log mean squared residual of each patch, <c>[N, h·w]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var squares = ops.Reshape(ops.Mean(ops.Square(inputs.Residual), 1), 1, inputs.Size.Height, inputs.Size.Width);
        return PictureFeatures.LogFloored(ops, PictureFeatures.PatchMeans(ops, inputs.Size, squares, inputs.Mask, PatchNetwork.Patch));
    }

    public override void Fit(float[][] features)
    {
        int patches = features[0].Length;
        double[] mean = new double[patches];
        double[] variance = new double[patches];
        for (int i = 0; i < patches; i++)
        {
            mean[i] = features.Average(row => row[i]);
            variance[i] = features.Average(row => (row[i] - mean[i]) * (row[i] - mean[i]));
        }
        double pooled = variance.Average();
        _mean = [.. mean.Select(value => (float)value)];
        _deviation = [.. variance.Select(value => (float)Math.Sqrt((1 - Pooled) * value + Pooled * pooled + 1e-6))];
    }

    /// <summary>The error map as <c>[N, h·w]</c>; 0, which is normal, where the mask leaves nothing.</summary>
    public T Map<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var deviations = ops.Divide(ops.Subtract(Features(ops, inputs), ops.Constant(_mean, 1, _mean.Length)), ops.Constant(_deviation, 1, _deviation.Length));
        return ops.Multiply(deviations, PictureFeatures.PatchMask(ops, inputs.Size, inputs.Mask));
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => ops.MaxLast(Map(ops, inputs));
}
