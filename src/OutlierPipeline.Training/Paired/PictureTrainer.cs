using OutlierPipeline.Footage;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Paired;

/// <summary>
/// Trains a <see cref="MapPainter"/>: the mean absolute difference to the frame, and the verdicts of a <see cref="PairCritic"/> that sees
/// map and picture.
/// </summary>
/// <remarks>Isola et al., CVPR 2017.</remarks>
internal sealed class PictureTrainer : AdversarialTrainer
{
    /// <summary>Seconds of one core that a frame of 128×96 costs, measured (docs/models.md).</summary>
    public const double FrameCost = 0.08;

    private const double Momentum = 0.5;
    private const int Compared = 32;
    private readonly MapPainter _painter;
    private readonly DecodedFootage _training;
    private readonly byte[][] _maps;
    private readonly int _classes;
    private readonly double _spread;

    /// <param name="training">Of the painter's size.</param>
    /// <param name="maps">The same frames', of that size.</param>
    public PictureTrainer(MapPainter painter, DecodedFootage training, byte[][] maps, LabelClasses classes, TrainingSettings settings,
        string file, Device? device = null)
        : base(training, settings, file, Begin(painter, training, maps, classes, settings, device ?? CPU),
            CriticFor(classes, settings, device ?? CPU),
            own => own.Fingerprint(training.Digest, painter.Size, MapPainter.Noise, null), device ?? CPU)
    {
        (_painter, _training, _maps, _classes) = (painter, training, maps, classes.Classes.Count);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        _spread = SpreadOf(Frames(Evenly(_maps.Length, Compared)));
    }

    /// <summary>How far pictures of different maps differ, as a share of what frames do; after the last epoch.</summary>
    public double Diversity => Measured;

    protected override string MeasuredName => "diversity";

    protected override (double Discriminator, double Generator) Step(int[] indices, Random random, double progress)
    {
        Generator.LearningRate = Settings.LearningRate * (0.02 + 0.98 * 0.5 * (1 + Math.Cos(Math.PI * progress)));
        var (frames, maps) = (Frames(indices), Maps(indices));
        if (random.Next(2) == 1) (frames, maps) = (frames.flip(3), maps.flip(3));
        var drawn = MapPainter.Draw(Generator.Ops, maps, randn(indices.Length, MapPainter.Noise, device: Device));
        var loss = (drawn - frames).abs().mean();
        double discriminator = 0;
        if (Settings.AdversarialWeight > 0)
        {
            discriminator = Adversary.Learn(frames, drawn, Steps, maps);
            loss += Adversary.Loss(drawn, maps) * Settings.AdversarialWeight;
        }
        Generator.Descend(loss);
        return (discriminator, loss.ToDouble());
    }

    /// <summary>How far pictures of different maps differ, as a share of what frames do.</summary>
    /// <exception cref="TrainingException">They all look alike.</exception>
    protected override double Measure(double progress)
    {
        int[] some = Evenly(_maps.Length, Compared);
        var drawn = MapPainter.Draw(AverageOps, Maps(some), randn(some.Length, MapPainter.Noise, device: Device));
        return DiversityOf(drawn, _spread, progress);
    }

    private static TrainedWeights Begin(MapPainter painter, DecodedFootage training, byte[][] maps, LabelClasses classes,
        TrainingSettings settings, Device device)
    {
        manual_seed(settings.Seed);
        var weights = new TrainedWeights(painter.Weights(), name => name == MapPainter.DrawWeight ? 0.02 : 1, settings.LearningRate, device,
            Momentum);
        double[,] sums = new double[classes.Classes.Count, 3];
        long[] counts = new long[classes.Classes.Count];
        for (int i = 0; i < maps.Length; i++)
        {
            byte[] frame = training[i];
            for (int pixel = 0; pixel < maps[i].Length; pixel++)
            {
                counts[maps[i][pixel]]++;
                for (int c = 0; c < 3; c++) sums[maps[i][pixel], c] += frame[3 * pixel + c] / 255.0;
            }
        }
        float[] odds = new float[3 * counts.Length];
        for (int k = 0; k < counts.Length; k++)
        {
            for (int c = 0; c < 3; c++)
            {
                double mean = counts[k] == 0 ? 0.5 : Math.Clamp(sums[k, c] / counts[k], 0.01, 0.99);
                odds[c * counts.Length + k] = (float)Math.Log(mean / (1 - mean));
            }
        }
        using var off = no_grad();
        using var colours = tensor(odds, [3, counts.Length, 1, 1]);
        weights.All[MapPainter.Colours].copy_(colours);
        return weights;
    }

    private static Adversary CriticFor(LabelClasses classes, TrainingSettings settings, Device device)
    {
        var critic = new PairCritic(classes.Classes.Count, 3, isGivenHalf: false);
        return new Adversary(critic.Weights(), (ops, made, given) => critic.Judge(ops, made, given!), settings.LearningRate / 2, device);
    }

    private Tensor Frames(int[] indices) => (TorchOps.Pixels(_training, indices, Device) / 255).permute(0, 3, 1, 2);

    private Tensor Maps(int[] indices) => nn.functional.one_hot(tensor(indices.SelectMany(i => _maps[i]).ToArray(),
        [indices.Length, _painter.Size.Height, _painter.Size.Width], device: Device).to(int64), _classes).permute(0, 3, 1, 2).to(float32);
}
