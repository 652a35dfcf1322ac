namespace OutlierPipeline.Training.Scores;

/// <summary>
/// Negative log-likelihood of the grey picture under the decoder's Gaussian with the learned variance, a pixel value: ½ (‖x − x̂‖² / (D σ²)
/// + log 2πσ²).
/// One-sided: fog and blur are easier to draw than what is normal.
/// </summary>
/// <remarks>Rybkin, Daniilidis and Levine, ICML 2021, eq. 4.</remarks>
public sealed class ReconstructionScore : Score
{
    private double _variance = 1;

    public override string Name => "reconstruction";

    /// <summary>The mean squared error, <c>[N, 1]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => inputs.Means.Pick(MeanColumns.SquaredError);

    public override void Fit(float[][] features) => _variance = Math.Max(1e-6, features.Average(row => row[0]));

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Add(ops.Multiply(Features(ops, inputs), ops.Constant(0.5 / _variance)), ops.Constant(0.5 * Math.Log(2 * Math.PI * _variance)));

    public override double Evaluate(float[] features) => 0.5 * (features[0] / _variance + Math.Log(2 * Math.PI * _variance));
}
