using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>One minus the mean structural similarity of grey picture and reconstruction, in windows of a patch.</summary>
/// <remarks>
/// Wang, Bovik, Sheikh and Simoncelli, Image quality assessment: from error visibility to structural similarity, 2004, eq. 13. Variances within a patch are sums of its Haar
/// energies, so nothing is computed at full size.
/// </remarks>
public sealed class StructureScore : Score
{
    private const double C1 = 0.01 * 0.01;
    private const double C2 = 0.03 * 0.03;

    public override string Name => "structure";

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => ops.Subtract(ops.Constant(1), inputs.Means.Similarity());

    /// <summary>Structural similarity of each patch, and its mean squared residual: of grey, <c>[N·h·w, 1]</c> each.</summary>
    public static (T Similarity, T SquaredError) Of<T>(TensorOps<T> ops, FrameSize size, PatchFeatures<T> patches)
    {
        // Light is counted from black, as in the paper. With y = x − r: var y = var x + var r − 2 cov(x, r), cov(x, y) = var x − cov(x, r).
        var x = ops.Add(Grey(patches.Colours), ops.Constant(0.5));
        var r = Grey(patches.ResidualColours);
        var y = ops.Subtract(x, r);
        var pictureVariance = Variance(ops.Slice(patches.Energies, 0, PatchFeatures.Bands));
        var residualVariance = Variance(ops.Slice(patches.Energies, PatchFeatures.Bands, PatchFeatures.Bands));
        var withResidual = Frame(patches.Covariance);
        var covariance = ops.Subtract(pictureVariance, withResidual);
        var variances = ops.Add(ops.Add(covariance, pictureVariance), ops.Subtract(residualVariance, withResidual));
        var luminance = Ratio(ops.Multiply(ops.Multiply(x, y), ops.Constant(2)), ops.Add(ops.Square(x), ops.Square(y)), C1);
        var structure = Ratio(ops.Multiply(covariance, ops.Constant(2)), variances, C2);
        return (ops.Reshape(ops.Multiply(luminance, structure), 1), ops.Reshape(ops.Add(residualVariance, ops.Square(r)), 1));

        // A row a frame: arithmetic on rows of one value is ten times slower on CPU.
        T Frame(T values) => ops.Reshape(values, PatchFeatures.Count(size));

        T Grey(T colours) => Frame(ops.Slice(colours, 0, 1));

        T Variance(T energies) => ops.Subtract(Frame(ops.SumLast(energies)), ops.Constant(PatchFeatures.Bands * PatchFeatures.Floor));

        T Ratio(T above, T below, double constant) => ops.Divide(ops.Add(above, ops.Constant(constant)), ops.Add(below, ops.Constant(constant)));
    }

    public override void Fit(float[][] features)
    {
        // Nothing to learn.
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => Features(ops, inputs);

    public override double Evaluate(float[] features) => features[0];
}
