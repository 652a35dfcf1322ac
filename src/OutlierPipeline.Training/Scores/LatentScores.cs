namespace OutlierPipeline.Training.Scores;

/// <summary>Kullback-Leibler divergence of the code's distribution from the prior, in nats: ½ Σ (μ² + σ² − 1 − log σ²).</summary>
/// <remarks>Kingma and Welling, ICLR 2014, appendix B.</remarks>
public sealed class KlScore : Score
{
    public override string Name => "kl";

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var terms = ops.Subtract(ops.Add(ops.Square(inputs.Mean), ops.Exp(inputs.LogVariance!)),
            ops.Add(inputs.LogVariance!, ops.Constant(1)));
        return ops.Multiply(ops.SumLast(terms), ops.Constant(0.5));
    }

    public override void Fit(float[][] features)
    {
        // Nothing to learn: the prior is given.
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => Features(ops, inputs);

    public override double Evaluate(float[] features) => features[0];
}

/// <summary>
/// Log squared Mahalanobis distance of the mean code in the aggregate posterior of the training frames, with full covariance: does the code
/// lie where theirs lay.
/// </summary>
/// <remarks>
/// Lee, Lee, Lee and Shin, A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018, eq. 1, with one class.
/// </remarks>
public sealed class LatentScore : DensityScore
{
    public override string Name => "latent";

    public override bool IsCombined => false;

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => inputs.Mean;
}

/// <summary>
/// How far log error and divergence lie from where those of normal frames concentrate, two-sided: what is drawn too well is strange too.
/// </summary>
/// <remarks>
/// Nalisnick, Matsukawa, Teh and Lakshminarayanan, Detecting out-of-distribution inputs to deep generative models using typicality, 2019.
/// </remarks>
public sealed class TypicalityScore : DensityScore
{
    private static readonly KlScore Kl = new();
    private static readonly ReconstructionScore Reconstruction = new();

    public override string Name => "typicality";

    public override bool IsCombined => false;

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var error = ops.Log(ops.Add(Reconstruction.Features(ops, inputs), ops.Constant(PatchFeatures.Floor)));
        return inputs.LogVariance is null ? error : ops.Concat(error, ops.Log(ops.Add(Kl.Features(ops, inputs), ops.Constant(1))));
    }
}
