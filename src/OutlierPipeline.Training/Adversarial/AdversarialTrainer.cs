using System.Diagnostics;
using System.Globalization;
using OutlierPipeline.Footage;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>
/// Trains a generator against an <see cref="Adversary"/>, a step of one and a step of the other in turns. What is kept is an exponential
/// moving average of the generator's weights. On CPU the same seed, frames and number of threads give the same weights, also when the run
/// was interrupted in between.
/// </summary>
/// <remarks>Moving average: Yazıcı et al., The Unusual Effectiveness of Averaging in GAN Training, ICLR 2019.</remarks>
internal abstract class AdversarialTrainer : IDisposable
{
    /// <summary>The average forgets half within so many frames, or a twentieth of those so far.</summary>
    private const double HalfLife = 5000;

    /// <summary>Below this share of the frames' own spread the pictures count as all alike.</summary>
    public const double LeastDiversity = 0.15;

    /// <summary>Pictures that are compared for it.</summary>
    protected const int ComparedPictures = 64;

    /// <summary>
    /// Share of the run before collapse is looked for, and steps: the first pictures are all near the mean picture, and a shorter run has
    /// not left it yet.
    /// </summary>
    private const double CollapseFrom = 0.2;
    private const int CollapseFromStep = 300;

    private static readonly TimeSpan CheckpointPeriod = TimeSpan.FromMinutes(5);
    private readonly string _file;
    private readonly Dictionary<string, Tensor> _average;
    private readonly List<(double Discriminator, double Generator)> _losses = [];
    private readonly int _frames;
    private readonly int _stepsPerEpoch;
    private Checkpoint _checkpoint;

    /// <param name="training">Frames; only their number and digest count here.</param>
    /// <param name="file">Where checkpoints go.</param>
    /// <param name="weights">The generator's, as it begins.</param>
    /// <param name="fingerprint">Of the settings, whose batch is no larger than the frames are many.</param>
    protected AdversarialTrainer(DecodedFootage training, TrainingSettings settings, string file, TrainedWeights weights,
        Adversary adversary, Func<TrainingSettings, string> fingerprint, Device device)
    {
        Settings = settings with { Batch = Math.Min(settings.Batch, training.Count) };
        Device = device;
        Generator = weights;
        Adversary = adversary;
        _file = file;
        _frames = training.Count;
        _stepsPerEpoch = (_frames + Settings.Batch - 1) / Settings.Batch;
        _average = weights.All.ToDictionary(weight => weight.Key, weight => weight.Value.detach().clone());
        AverageOps = new TorchOps(_average, device);
        _checkpoint = new Checkpoint { Fingerprint = fingerprint(Settings) };
    }

    /// <summary>Epochs that have ended.</summary>
    public int Epochs => (int)(_checkpoint.Step / _stepsPerEpoch);

    /// <summary>The mean losses of each epoch.</summary>
    public IReadOnlyList<(double Discriminator, double Generator)> Losses => _losses;

    /// <summary>The averaged weights of the generator, by name.</summary>
    public IReadOnlyDictionary<string, (float[] Values, long[] Shape)> Weights =>
        _average.ToDictionary(weight => weight.Key, weight => (Trainer.Values(weight.Value), weight.Value.shape));

    /// <summary>The weights of the discriminator, as they are, by name.</summary>
    public IReadOnlyDictionary<string, (float[] Values, long[] Shape)> CriticWeights =>
        Adversary.Weights.All.ToDictionary(weight => weight.Key, weight => (Trainer.Values(weight.Value), weight.Value.shape));

    protected TrainingSettings Settings { get; }

    protected Device Device { get; }

    protected TrainedWeights Generator { get; }

    protected Adversary Adversary { get; }

    /// <summary>Computes with the averaged weights.</summary>
    protected TorchOps AverageOps { get; }

    /// <summary>What is measured after each epoch; NaN before the first.</summary>
    protected double Measured { get; private set; } = double.NaN;

    /// <summary>What <see cref="Measured"/> is called.</summary>
    protected abstract string MeasuredName { get; }

    /// <summary>Steps done, of all epochs.</summary>
    protected long Steps => _checkpoint.Step;

    /// <summary>Whether there is one to resume from.</summary>
    public bool HasCheckpoint => File.Exists(_file);

    /// <summary>Goes on where a checkpoint was written.</summary>
    /// <exception cref="TrainingException">There is none, or it is of another run.</exception>
    public void Resume()
    {
        if (!HasCheckpoint) throw new TrainingException($"{_file}: there is no checkpoint to resume from; leave out --resume");
        _checkpoint = Checkpoint.Load(_file, _checkpoint.Fingerprint, reader =>
        {
            Generator.Load(reader);
            Adversary.Weights.Load(reader);
            _losses.Clear();
            for (int count = reader.ReadInt32(); count > 0; count--) _losses.Add((reader.ReadDouble(), reader.ReadDouble()));
            Measured = reader.ReadDouble();
        });
        using var off = no_grad();
        foreach (var (name, values) in _checkpoint.BestWeights)
        {
            using var loaded = tensor(values, _average[name].shape).to(Device);
            _average[name].copy_(loaded);
        }
    }

    /// <summary>Runs to the end, or until cancelled; a checkpoint is left in either case.</summary>
    /// <returns>False if it was cancelled.</returns>
    /// <exception cref="TrainingException">A loss is no number any more, or what is measured says that the run leads nowhere.</exception>
    public bool Run(Action<TrainingProgress> report, CancellationToken cancellation)
    {
        long steps = (long)Settings.Epochs * _stepsPerEpoch;
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
            int[] batch = order[(within * Settings.Batch)..Math.Min(order.Length, (within + 1) * Settings.Batch)];
            var loss = Uncollected.Run(() => StepAndAverage(batch, (double)_checkpoint.Step / steps));
            if (!double.IsFinite(loss.Discriminator + loss.Generator))
                throw new TrainingException($"the loss is not a number since epoch {Epochs + 1}, step {within + 1}: lower " +
                    $"--learning-rate ({Settings.LearningRate}); no package was written");
            _checkpoint.Step++;
            _checkpoint.Error += loss.Discriminator / _stepsPerEpoch;
            _checkpoint.Kl += loss.Generator / _stepsPerEpoch;
            bool ends = within == _stepsPerEpoch - 1;
            double share = (within + 1.0) / _stepsPerEpoch;
            int epoch = (int)((_checkpoint.Step - 1) / _stepsPerEpoch) + 1;
            string figures = string.Create(CultureInfo.InvariantCulture, $"discriminator {_checkpoint.Error / share:0.000}  generator " +
                $"{_checkpoint.Kl / share:0.000}  {MeasuredName} {Measured:0.00}");
            if (ends) End((double)_checkpoint.Step / steps);
            if (ends || Stopwatch.GetElapsedTime(saved) > CheckpointPeriod)
            {
                Save();
                saved = Stopwatch.GetTimestamp();
            }
            double rate = (_checkpoint.Step - from) * (double)Settings.Batch / Stopwatch.GetElapsedTime(begun).TotalSeconds;
            report(new TrainingProgress(epoch, _checkpoint.Step, steps, figures, rate, ends));
        }
        return true;
    }

    public void Dispose()
    {
        Generator.Dispose();
        Adversary.Dispose();
        foreach (var weight in _average.Values) weight.Dispose();
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }

    /// <summary>One step of both.</summary>
    /// <param name="random">Of the seed and the step's number, as libtorch's own random numbers are.</param>
    /// <param name="progress">Share of the run that is done.</param>
    protected abstract (double Discriminator, double Generator) Step(int[] indices, Random random, double progress);

    /// <summary>What an epoch came to, by the averaged weights.</summary>
    /// <param name="progress">Share of the run that is done.</param>
    /// <exception cref="TrainingException">The run leads nowhere.</exception>
    protected abstract double Measure(double progress);

    /// <summary>Whether a run is so far that a collapse would show.</summary>
    protected bool ShowsCollapse(double progress) => progress >= CollapseFrom && Steps >= CollapseFromStep;

    /// <summary>How far pictures differ from each other, as a share of what frames do.</summary>
    /// <param name="pictures">Drawn of different codes, <c>[N, C, H, W]</c>.</param>
    /// <param name="spread">Of frames.</param>
    /// <exception cref="TrainingException">All pictures look alike.</exception>
    protected double DiversityOf(Tensor pictures, double spread, double progress)
    {
        double diversity = SpreadOf(pictures) / spread;
        return !ShowsCollapse(progress) || !(diversity < LeastDiversity)
            ? diversity
            : throw new TrainingException(string.Create(CultureInfo.InvariantCulture, $"the generator has collapsed: after epoch " +
                $"{Epochs} its pictures differ from each other by {diversity:0.00} of what frames do (at least {LeastDiversity} is " +
                $"expected): lower --learning-rate ({Settings.LearningRate}), or give more varied footage; no package was written"));
    }

    /// <summary>Root mean square deviation of pixels from their mean over the pictures.</summary>
    protected static double SpreadOf(Tensor pictures) => (pictures - pictures.mean([0L], keepdim: true)).pow(2).mean().sqrt().ToDouble();

    /// <summary>Indices of some frames, evenly spread.</summary>
    protected static int[] Evenly(int frames, int most)
    {
        int count = Math.Min(most, frames);
        return [.. Enumerable.Range(0, count).Select(i => (int)((long)i * frames / count))];
    }

    private (double Discriminator, double Generator) StepAndAverage(int[] indices, double progress)
    {
        using var scope = NewDisposeScope();
        manual_seed(Seeds.Of(Settings.Seed, _checkpoint.Step));
        var loss = Step(indices, new Random((int)Seeds.Of(Settings.Seed, ~_checkpoint.Step)), progress);
        double seen = (_checkpoint.Step + 1.0) * Settings.Batch;
        double kept = Math.Pow(0.5, Settings.Batch / Math.Min(HalfLife, 0.05 * seen));
        using var off = no_grad();
        foreach (var (name, average) in _average) average.mul_(kept).add_(Generator.All[name].detach() * (1 - kept));
        return loss;
    }

    private void End(double progress)
    {
        _losses.Add((_checkpoint.Error, _checkpoint.Kl));
        _checkpoint.Error = 0;
        _checkpoint.Kl = 0;
        _checkpoint.BestEpoch = Epochs;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        manual_seed(Settings.Seed);
        Measured = Measure(progress);
    }

    private void Save()
    {
        _checkpoint.BestWeights = _average.ToDictionary(weight => weight.Key, weight => Trainer.Values(weight.Value));
        _checkpoint.Save(_file, writer =>
        {
            Generator.Save(writer);
            Adversary.Weights.Save(writer);
            writer.Write(_losses.Count);
            foreach (var (discriminator, generator) in _losses)
            {
                writer.Write(discriminator);
                writer.Write(generator);
            }
            writer.Write(Measured);
        });
    }

    private int[] Order(int epoch)
    {
        int[] order = [.. Enumerable.Range(0, _frames)];
        new Random((int)Seeds.Of(Settings.Seed, epoch * 1_000_003L)).Shuffle(order);
        return order;
    }
}
