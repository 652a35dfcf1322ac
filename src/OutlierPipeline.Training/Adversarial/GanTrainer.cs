using System.Diagnostics;
using System.Globalization;
using OutlierPipeline.Footage;
using OutlierPipeline.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>
/// Trains a <see cref="PictureGenerator"/> against an <see cref="Adversary"/>, a step of one and a step of the other in turns. What is
/// kept is an
/// exponential moving average of the generator's weights. On CPU the same seed, frames and number of threads give the same weights, also
/// when the run was interrupted in between.
/// </summary>
/// <remarks>Moving average: Yazıcı et al., The Unusual Effectiveness of Averaging in GAN Training, ICLR 2019.</remarks>
internal sealed class GanTrainer : IDisposable
{
    /// <summary>Below this share of the frames' own spread the pictures count as all alike.</summary>
    public const double Collapsed = 0.15;

    /// <summary>Share of the run before collapse is looked for: the first pictures are all near the mean picture.</summary>
    private const double Grace = 0.2;

    /// <summary>And at least so many steps: a shorter run has not left the mean picture yet.</summary>
    private const int GraceSteps = 100;

    /// <summary>The average forgets half within so many frames, or a twentieth of those so far.</summary>
    private const double HalfLife = 5000;

    private const int Compared = 64;
    private static readonly TimeSpan CheckpointPeriod = TimeSpan.FromMinutes(5);
    private readonly PictureGenerator _generator;
    private readonly DecodedFootage _training;
    private readonly TrainingSettings _settings;
    private readonly string _file;
    private readonly Device _device;
    private readonly TrainedWeights _weights;
    private readonly Adversary _adversary;
    private readonly Dictionary<string, Tensor> _average;
    private readonly TorchOps _averageOps;
    private readonly List<(double Discriminator, double Generator)> _losses = [];
    private readonly int _stepsPerEpoch;
    private readonly double _spread;
    private Checkpoint _checkpoint;

    /// <param name="file">Where checkpoints go.</param>
    public GanTrainer(PictureGenerator generator, DecodedFootage training, TrainingSettings settings, string file, Device? device = null)
    {
        _generator = generator;
        _training = training;
        _settings = settings with { Batch = Math.Min(settings.Batch, training.Count) };
        _file = file;
        _device = device ?? CPU;
        _stepsPerEpoch = (training.Count + _settings.Batch - 1) / _settings.Batch;
        manual_seed(settings.Seed);
        _weights = new TrainedWeights(generator.Weights(), name => name == PictureGenerator.DrawWeight ? 0.02 : 1,
            settings.LearningRate, _device);
        _adversary = new Adversary(generator.Size, settings.LearningRate, _device);
        using (var off = no_grad())
        using (var scope = NewDisposeScope())
        {
            var mean = tensor(Trainer.MeanPicture(training), [generator.Size.Height, generator.Size.Width, 3]).permute(2, 0, 1) / 255;
            mean = mean.clamp(0.01, 0.99);
            _weights.All[PictureGenerator.Mean].copy_((mean / (1 - mean)).log());
            int count = Math.Min(Compared, training.Count);
            _spread = Spread(Frames([.. Enumerable.Range(0, count).Select(i => (int)((long)i * training.Count / count))]));
        }
        _average = _weights.All.ToDictionary(weight => weight.Key, weight => weight.Value.detach().clone());
        _averageOps = new TorchOps(_average, _device);
        _checkpoint = new Checkpoint { Fingerprint = _settings.Fingerprint(training.Digest, generator.Size, generator.Latent, null) };
    }

    /// <summary>Epochs that have ended.</summary>
    public int Epochs => (int)(_checkpoint.Step / _stepsPerEpoch);

    /// <summary>The mean losses of each epoch.</summary>
    public IReadOnlyList<(double Discriminator, double Generator)> Losses => _losses;

    /// <summary>How far pictures differ from each other, as a share of what frames do; after the last epoch.</summary>
    public double Diversity { get; private set; } = double.NaN;

    /// <summary>The averaged weights of the generator, by name.</summary>
    public IReadOnlyDictionary<string, (float[] Values, long[] Shape)> Weights =>
        _average.ToDictionary(weight => weight.Key, weight => (Trainer.Values(weight.Value), weight.Value.shape));

    /// <summary>Goes on where a checkpoint was written.</summary>
    /// <exception cref="TrainingException">There is none, or it is of another run.</exception>
    public void Resume()
    {
        if (!File.Exists(_file)) throw new TrainingException($"{_file}: there is no checkpoint to resume from; leave out --resume");
        _checkpoint = Checkpoint.Load(_file, _checkpoint.Fingerprint, reader =>
        {
            _weights.Load(reader);
            _adversary.Weights.Load(reader);
            _losses.Clear();
            for (int count = reader.ReadInt32(); count > 0; count--) _losses.Add((reader.ReadDouble(), reader.ReadDouble()));
            Diversity = reader.ReadDouble();
        });
        using var off = no_grad();
        foreach (var (name, values) in _checkpoint.BestWeights)
        {
            using var loaded = tensor(values, _average[name].shape).to(_device);
            _average[name].copy_(loaded);
        }
    }

    /// <summary>Runs to the end, or until cancelled; a checkpoint is left in either case.</summary>
    /// <returns>False if it was cancelled.</returns>
    /// <exception cref="TrainingException">A loss is no number any more, or all pictures look alike.</exception>
    public bool Run(Action<TrainingProgress> report, CancellationToken cancellation)
    {
        long steps = (long)_settings.Epochs * _stepsPerEpoch;
        long begun = Stopwatch.GetTimestamp();
        long saved = begun;
        long from = _checkpoint.Step;
        int[] order = Order(Epochs);
        if (from == 0) Save();
        while (_checkpoint.Step < steps)
        {
            if (cancellation.IsCancellationRequested)
            {
                Save();
                return false;
            }
            int within = (int)(_checkpoint.Step % _stepsPerEpoch);
            if (within == 0) order = Order(Epochs);
            int[] batch = order[(within * _settings.Batch)..Math.Min(order.Length, (within + 1) * _settings.Batch)];
            var loss = Uncollected.Run(() => Step(batch));
            if (!double.IsFinite(loss.Discriminator + loss.Generator))
                throw new TrainingException($"the loss is not a number since epoch {Epochs + 1}, step {within + 1}: lower " +
                    $"--learning-rate ({_settings.LearningRate}); no package was written");
            _checkpoint.Step++;
            _checkpoint.Error += loss.Discriminator / _stepsPerEpoch;
            _checkpoint.Kl += loss.Generator / _stepsPerEpoch;
            bool ends = within == _stepsPerEpoch - 1;
            double share = (within + 1.0) / _stepsPerEpoch;
            int epoch = (int)((_checkpoint.Step - 1) / _stepsPerEpoch) + 1;
            string figures = string.Create(CultureInfo.InvariantCulture, $"discriminator {_checkpoint.Error / share:0.000}  generator " +
                $"{_checkpoint.Kl / share:0.000}  diversity {Diversity:0.00}");
            if (ends) End((double)_checkpoint.Step / steps);
            if (ends || Stopwatch.GetElapsedTime(saved) > CheckpointPeriod)
            {
                Save();
                saved = Stopwatch.GetTimestamp();
            }
            double rate = (_checkpoint.Step - from) * (double)_settings.Batch / Stopwatch.GetElapsedTime(begun).TotalSeconds;
            report(new TrainingProgress(epoch, _checkpoint.Step, steps, figures, rate, ends));
        }
        return true;
    }

    public void Dispose()
    {
        _weights.Dispose();
        _adversary.Dispose();
        foreach (var weight in _average.Values) weight.Dispose();
    }

    private (double Discriminator, double Generator) Step(ReadOnlySpan<int> indices)
    {
        using var scope = NewDisposeScope();
        manual_seed(Seeds.Of(_settings.Seed, _checkpoint.Step));
        var random = new Random((int)Seeds.Of(_settings.Seed, ~_checkpoint.Step));
        var frames = Planes(Augmentation.Draw(_training, indices, random, _device));
        var drawn = _generator.Draw(_weights.Ops, randn(indices.Length, _generator.Latent, device: _device));
        double discriminator = _adversary.Learn(frames, drawn, _checkpoint.Step);
        var loss = _adversary.Loss(drawn);
        _weights.Descend(loss);
        double seen = (_checkpoint.Step + 1.0) * _settings.Batch;
        double kept = Math.Pow(0.5, _settings.Batch / Math.Min(HalfLife, 0.05 * seen));
        using var off = no_grad();
        foreach (var (name, average) in _average) average.mul_(kept).add_(_weights.All[name].detach() * (1 - kept));
        return (discriminator, loss.ToDouble());
    }

    /// <summary>Notes the epoch's losses and looks for collapse.</summary>
    /// <param name="progress">Share of the run that is done.</param>
    private void End(double progress)
    {
        _losses.Add((_checkpoint.Error, _checkpoint.Kl));
        _checkpoint.Error = 0;
        _checkpoint.Kl = 0;
        _checkpoint.BestEpoch = Epochs;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        manual_seed(_settings.Seed);
        Diversity = Spread(_generator.Draw(_averageOps, randn(Compared, _generator.Latent, device: _device))) / _spread;
        if (progress >= Grace && _checkpoint.Step >= GraceSteps && Diversity < Collapsed)
            throw new TrainingException(string.Create(CultureInfo.InvariantCulture, $"the generator has collapsed: after epoch {Epochs} " +
                $"its pictures differ from each other by {Diversity:0.00} of what frames do (at least {Collapsed} is expected): lower " +
                $"--learning-rate ({_settings.LearningRate}), or give more varied footage; no package was written"));
    }

    private void Save()
    {
        _checkpoint.BestWeights = _average.ToDictionary(weight => weight.Key, weight => Trainer.Values(weight.Value));
        _checkpoint.Save(_file, writer =>
        {
            _weights.Save(writer);
            _adversary.Weights.Save(writer);
            writer.Write(_losses.Count);
            foreach (var (discriminator, generator) in _losses)
            {
                writer.Write(discriminator);
                writer.Write(generator);
            }
            writer.Write(Diversity);
        });
    }

    private Tensor Frames(int[] indices) => Planes(TorchOps.Pixels(_training, indices, _device));

    /// <summary>Grey levels <c>[N, H, W, 3]</c> as planes from 0 to 1.</summary>
    private static Tensor Planes(Tensor pixels) => (pixels / 255).permute(0, 3, 1, 2);

    /// <summary>Root mean square deviation of pixels from their mean over the pictures.</summary>
    private static double Spread(Tensor pictures) => (pictures - pictures.mean([0L], keepdim: true)).pow(2).mean().sqrt().ToDouble();

    private int[] Order(int epoch)
    {
        int[] order = [.. Enumerable.Range(0, _training.Count)];
        new Random((int)Seeds.Of(_settings.Seed, epoch * 1_000_003L)).Shuffle(order);
        return order;
    }
}
