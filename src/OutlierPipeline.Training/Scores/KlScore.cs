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
