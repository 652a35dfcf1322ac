using System.Globalization;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training;

/// <summary>Everything but the frames that a training run depends on.</summary>
public sealed record TrainingSettings
{
    public required Architecture Architecture { get; init; }

    public required int Epochs { get; init; }

    /// <summary>Frames of a step.</summary>
    public required int Batch { get; init; }

    public required int Seed { get; init; }

    /// <summary>Weight of the KL divergence at the end of its warm-up.</summary>
    public required double Beta { get; init; }

    /// <summary>Nats of each unit that cost nothing.</summary>
    /// <remarks>Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, NeurIPS 2016, eq. 15.</remarks>
    public double FreeBits { get; init; } = 0.05;

    /// <summary>
    /// Nats a frame that the code is led to carry, from none at the start to these at half of the run; 0 where the weight alone decides.
    /// </summary>
    /// <remarks>Burgess et al., Understanding Disentangling in β-VAE, 2018, eq. 8.</remarks>
    public double Capacity { get; init; }

    /// <summary>Whether frames are moved and made brighter a little.</summary>
    public bool IsAugmented { get; init; } = true;

    public double LearningRate { get; init; } = 1e-3;

    /// <summary>The run ends after so many epochs without a better validation loss.</summary>
    public required int Patience { get; init; }

    /// <summary>Whether the network computes in bfloat16, its weights and losses staying float32.</summary>
    public bool IsMixedPrecision { get; init; }

    /// <summary>Whether the network is trained a second time, on frames drawn inversely to the density of their codes.</summary>
    public bool IsDebiased { get; init; }

    /// <summary>As how many of the frames, as a share, the drawn ones of the second training count.</summary>
    public double DebiasShare { get; init; } = LatentHistogram.EffectiveShare;

    /// <summary>Of pairs: weight of the discriminator's verdict beside the difference to the truth; 0 for the difference alone.</summary>
    public double AdversarialWeight { get; init; }

    /// <summary>A run goes on only from a checkpoint with the same.</summary>
    /// <param name="digest">Of the training frames.</param>
    internal string Fingerprint(string digest, FrameSize size, int latent, string? mask) =>
        string.Create(CultureInfo.InvariantCulture,
        $"{Architecture.Name} {size} {latent} {Epochs} {Batch} {Seed} {Beta} {FreeBits} " +
            $"{LearningRate} {Patience} {IsMixedPrecision} {digest} {mask}{(Capacity > 0 ? $" capacity {Capacity}" : "")}" +
            $"{(Architecture.IsPaired ? $" adversarial {AdversarialWeight}" : "")}");
}

/// <summary>The training did not lead anywhere. The message is one line that says what to do.</summary>
public sealed class TrainingException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>How far a run is.</summary>
/// <param name="Epoch">From 1.</param>
/// <param name="Step">Steps of all epochs so far, of <paramref name="Steps"/>.</param>
/// <param name="Figures">What the epoch so far came to, in words.</param>
/// <param name="EndsEpoch">Whether an epoch has just ended.</param>
public readonly record struct TrainingProgress(int Epoch, long Step, long Steps, string Figures, double FramesPerSecond, bool EndsEpoch)
{
    /// <summary>The figures of a network that draws what it saw.</summary>
    /// <param name="reconstruction">Negative log-likelihood, nats a value.</param>
    /// <param name="error">Mean squared error.</param>
    /// <param name="heldBack">Mean squared error of what was held back, after the last whole epoch; NaN before.</param>
    /// <param name="kl">Nats a frame.</param>
    internal static string Drawn(double reconstruction, double error, double heldBack, double kl)
    {
        string apart = double.IsNaN(heldBack) ? "" : string.Create(CultureInfo.InvariantCulture, $", held back {heldBack:0.00000}");
        return string.Create(CultureInfo.InvariantCulture,
            $"reconstruction {reconstruction:0.000} nats (error {error:0.00000}{apart})  KL {kl:0.0}");
    }
}
