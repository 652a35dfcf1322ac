using OutlierPipeline.Footage;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>
/// Trains a <see cref="PatchNetwork"/> whose decoder plays against a <see cref="Critic"/>, and whose likeness to the frame is judged by
/// what the critic sees instead of pixel by pixel: so a tree with other leaves costs less than a green blur.
/// </summary>
/// <remarks>
/// Larsen, Sønderby, Larochelle and Winther, Autoencoding beyond pixels using a learned similarity metric, ICML 2016, with the σ-VAE's
/// likelihood (Rybkin et al., ICML 2021) of what the critic sees, so that the critic's scale does not matter. The verdict moves the decoder
/// alone, on codes of frames and of the prior, as there.
/// </remarks>
internal sealed class VaeGanTrainer : AdversarialTrainer
{
    /// <summary>Seconds of one core that a frame of 128×64 costs, measured (docs/models.md).</summary>
    public const double FrameCost = 0.018;

    /// <summary>Of the verdict beside the likelihood of a value.</summary>
    private const double AdversarialWeight = 0.1;

    private const double Momentum = 0.5;

    /// <summary>Frames that the figures are measured on, at most.</summary>
    private const int Measurable = 256;

    private readonly PatchNetwork _network;
    private readonly Critic _critic;
    private readonly DecodedFootage _training;
    private readonly DecodedFootage _validation;
    private readonly Tensor _fill;
    private readonly Tensor? _counted;
    private readonly TorchOps _fillOps;
    private readonly double _spread;

    /// <param name="validation">Normal frames of other times than the training's; they choose nothing, and are measured at the end.</param>
    /// <param name="mask">Region of interest, or null where every pixel counts.</param>
    /// <param name="file">Where checkpoints go.</param>
    public VaeGanTrainer(PatchNetwork network, DecodedFootage training, DecodedFootage validation, FrameMask? mask,
        TrainingSettings settings, string file, Device? device = null)
        : base(training, settings, file, Begin(network, settings, device ?? CPU),
            Adversary.OfPictures(new Critic(network.Size), settings.LearningRate, device ?? CPU),
            own => own.Fingerprint(training.Digest, network.Size, network.Latent, mask is null ? null
                : ModelPackage.DigestOf(mask.Pixels)), device ?? CPU)
    {
        (_network, _critic, _training, _validation) = (network, new Critic(network.Size), training, validation);
        var size = network.Size;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var none = new TorchOps(new Dictionary<string, Tensor>(), Device);
        var mean = network.Patches(none, tensor(Trainer.MeanPicture(training), [1, size.Height, size.Width, 3]).to(Device));
        _fill = PatchNetwork.Analyse(none, mean).reshape(1, network.Cells, PatchTransform.Coefficients).DetachFromDisposeScope();
        _counted = mask is null ? null
            : network.Counted(none, tensor(mask.Pixels.ToArray(), [1, size.Height, size.Width]).to(Device)).DetachFromDisposeScope();
        _fillOps = new TorchOps(new Dictionary<string, Tensor> { [PatchNetwork.Fill] = _fill }, Device);
        _spread = SpreadOf(_network.Planes(none, Seen(TorchOps.Pixels(training, Evenly(training.Count, ComparedPictures), Device))));
    }

    /// <summary>How far draws of the prior differ from each other, as a share of what frames do; after the last epoch.</summary>
    public double Diversity => Measured;

    /// <summary>Values and shapes by name: of the network, averaged, and of the critic as it is.</summary>
    public IReadOnlyDictionary<string, (float[] Values, long[] Shape)> AllWeights =>
        Weights.Concat(CriticWeights).Append(new(PatchNetwork.Fill, (Trainer.Values(_fill), _fill.shape)))
            .ToDictionary(weight => weight.Key, weight => weight.Value);

    protected override string MeasuredName => "diversity";

    /// <summary>What the averaged weights come to, in pixels.</summary>
    public EpochFigures Judge()
    {
        var (trainingError, trainingKl) = Judge(_training);
        var (error, kl) = Judge(_validation);
        return new EpochFigures(trainingError, trainingKl, error, kl);
    }

    protected override void Dispose(bool disposing)
    {
        _fill.Dispose();
        _counted?.Dispose();
        base.Dispose(disposing);
    }

    protected override (double Discriminator, double Generator) Step(int[] indices, Random random, double progress)
    {
        int count = indices.Length;
        var seen = Seen(Augmentation.Draw(_training, indices, random, Device));
        var frames = _network.Planes(Generator.Ops, seen);
        var (mean, logVariance) = _network.Encode(Generator.Ops, seen);
        var code = new PosteriorCode(mean, logVariance!, isDrawn: true);
        // Half of them redraw frames, half are drawn of the prior; what is said of them does not reach the encoder.
        int redrawn = count / 2;
        var codes = cat([code.Drawn.narrow(0, 0, redrawn).detach(), randn(count - redrawn, _network.Latent, device: Device)], 0);
        var drawn = Draw(Generator.Ops, codes);
        double discriminator = Adversary.Learn(frames, drawn, Steps);
        var (saw, _) = _critic.Judge(Adversary.Weights.Ops, frames);
        var (sees, _) = _critic.Judge(Adversary.Weights.Ops, Draw(Generator.Ops, code.Drawn));
        var difference = (sees - saw.detach()).pow(2);
        var verdict = Adversary.Loss(drawn);
        var loss = difference.mean().log() * 0.5 + code.Divergence(Settings, progress) / (difference.numel() / count)
            + verdict * AdversarialWeight;
        Generator.Descend(loss);
        return (discriminator, verdict.ToDouble());
    }

    /// <summary>The diversity of draws of the prior.</summary>
    /// <exception cref="TrainingException">All pictures look alike.</exception>
    protected override double Measure(double progress) => DiversityOf(
        Draw(AverageOps, randn(ComparedPictures, _network.Latent, device: Device)), _spread, progress);

    private (double Error, double Kl) Judge(DecodedFootage footage)
    {
        using var off = no_grad();
        double error = 0;
        double kl = 0;
        int[] some = Evenly(footage.Count, Measurable);
        foreach (int[] batch in some.Chunk(Settings.Batch))
        {
            using var scope = NewDisposeScope();
            var seen = Seen(TorchOps.Pixels(footage, batch, Device));
            var (mean, logVariance) = _network.Encode(AverageOps, seen);
            error += (_network.Planes(AverageOps, seen) - Draw(AverageOps, mean)).pow(2).mean().ToDouble() * batch.Length / some.Length;
            kl += new PosteriorCode(mean, logVariance!, isDrawn: false).Kl * batch.Length / some.Length;
        }
        return (error, kl);
    }

    /// <summary>Coefficients of frames, with the mean picture's where nothing counts.</summary>
    /// <param name="pixels">Grey levels, <c>[N, H, W, 3]</c>.</param>
    private Tensor Seen(Tensor pixels) => Filled(PatchNetwork.Analyse(_fillOps, _network.Patches(_fillOps, pixels)));

    /// <summary>Planes of red, green and blue of codes: around 0 to 1.</summary>
    private Tensor Draw(TorchOps ops, Tensor codes) => _network.Planes(ops, Filled(_network.Decode(ops, codes)));

    private Tensor Filled(Tensor coefficients) => _counted is null ? coefficients : _network.Filled(_fillOps, coefficients, _counted);

    private static TrainedWeights Begin(PatchNetwork network, TrainingSettings settings, Device device)
    {
        manual_seed(settings.Seed);
        return new TrainedWeights(network.Weights(), PatchNetwork.Gain, settings.LearningRate, device, Momentum);
    }
}
