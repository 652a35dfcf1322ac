using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>One minus the mean structural similarity of grey picture and reconstruction, in windows of a patch.</summary>
/// <remarks>
/// Wang, Bovik, Sheikh and Simoncelli, Image quality assessment: from error visibility to structural similarity, 2004, eq. 13. Variances
/// within a patch are sums of its Haar
/// energies, so nothing is computed at full size.
/// </remarks>
public sealed class StructureScore : Score
{
    private const double C1 = 0.01 * 0.01;
    private const double C2 = 0.03 * 0.03;

    /// <summary>Sums the energies of the picture's bands, and those of the residual's, <c>[18, 2]</c>.</summary>
    private static readonly float[] OverBands = [.. Enumerable.Range(0, 2 * PatchFeatures.Bands).SelectMany(band =>
        new[] { band < PatchFeatures.Bands ? 1f : 0, band < PatchFeatures.Bands ? 0 : 1f })];

    public override string Name => "structure";

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Subtract(ops.Constant(1), inputs.Means.Pick(MeanColumns.Similarity));

    /// <summary>Structural similarity of each patch, and its mean squared residual: of grey, <c>[N·h·w, 1]</c> each.</summary>
    public static (T Similarity, T SquaredError) Of<T>(TensorOps<T> ops, FrameSize size, PatchFeatures<T> patches)
    {
        // Light is counted from black, as in the paper. With the drawing y = x − r: x² + y² = 2xy + r², var x + var y = 2 cov(x, y) + var
        // r, cov(x, y) = var x − cov(x, r).
        var x = ops.Add(Grey(patches.Colours), ops.Constant(0.5));
        var r = Grey(patches.ResidualColours);
        var squared = ops.Square(r);
        var variances = ops.MatMul(patches.Energies, ops.Constant(OverBands, 2 * PatchFeatures.Bands, 2));
        var residualVariance = Variance(1, -PatchFeatures.Bands * PatchFeatures.Floor);
        var light = ops.Add(ops.Multiply(x, ops.Subtract(x, r)), ops.Constant(C1 / 2));
        var structure = ops.Subtract(Variance(0, C2 / 2 - PatchFeatures.Bands * PatchFeatures.Floor), Frame(patches.Covariance));
        var below = ops.Multiply(ops.Add(light, Half(squared)), ops.Add(structure, Half(residualVariance)));
        return (ops.Reshape(ops.Divide(ops.Multiply(light, structure), below), 1), ops.Reshape(ops.Add(residualVariance, squared), 1));

        // A row a frame: arithmetic on rows of one value is ten times slower on CPU.
        T Frame(T values) => ops.Reshape(values, PatchFeatures.Count(size));

        T Grey(T colours) => Frame(ops.Slice(colours, 0, 1));

        T Variance(int column, double more) => ops.Add(Frame(ops.Slice(variances, column, 1)), ops.Constant(more));

        T Half(T values) => ops.Multiply(values, ops.Constant(0.5));
    }

    public override void Fit(float[][] features)
    {
        // Nothing to learn.
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => Features(ops, inputs);

    public override double Evaluate(float[] features) => features[0];
}
