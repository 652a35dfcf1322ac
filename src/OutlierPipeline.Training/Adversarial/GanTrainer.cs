using OutlierPipeline.Footage;
using OutlierPipeline.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>Trains a <see cref="PictureGenerator"/> and looks for collapse after every epoch.</summary>
internal sealed class GanTrainer : AdversarialTrainer
{
    /// <summary>Seconds of one core that a frame of 128×64 costs, measured (docs/models.md).</summary>
    public const double FrameCost = 0.010;

    private readonly PictureGenerator _generator;
    private readonly DecodedFootage _training;
    private readonly double _spread;

    /// <param name="file">Where checkpoints go.</param>
    public GanTrainer(PictureGenerator generator, DecodedFootage training, TrainingSettings settings, string file, Device? device = null)
        : base(training, settings, file, Begin(generator, training, settings, device ?? CPU),
            Adversary.OfPictures(new Critic(generator.Size), settings.LearningRate, device ?? CPU),
            own => own.Fingerprint(training.Digest, generator.Size, generator.Latent, null), device ?? CPU)
    {
        _generator = generator;
        _training = training;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        _spread = SpreadOf(Planes(TorchOps.Pixels(training, Evenly(training.Count, ComparedPictures), Device)));
    }

    /// <summary>How far pictures differ from each other, as a share of what frames do; after the last epoch.</summary>
    public double Diversity => Measured;

    protected override string MeasuredName => "diversity";

    protected override (double Discriminator, double Generator) Step(int[] indices, Random random, double progress)
    {
        var frames = Planes(Augmentation.Draw(_training, indices, random, Device));
        var drawn = _generator.Draw(Generator.Ops, randn(indices.Length, _generator.Latent, device: Device));
        double discriminator = Adversary.Learn(frames, drawn, Steps);
        var loss = Adversary.Loss(drawn);
        Generator.Descend(loss);
        return (discriminator, loss.ToDouble());
    }

    /// <summary>The diversity.</summary>
    /// <exception cref="TrainingException">All pictures look alike.</exception>
    protected override double Measure(double progress) => DiversityOf(
        _generator.Draw(AverageOps, randn(ComparedPictures, _generator.Latent, device: Device)), _spread, progress);

    /// <summary>The weights as they begin: with the mean picture.</summary>
    private static TrainedWeights Begin(PictureGenerator generator, DecodedFootage training, TrainingSettings settings, Device device)
    {
        manual_seed(settings.Seed);
        var weights = new TrainedWeights(generator.Weights(), name => name == PictureGenerator.DrawWeight ? 0.02 : 1,
            settings.LearningRate, device);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var mean = tensor(Trainer.MeanPicture(training), [generator.Size.Height, generator.Size.Width, 3]).permute(2, 0, 1) / 255;
        mean = mean.clamp(0.01, 0.99);
        weights.All[PictureGenerator.Mean].copy_((mean / (1 - mean)).log());
        return weights;
    }

    /// <summary>Grey levels <c>[N, H, W, 3]</c> as planes from 0 to 1.</summary>
    private static Tensor Planes(Tensor pixels) => (pixels / 255).permute(0, 3, 1, 2);
}
