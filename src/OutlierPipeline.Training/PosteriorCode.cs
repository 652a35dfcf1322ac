using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>A batch of codes that are distributions, and what they cost in the loss.</summary>
internal sealed class PosteriorCode
{
    /// <summary>Share of the run over which the KL divergence gains its weight (Bowman et al., CoNLL 2016).</summary>
    private const double WarmUp = 0.2;

    /// <summary>Share of the run over which the capacity grows.</summary>
    private const double Growth = 0.5;

    private readonly Tensor _mean;
    private readonly Tensor _logVariance;
    private readonly Tensor _perUnit;

    /// <param name="mean"><c>[N, Z]</c>.</param>
    /// <param name="logVariance"><c>[N, Z]</c>.</param>
    /// <param name="isDrawn">Whether codes are drawn, or taken to be their means.</param>
    public PosteriorCode(Tensor mean, Tensor logVariance, bool isDrawn)
    {
        _mean = mean;
        _logVariance = logVariance;
        _perUnit = 0.5 * (mean.pow(2) + logVariance.exp() - 1 - logVariance).mean([0L]);
        Drawn = isDrawn ? mean + (logVariance * 0.5).exp() * randn_like(mean) : mean;
        Kl = _perUnit.sum().ToDouble();
    }

    /// <summary><c>[N, Z]</c>.</summary>
    public Tensor Drawn { get; }

    /// <summary>Nats a frame.</summary>
    public double Kl { get; }

    /// <summary>What the loss takes for the code, nats a frame.</summary>
    /// <param name="progress">Share of the run that is done.</param>
    /// <remarks>
    /// β KL (Higgins et al. 2017), β |KL − C| with a capacity (Burgess et al. 2018, eq. 8), or KL + (β − 1) TC (Chen et al. 2018, eq. 4
    /// with α = γ = 1).
    /// </remarks>
    public Tensor Divergence(TrainingSettings settings, double progress)
    {
        if (settings.Capacity > 0)
            return (_perUnit.sum() - settings.Capacity * Math.Min(1, progress / Growth)).abs() * settings.Beta;
        double warmth = Math.Min(1, progress / WarmUp);
        var kl = _perUnit.clamp_min(settings.FreeBits).sum();
        if (!settings.Architecture.WeighsTotalCorrelation) return kl * (warmth * settings.Beta);
        return (kl + TotalCorrelation() * (settings.Beta - 1)) * warmth;
    }

    /// <summary>
    /// Of the aggregate posterior, estimated on the batch by minibatch-weighted sampling, less a constant that has no gradient: the number
    /// of training frames is left out.
    /// </summary>
    /// <remarks>Chen et al. 2018, eq. 5.</remarks>
    public Tensor TotalCorrelation()
    {
        // [i, j, d]: log density of code i's dimension d in frame j's posterior, less ½ log 2π, which cancels.
        var mean = _mean.unsqueeze(0);
        var logVariance = _logVariance.unsqueeze(0);
        var log = -0.5 * ((Drawn.unsqueeze(1) - mean).pow(2) * (-logVariance).exp() + logVariance);
        double count = Math.Log(_mean.shape[0]);
        var joint = log.sum(-1).logsumexp(1) - count;
        var marginals = (log.logsumexp(1) - count).sum(-1);
        return (joint - marginals).mean();
    }
}
