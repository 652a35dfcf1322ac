using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// Trains a <see cref="FeatureNetwork"/>: cells are its samples. On CPU the same seed, frames and number of threads give the same weights,
/// also when the run was interrupted in between.
/// </summary>
/// <remarks>
/// The loss is the evidence lower bound with a variance for every value: ½ Σ ((x − m)²/s² + log s²) + β KL (Kingma and Welling, ICLR 2014,
/// eq. 7).
/// </remarks>
public sealed class FeatureTrainer : IDisposable
{
    /// <summary>Cells that train at most: more of the same few frames teach nothing.</summary>
    private const int MaxCells = 120_000;

    private const int MaxHeldBack = 10_000;

    /// <summary>Share of the run over which the KL divergence gains its weight (Bowman et al., CoNLL 2016).</summary>
    private const double WarmUp = 0.2;

    /// <summary>
    /// Deviation of what is added to the values while training, in units of their own: a cell's values are never exactly what they were.
    /// </summary>
    private const double Noise = 0.05;

    private const double MaxGradient = 100;
    private readonly FeatureNetwork _network;
    private readonly TrainingSettings _settings;
    private readonly string _file;
    private readonly Dictionary<string, Parameter> _weights;
    private readonly Dictionary<string, Tensor> _all;
    private readonly TorchOps _ops;
    private readonly OptimizerHelper _optimizer;
    private readonly (Tensor Cells, Tensor Places) _training;
    private readonly (Tensor Cells, Tensor Places) _heldBack;
    private readonly int _stepsPerEpoch;
    private Checkpoint _checkpoint;

    /// <param name="frames">Indices of the frames that train.</param>
    /// <param name="heldBack">Indices of those that only measure.</param>
    /// <param name="counted">Which cells count, h·w.</param>
    /// <param name="file">Where checkpoints go.</param>
    /// <param name="origin">What else the weights depend on: frames, backbone and mask.</param>
    public FeatureTrainer(FeatureNetwork network, FeatureFootage features, int[] frames, int[] heldBack, bool[] counted,
        TrainingSettings settings, string file, string origin)
    {
        _network = network;
        _settings = settings;
        _file = file;
        manual_seed(settings.Seed);
        _weights = Initial(network.Weights(), name => name is FeatureNetwork.LastWeight ? 0.3 : 1);
        int[] cells = [.. Enumerable.Range(0, network.Cells).Where(cell => counted[cell])];
        var (centre, spread) = Moments(features, frames, cells);
        _all = _weights.ToDictionary(weight => weight.Key, weight => (Tensor)weight.Value);
        _all[FeatureNetwork.Centre] = centre;
        _all[FeatureNetwork.Spread] = spread;
        _ops = new TorchOps(_all, CPU);
        _training = Samples(features, frames, cells, MaxCells);
        _heldBack = Samples(features, heldBack, cells, MaxHeldBack);
        _stepsPerEpoch = (int)((_training.Cells.shape[0] + settings.Batch - 1) / settings.Batch);
        _optimizer = optim.Adam(_weights.Values, settings.LearningRate);
        _checkpoint = new Checkpoint
        {
            Fingerprint = string.Create(
                CultureInfo.InvariantCulture,
                $"{network.Size} {network.Channels} {network.Code} {settings.Epochs} {settings.Batch} {settings.Seed} {settings.Beta} ") +
                string.Create(CultureInfo.InvariantCulture, $"{settings.LearningRate} {settings.Architecture.Name} {origin}"),
        };
    }

    /// <summary>What was measured after the last epoch: errors in units of the values' own variance.</summary>
    public EpochFigures Figures => _checkpoint.BestFigures;

    /// <summary>Epochs that have ended.</summary>
    public int Epochs => (int)(_checkpoint.Step / _stepsPerEpoch);

    /// <summary>Cells that train.</summary>
    public long Cells => _training.Cells.shape[0];

    /// <summary>Values and shapes by name, of the last whole epoch, with what was measured of the values.</summary>
    public Dictionary<string, (float[] Values, long[] Shape)> Weights =>
        _all.ToDictionary(weight => weight.Key, weight =>
        (_checkpoint.BestWeights.TryGetValue(weight.Key, out float[]? best) ? best : Places.Values(weight.Value.detach()),
        weight.Value.shape));

    /// <summary>Parameters with values drawn at random; biases are 0.</summary>
    /// <param name="scale">By which a weight's deviation differs from one over the root of its fan-in.</param>
    internal static Dictionary<string, Parameter> Initial(IEnumerable<(string Name, long[] Shape, long FanIn)> weights,
        Func<string, double> scale) =>
        weights.ToDictionary(weight => weight.Name, weight =>
        {
            using var values = weight.FanIn == 0
                ? zeros(weight.Shape)
                : randn(weight.Shape) * (scale(weight.Name) / Math.Sqrt(weight.FanIn));
            return new Parameter(values.clone());
        });

    /// <summary>Goes on where a checkpoint was written.</summary>
    /// <exception cref="TrainingException">There is none, or it is of another run.</exception>
    public void Resume()
    {
        if (!File.Exists(_file)) throw new TrainingException($"{_file}: there is no checkpoint to resume from; leave out --resume");
        _checkpoint = Checkpoint.Load(_file, _checkpoint.Fingerprint, reader =>
        {
            using var off = no_grad();
            foreach (var (name, values) in Checkpoint.Read(reader))
            {
                using var loaded = tensor(values, _weights[name].shape);
                _weights[name].copy_(loaded);
            }
            _optimizer.load_state_dict(reader);
        });
    }

    /// <summary>Runs to the end or until cancelled; a checkpoint is left after every epoch and in either case.</summary>
    /// <returns>False if it was cancelled.</returns>
    /// <exception cref="TrainingException">The loss is no number any more.</exception>
    public bool Run(Action<TrainingProgress> report, CancellationToken cancellation)
    {
        long steps = (long)_settings.Epochs * _stepsPerEpoch;
        long begun = Stopwatch.GetTimestamp();
        long from = _checkpoint.Step;
        double heldBack = _checkpoint.BestEpoch == 0 ? double.NaN : _checkpoint.BestFigures.ValidationError;
        if (from == 0) Save();
        Tensor? order = null;
        while (_checkpoint.Step < steps)
        {
            if (cancellation.IsCancellationRequested)
            {
                Save();
                return false;
            }
            int within = (int)(_checkpoint.Step % _stepsPerEpoch);
            if (order is null || within == 0)
            {
                order?.Dispose();
                order = Order(Epochs);
            }
            double progress = (double)_checkpoint.Step / steps;
            foreach (var group in _optimizer.ParamGroups)
                group.LearningRate = _settings.LearningRate * Math.Max(0.02, 0.5 * (1 + Math.Cos(Math.PI * progress)));
            var loss = Uncollected.Run(() => Step(order, within, Math.Min(1, progress / WarmUp)));
            if (!double.IsFinite(loss.Loss)) throw new TrainingException($"the loss is not a number since epoch {Epochs + 1}: lower " +
                $"--learning-rate ({_settings.LearningRate}); no package was written, and --resume goes on from the last checkpoint with " +
                    $"the same settings");
            _checkpoint.Step++;
            _checkpoint.Error += loss.Error / _stepsPerEpoch;
            _checkpoint.Kl += loss.Kl * _network.Cells / _stepsPerEpoch;
            bool ends = within == _stepsPerEpoch - 1;
            double share = (within + 1.0) / _stepsPerEpoch;
            var state = (Error: _checkpoint.Error / share, Kl: _checkpoint.Kl / share);
            double rate = (_checkpoint.Step - from)
                * (double)_settings.Batch / _network.Cells / Stopwatch.GetElapsedTime(begun).TotalSeconds;
            if (ends)
            {
                var measured = Uncollected.Run(Measure);
                heldBack = measured.Error;
                _checkpoint.BestEpoch = Epochs;
                _checkpoint.BestFigures = new EpochFigures(state.Error, state.Kl, measured.Error, measured.Kl);
                _checkpoint.BestWeights = _weights.ToDictionary(weight => weight.Key, weight => Places.Values(weight.Value.detach()));
                _checkpoint.Error = 0;
                _checkpoint.Kl = 0;
                Save();
            }
            int epoch = (int)((_checkpoint.Step - 1) / _stepsPerEpoch) + 1;
            report(new TrainingProgress(epoch, _checkpoint.Step, steps, TrainingProgress.Drawn(loss.Loss / _network.Channels,
                state.Error, heldBack, state.Kl), rate, ends));
        }
        order?.Dispose();
        return true;
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        foreach (var weight in _all.Values) weight.Dispose();
        foreach (var tensor in new[] { _training.Cells, _training.Places, _heldBack.Cells, _heldBack.Places }) tensor.Dispose();
    }

    private void Save() => _checkpoint.Save(_file, writer =>
    {
        Checkpoint.Write(writer, _weights.ToDictionary(weight => weight.Key, weight => Places.Values(weight.Value.detach())));
        _optimizer.save_state_dict(writer);
    });

    private (double Loss, double Error, double Kl) Step(Tensor order, int within, double warmth)
    {
        using var scope = NewDisposeScope();
        long first = (long)within * _settings.Batch;
        var batch = order.narrow(0, first, Math.Min(_settings.Batch, order.shape[0] - first));
        manual_seed(SeedOf(_checkpoint.Step));
        _optimizer.zero_grad();
        var (loss, error, kl) = Forward(_training.Cells.index_select(0, batch), _training.Places.index_select(0, batch),
            isTraining: true, warmth);
        loss.backward();
        nn.utils.clip_grad_norm_(_weights.Values, MaxGradient);
        _optimizer.step();
        return (loss.ToDouble(), error, kl);
    }

    /// <summary>The loss of a cell in nats, the mean squared error of a value and the KL divergence of a cell.</summary>
    private (Tensor Loss, double Error, double Kl) Forward(Tensor cells, Tensor places, bool isTraining, double warmth)
    {
        var noisy = isTraining ? cells + Noise * randn_like(cells) : cells;
        var (mean, logVariance) = _network.Encode(_ops, noisy, FeatureNetwork.AtPlace(_ops, places, "encode"), _ops.Add);
        var code = mean;
        Tensor? divergence = null;
        if (logVariance is not null)
        {
            divergence = 0.5 * (mean.pow(2) + logVariance.exp() - 1 - logVariance).sum(1).mean();
            if (isTraining) code = mean + (logVariance * 0.5).exp() * randn_like(mean);
        }
        var (drawn, spread) = _network.Decode(_ops, code, FeatureNetwork.AtPlace(_ops, places, "decode"), _ops.Add);
        var squares = (cells - drawn).pow(2);
        var loss = 0.5 * (squares / spread.exp() + spread).sum(1).mean();
        if (divergence is not null) loss += divergence * (_settings.Beta * warmth);
        return (loss, squares.mean().ToDouble(), divergence?.ToDouble() ?? 0);
    }

    private (double Error, double Kl) Measure()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        if (_heldBack.Cells.shape[0] == 0) return (double.NaN, double.NaN);
        var (_, error, kl) = Forward(_heldBack.Cells, _heldBack.Places, isTraining: false, 1);
        return (error, kl * _network.Cells);
    }

    /// <summary>Mean and deviation of every value over all cells that count.</summary>
    private static (Tensor Mean, Tensor Deviation) Moments(FeatureFootage features, int[] frames, int[] cells)
    {
        using var scope = NewDisposeScope();
        var chosen = tensor([.. cells.Select(cell => (long)cell)]);
        var sum = zeros(features.Channels, float64);
        var squares = zeros(features.Channels, float64);
        foreach (int frame in frames)
        {
            Uncollected.Run(() =>
            {
                using var inner = NewDisposeScope();
                var rows = features.Rows([frame]).index_select(0, chosen).to(float64);
                sum.add_(rows.sum([0L]));
                squares.add_(rows.pow(2).sum([0L]));
                return true;
            });
        }
        return Uncollected.Run(() =>
        {
            double count = (double)frames.Length * cells.Length;
            var mean = sum / count;
            var deviation = (squares / count - mean.pow(2)).clamp_min(0).sqrt() + 1e-3;
            return (mean.to(float32).MoveToOuterDisposeScope(), deviation.to(float32).MoveToOuterDisposeScope());
        });
    }

    /// <summary>Standardised cells and their places, at most so many, evenly taken from all frames.</summary>
    private (Tensor Cells, Tensor Places) Samples(FeatureFootage features, int[] frames, int[] cells, int most)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var random = new Random((int)SeedOf(frames.Length));
        float[] places = _network.Places();
        int width = places.Length / _network.Cells;
        int perFrame = frames.Length == 0 ? 0 : Math.Max(1, Math.Min(cells.Length, most / frames.Length));
        float[] values = new float[(long)frames.Length * perFrame * features.Channels];
        float[] at = new float[frames.Length * perFrame * width];
        float[] frame = new float[features.Cells * features.Channels];
        int[] shuffled = [.. cells];
        for (int i = 0, row = 0; i < frames.Length; i++)
        {
            features.Read(frames[i], frame);
            if (perFrame < cells.Length) random.Shuffle(shuffled);
            foreach (int cell in shuffled.AsSpan(0, perFrame))
            {
                frame.AsSpan(cell * features.Channels, features.Channels).CopyTo(values.AsSpan(row * features.Channels));
                places.AsSpan(cell * width, width).CopyTo(at.AsSpan(row * width));
                row++;
            }
        }
        var raw = tensor(values, [(long)frames.Length * perFrame, features.Channels]);
        return (FeatureNetwork.Standardise(_ops, raw).MoveToOuterDisposeScope(), tensor(at, [(long)frames.Length * perFrame, width])
            .MoveToOuterDisposeScope());
    }

    private Tensor Order(int epoch)
    {
        long[] order = [.. Enumerable.Range(0, (int)_training.Cells.shape[0]).Select(i => (long)i)];
        new Random((int)SeedOf(epoch * 1_000_003L)).Shuffle(order);
        return tensor(order);
    }

    private long SeedOf(long step) => Seeds.Of(_settings.Seed, step);
}
