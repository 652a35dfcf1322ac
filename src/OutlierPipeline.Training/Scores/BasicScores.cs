namespace OutlierPipeline.Training.Scores;

/// <summary>
/// Negative log-likelihood of the picture under the decoder's Gaussian with the learned variance, a pixel: ½ (‖x − x̂‖² / (D σ²) + log 2πσ²).
/// </summary>
/// <remarks>Rybkin, Daniilidis and Levine, ICML 2021, eq. 4.</remarks>
public sealed class ReconstructionScore : Score
{
    private double _variance = 1;

    public override string Name => "reconstruction";

    /// <summary>The mean squared error, <c>[N, 1]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        PictureFeatures.MaskedMean(ops, ops.Reshape(ops.Mean(ops.Square(inputs.Residual), 1), 1, inputs.Size.Height, inputs.Size.Width), inputs.Mask);

    public override void Fit(float[][] features) => _variance = Math.Max(1e-6, features.Average(row => row[0]));

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Add(ops.Multiply(Features(ops, inputs), ops.Constant(0.5 / _variance)), ops.Constant(0.5 * Math.Log(2 * Math.PI * _variance)));
}

/// <summary>Kullback-Leibler divergence of the code's distribution from the prior, in nats: ½ Σ (μ² + σ² − 1 − log σ²).</summary>
/// <remarks>Kingma and Welling, ICLR 2014, appendix B.</remarks>
public sealed class KlScore : Score
{
    public override string Name => "kl";

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => Compute(ops, inputs);

    public override void Fit(float[][] features)
    {
        // Nothing to learn: the prior is given.
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var terms = ops.Subtract(ops.Add(ops.Square(inputs.Mean), ops.Exp(inputs.LogVariance!)), ops.Add(inputs.LogVariance!, ops.Constant(1)));
        return ops.Multiply(ops.SumLast(terms), ops.Constant(0.5));
    }
}

/// <summary>Squared Mahalanobis distance of the mean code in the aggregate posterior of the training frames: does the code lie where theirs lay.</summary>
/// <remarks>Lee, Lee, Lee and Shin, A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018, eq. 1, with one class.</remarks>
public sealed class LatentScore : Score
{
    private GaussianDensity? _density;

    public override string Name => "latent";

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => inputs.Mean;

    public override void Fit(float[][] features) => _density = GaussianDensity.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => PictureFeatures.LogFloored(ops, _density!.Distance(ops, inputs.Mean));
}
