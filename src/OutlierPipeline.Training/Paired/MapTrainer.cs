using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Paired;

/// <summary>
/// Trains a <see cref="MapNetwork"/> on what the backbone said of frames and on the frames' maps: cross-entropy, in which rare classes
/// weigh more, and the verdicts of a <see cref="PairCritic"/> that sees a stage of the backbone and a map.
/// </summary>
/// <remarks>
/// Isola et al., CVPR 2017, with cross-entropy for L1; Luc, Couprie, Chintala and Verbeek, Semantic Segmentation using Adversarial
/// Networks, 2016.
/// </remarks>
internal sealed class MapTrainer : AdversarialTrainer
{
    /// <summary>Seconds of one core that a frame of 480×360 costs, measured (docs/models.md).</summary>
    public const double FrameCost = 0.085;

    /// <summary>The stage that the critic sees: its places are twice as far apart as those of maps.</summary>
    private const int SeenByCritic = 1;

    /// <summary>Share of a stage's channels that are left out in a step, as few frames ask for.</summary>
    private const double LeftOut = 0.15;

    /// <summary>A class weighs at most so many times as much as pixels at large.</summary>
    private const double MaxWeight = 5;

    private const double Momentum = 0.9;
    private const int Compared = 32;

    private readonly MapNetwork _network;
    private readonly StageFootage _features;
    private readonly byte[][] _maps;
    private readonly LabelClasses _classes;
    private readonly Tensor _weights;

    /// <param name="features">Of the same frames as <paramref name="training"/>.</param>
    /// <param name="maps">The same frames', of the network's size.</param>
    public MapTrainer(MapNetwork network, DecodedFootage training, StageFootage features, byte[][] maps, LabelClasses classes,
        TrainingSettings settings, string file, Device? device = null)
        : base(training, settings, file, Begin(network, features, settings, device ?? CPU),
            CriticFor(network, classes, settings, device ?? CPU),
            own => own.Fingerprint(training.Digest, network.Size, classes.Classes.Count, network.IsProbe ? "probe" : null), device ?? CPU)
    {
        (_network, _features, _maps, _classes) = (network, features, maps, classes);
        _weights = tensor(ClassWeights(maps, classes), device: Device);
    }

    /// <summary>Of some of the training frames, after the last epoch.</summary>
    public double MeanOverlap => Measured;

    protected override string MeasuredName => "training mIoU";

    protected override void Dispose(bool disposing)
    {
        _weights.Dispose();
        base.Dispose(disposing);
    }

    protected override (double Discriminator, double Generator) Step(int[] indices, Random random, double progress)
    {
        Generator.LearningRate = Settings.LearningRate * (0.02 + 0.98 * 0.5 * (1 + Math.Cos(Math.PI * progress)));
        int view = random.Next(StageFootage.Views);
        var seen = MapNetwork.Standardise(Generator.Ops, Seen(indices, view));
        var odds = _network.Classify(Generator.Ops, _network.IsProbe ? seen : [.. seen.Select(Thinned)]);
        var target = Target(indices, view);
        var loss = nn.functional.cross_entropy(Generator.Ops.Smooth(odds, 2), target, _weights, _classes.Void ?? -100);
        double discriminator = 0;
        if (Settings.AdversarialWeight > 0)
        {
            var real = Planes(target);
            var given = seen[SeenByCritic].detach();
            // Where nobody knows the class, neither map shows one.
            var drawn = odds.softmax(1) * real.sum([1L], keepdim: true);
            discriminator = Adversary.Learn(real, drawn, Steps, given);
            loss += Adversary.Loss(drawn, given) * Settings.AdversarialWeight;
        }
        Generator.Descend(loss);
        return (discriminator, loss.ToDouble());
    }

    /// <summary>The mean intersection over union of some of the training frames, by places.</summary>
    /// <exception cref="TrainingException">Every place is of the same class.</exception>
    protected override double Measure(double progress)
    {
        int[] some = Evenly(_maps.Length, Compared);
        int classes = _classes.Classes.Count;
        var counts = zeros(classes, classes, dtype: ScalarType.Int64, device: Device);
        foreach (int[] batch in some.Chunk(Settings.Batch))
        {
            using var scope = NewDisposeScope();
            var odds = _network.Classify(AverageOps, MapNetwork.Standardise(AverageOps, Seen(batch, 0)));
            var target = Target(batch, 0);
            var places = target.slice(1, 0, target.shape[1], 2).slice(2, 0, target.shape[2], 2).flatten();
            counts.add_(bincount(places * classes + odds.argmax(1).flatten(), minlength: classes * classes).reshape(classes, classes));
        }
        var quality = new TranslationQuality(_classes.Classes.Count, _classes.Void);
        quality.Add(counts.cpu().data<long>().ToArray());
        if (ShowsCollapse(progress) && counts.sum([0L]).gt(0).sum().ToInt64() == 1)
            throw new TrainingException($"the network has collapsed: after epoch {Epochs} it calls every place " +
                $"{_classes.Classes[(int)counts.sum([0L]).argmax().ToInt64()].Name}: lower --learning-rate ({Settings.LearningRate}) or " +
                $"--adversarial-weight ({Settings.AdversarialWeight}); no package was written");
        return quality.MeanOverlap();
    }

    private static TrainedWeights Begin(MapNetwork network, StageFootage features, TrainingSettings settings, Device device)
    {
        manual_seed(settings.Seed);
        var weights = new TrainedWeights(network.Weights(), name => name == "judge.weight" || network.IsProbe ? 0.1 : 1,
            settings.LearningRate, device, Momentum);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (mean, deviation, k) in features.Statistics(network))
        {
            weights.All[MapNetwork.ShiftOf(k)].copy_(mean.reshape(-1, 1, 1));
            weights.All[MapNetwork.ScaleOf(k)].copy_(1 / deviation.clamp_min(1e-2).reshape(-1, 1, 1));
        }
        return weights;
    }

    private static Adversary CriticFor(MapNetwork network, LabelClasses classes, TrainingSettings settings, Device device)
    {
        var critic = new PairCritic(network.Stages[SeenByCritic].Channels, classes.Classes.Count, isGivenHalf: true);
        return new Adversary(critic.Weights(), (ops, made, given) => critic.Judge(ops, made, given!), settings.LearningRate / 2, device);
    }

    /// <summary>By the inverse root of a class's share of the pixels that count.</summary>
    private static float[] ClassWeights(byte[][] maps, LabelClasses classes)
    {
        long[] counts = new long[classes.Classes.Count];
        foreach (byte[] map in maps)
        {
            foreach (byte index in map) counts[index]++;
        }
        if (classes.Void is { } nothing) counts[nothing] = 0;
        double all = counts.Sum();
        int present = counts.Count(count => count > 0);
        return [.. counts.Select(count => count == 0 ? 0 : (float)Math.Min(MaxWeight, Math.Sqrt(all / present / count)))];
    }

    /// <summary>What the backbone's stages say, where the network is computed.</summary>
    private Tensor[] Seen(int[] indices, int view) => [.. _features.Read(indices, view, _network).Select(planes => planes.to(Device))];

    /// <summary>Indices of every second pixel in both directions, <c>[N, H/2, W/2]</c>.</summary>
    private Tensor Target(int[] indices, int view)
    {
        var size = _network.Size;
        var maps = tensor(indices.SelectMany(i => _maps[i]).ToArray(), [indices.Length, size.Height, size.Width], device: Device);
        if (StageFootage.IsMirrored(view)) maps = maps.flip(2);
        return maps.slice(1, 0, size.Height, 2).slice(2, 0, size.Width, 2).to(int64);
    }

    /// <summary>The share of each class in each place of the network's, void left out.</summary>
    private Tensor Planes(Tensor target)
    {
        var planes = nn.functional.one_hot(target, _classes.Classes.Count).permute(0, 3, 1, 2).to(float32);
        if (_classes.Void is { } nothing) planes.narrow(1, nothing, 1).zero_();
        return nn.functional.avg_pool2d(planes, 2);
    }

    private static Tensor Thinned(Tensor planes) =>
        planes * (rand(planes.shape[0], planes.shape[1], 1, 1, device: planes.device) >= LeftOut).to(float32) / (1 - LeftOut);
}
