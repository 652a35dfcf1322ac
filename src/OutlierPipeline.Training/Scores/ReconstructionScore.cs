namespace OutlierPipeline.Training.Scores;

/// <summary>
/// Negative log-likelihood of the grey picture under the decoder's Gaussian with the learned variance, a pixel value: ½ (‖x − x̂‖² / (D σ²)
/// + log 2πσ²).
/// One-sided: fog and blur are easier to draw than what is normal.
/// </summary>
/// <remarks>Rybkin, Daniilidis and Levine, ICML 2021, eq. 4.</remarks>
public sealed class ReconstructionScore : Score
{
    /// <summary>Sums the energies of the residual's bands, <c>[18, 1]</c>.</summary>
    private static readonly float[] OfResidual = [.. Enumerable.Range(0, 2 * PatchFeatures.Bands).Select(band =>
        band < PatchFeatures.Bands ? 0f : 1f)];

    private double _variance = 1;

    public override string Name => "reconstruction";

    /// <summary>The mean squared error over the patches that count, <c>[N, 1]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var patches = inputs.Patches;
        int count = PatchFeatures.Count(inputs.Size);
        // The variance within a patch is the sum of its Haar energies, so nothing is computed at full size. A row a frame: arithmetic on
        // rows of one value is ten times slower on CPU.
        var energies = ops.Reshape(ops.MatMul(patches.Energies, ops.Constant(OfResidual, 2 * PatchFeatures.Bands, 1)), count);
        var grey = ops.Reshape(ops.Slice(patches.ResidualColours, 0, 1), count);
        var squared = ops.Add(ops.Add(energies, ops.Constant(-PatchFeatures.Bands * PatchFeatures.Floor)), ops.Square(grey));
        var counted = ops.Add(ops.SumLast(patches.Mask), ops.Constant(PatchFeatures.Tiny));
        return ops.Divide(ops.SumLast(ops.Multiply(squared, patches.Mask)), counted);
    }

    public override void Fit(float[][] features) => _variance = Math.Max(1e-6, features.Average(row => row[0]));

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Add(ops.Multiply(Features(ops, inputs), ops.Constant(0.5 / _variance)), ops.Constant(0.5 * Math.Log(2 * Math.PI * _variance)));

    public override double Evaluate(float[] features) => 0.5 * (features[0] / _variance + Math.Log(2 * Math.PI * _variance));
}
