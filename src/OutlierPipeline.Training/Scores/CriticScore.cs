using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training.Scores;

/// <summary>
/// What the discriminator of an adversarial training says of the frame: whether it looks drawn. It learned to tell frames from drawings,
/// not normal frames from strange ones, so it is there to be looked at.
/// </summary>
/// <remarks>
/// Zenati et al., Efficient GAN-Based Anomaly Detection, 2018, whose score has such a term.
/// </remarks>
public sealed class CriticScore(Critic critic) : Score
{
    public override string Name => "discriminator";

    /// <summary>The verdict with its sign turned, <c>[N, 1]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Subtract(ops.Constant(0), critic.Judge(ops, inputs.Planes!).Verdict);

    public override void Fit(float[][] features)
    {
        // Nothing to learn: the critic has learned already.
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => Features(ops, inputs);

    public override double Evaluate(float[] features) => features[0];
}
