using OutlierPipeline.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>
/// The discriminator of an adversarial training: it learns to tell frames from drawn pictures, and says how to draw better.
/// </summary>
/// <remarks>
/// Non-saturating losses: Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014. R1, the gradient penalty on frames: Mescheder,
/// Geiger and Nowozin, Which Training Methods for GANs do actually Converge?, ICML 2018, eq. 9; computed in every fourth step with four
/// times the weight (Karras et al., CVPR 2020).
/// </remarks>
internal sealed class Adversary : IDisposable
{
    private const double Gamma = 1;
    private const int Every = 4;
    private readonly Func<TorchOps, Tensor, Tensor?, Tensor> _judge;

    /// <param name="weights">Of what judges: name, shape and fan-in.</param>
    /// <param name="judge">The verdicts on pictures, with what they were made of where they were made of something; positive for
    /// frames.</param>
    public Adversary(IEnumerable<(string Name, long[] Shape, long FanIn)> weights, Func<TorchOps, Tensor, Tensor?, Tensor> judge,
        double learningRate, Device device)
    {
        _judge = judge;
        Weights = new TrainedWeights(weights, name => name == "judge.weight" ? 0.5 : 1, learningRate, device);
    }

    public TrainedWeights Weights { get; }

    /// <summary>One that sees pictures alone.</summary>
    public static Adversary OfPictures(Critic critic, double learningRate, Device device) =>
        new(critic.Weights(), (ops, pictures, _) => critic.Judge(ops, pictures).Verdict, learningRate, device);

    /// <summary>Learns from one batch.</summary>
    /// <param name="frames">From 0 to 1, <c>[N, C, H, W]</c>.</param>
    /// <param name="drawn">The same shape; no gradient leads through it.</param>
    /// <param name="step">The number of the step.</param>
    /// <param name="given">What both were made of, for one that sees pairs.</param>
    /// <returns>The loss without the penalty: 2 ln 2 where frames and drawn pictures cannot be told apart.</returns>
    public double Learn(Tensor frames, Tensor drawn, long step, Tensor? given = null)
    {
        bool isPenalised = step % Every == 0;
        var real = isPenalised ? frames.detach().requires_grad_(true) : frames;
        var verdict = _judge(Weights.Ops, real, given);
        var loss = nn.functional.softplus(-verdict).mean()
            + nn.functional.softplus(_judge(Weights.Ops, drawn.detach(), given)).mean();
        double said = loss.ToDouble();
        if (isPenalised)
        {
            // Of one verdict a picture, or the mean over those of its patches, each of which a few pixels move.
            long patches = verdict.numel() / verdict.shape[0];
            var gradient = autograd.grad([verdict.sum()], [real], retain_graph: true, create_graph: true)[0];
            loss += gradient.pow(2).sum([1L, 2L, 3L]).mean() * (0.5 * Gamma * Every / patches);
        }
        Weights.Descend(loss);
        return said;
    }

    /// <summary>The loss of whoever drew: small where the pictures are taken for frames.</summary>
    public Tensor Loss(Tensor drawn, Tensor? given = null) => nn.functional.softplus(-_judge(Weights.Ops, drawn, given)).mean();

    public void Dispose() => Weights.Dispose();
}
