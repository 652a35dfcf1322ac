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

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var patches = inputs.Patches;
        // Light is counted from black, as in the paper. With y = x − r: var y = var x + var r − 2 cov(x, r), cov(x, y) = var x − cov(x, r).
        var x = ops.Add(Grey(patches.Colours), ops.Constant(0.5));
        var y = ops.Subtract(x, Grey(patches.ResidualColours));
        var pictureVariance = Sum(ops.Slice(patches.Energies, 1, 0, PatchFeatures.Bands));
        var residualVariance = Sum(ops.Slice(patches.Energies, 1, PatchFeatures.Bands, PatchFeatures.Bands));
        var covariance = ops.Subtract(pictureVariance, patches.Products);
        var variances = ops.Add(covariance, ops.Subtract(ops.Add(pictureVariance, residualVariance), patches.Products));
        var luminance = Ratio(ops.Multiply(ops.Multiply(x, y), ops.Constant(2)), ops.Add(ops.Square(x), ops.Square(y)), C1);
        var structure = Ratio(ops.Multiply(covariance, ops.Constant(2)), variances, C2);
        return ops.Subtract(ops.Constant(1), PatchFeatures.MaskedMean(ops, ops.Multiply(luminance, structure), patches.Mask, 1));

        T Grey(T colours) => Plane(ops.Mean(colours, 1));

        T Sum(T energies) => ops.Multiply(Plane(ops.Mean(energies, 1)), ops.Constant(PatchFeatures.Bands));

        T Plane(T values) => ops.Reshape(values, 1, PatchFeatures.Rows(inputs.Size), PatchFeatures.Columns(inputs.Size));

        T Ratio(T above, T below, double constant) => ops.Divide(ops.Add(above, ops.Constant(constant)), ops.Add(below, ops.Constant(constant)));
    }

    public override void Fit(float[][] features)
    {
        // Nothing to learn.
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => Features(ops, inputs);

    public override double Evaluate(float[] features) => features[0];
}
