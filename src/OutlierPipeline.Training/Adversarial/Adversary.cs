using OutlierPipeline.Frames;
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
    private readonly Critic _critic;

    public Adversary(FrameSize size, double learningRate, Device device)
    {
        _critic = new Critic(size);
        Weights = new TrainedWeights(_critic.Weights(), name => name == "judge.weight" ? 0.5 : 1, learningRate, device);
    }

    public TrainedWeights Weights { get; }

    /// <summary>Learns from one batch.</summary>
    /// <param name="frames">From 0 to 1, <c>[N, 3, H, W]</c>.</param>
    /// <param name="drawn">The same shape; no gradient leads through it.</param>
    /// <param name="step">The number of the step.</param>
    /// <returns>The loss without the penalty: 2 ln 2 where frames and drawn pictures cannot be told apart.</returns>
    public double Learn(Tensor frames, Tensor drawn, long step)
    {
        bool isPenalised = step % Every == 0;
        var real = isPenalised ? frames.detach().requires_grad_(true) : frames;
        var verdict = _critic.Judge(Weights.Ops, real).Verdict;
        var loss = nn.functional.softplus(-verdict).mean()
            + nn.functional.softplus(_critic.Judge(Weights.Ops, drawn.detach()).Verdict).mean();
        double said = loss.ToDouble();
        if (isPenalised)
        {
            var gradient = autograd.grad([verdict.sum()], [real], retain_graph: true, create_graph: true)[0];
            loss += gradient.pow(2).sum([1L, 2L, 3L]).mean() * (0.5 * Gamma * Every);
        }
        Weights.Descend(loss);
        return said;
    }

    /// <summary>The loss of whoever drew: small where the pictures are taken for frames.</summary>
    public Tensor Loss(Tensor drawn) => nn.functional.softplus(-_critic.Judge(Weights.Ops, drawn).Verdict).mean();

    public void Dispose() => Weights.Dispose();
}
