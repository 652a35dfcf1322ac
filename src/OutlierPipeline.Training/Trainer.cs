using System.Diagnostics;
using OutlierPipeline.Footage;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>
/// Trains a <see cref="PatchNetwork"/>. On CPU the same seed, frames and number of threads give the same weights, also when the run was
/// interrupted in between.
/// </summary>
/// <remarks>
/// The loss is the σ-VAE's: D/2 · log of the mean squared error, plus β times KL (Rybkin, Daniilidis and Levine, ICML 2021, eq. 9).
/// </remarks>
public sealed class Trainer : IDisposable
{
    private static readonly TimeSpan CheckpointPeriod = TimeSpan.FromMinutes(5);
    private readonly PatchNetwork _network;
    private readonly DecodedFootage _training;
    private readonly DecodedFootage _validation;
    private readonly TrainingSettings _settings;
    private readonly string _file;
    private readonly Device _device;
    private readonly Dictionary<string, Tensor> _weights = [];
    private readonly List<TorchSharp.Modules.Parameter> _parameters = [];
    private readonly TorchOps _ops;
    private readonly ScalarType _compute;
    private readonly Tensor? _mask;
    private readonly double _share;
    private readonly TorchSharp.Modules.OptimizerHelper _optimizer;
    private readonly int _stepsPerEpoch;
    private Checkpoint _checkpoint;

    /// <param name="validation">Normal frames of other times than the training's; they choose the epoch.</param>
    /// <param name="mask">Region of interest, or null where every pixel counts.</param>
    /// <param name="file">Where checkpoints go.</param>
    public Trainer(PatchNetwork network, DecodedFootage training, DecodedFootage validation, FrameMask? mask, TrainingSettings settings,
        string file,
        Device? device = null)
    {
        _network = network;
        _training = training;
        _validation = validation;
        _settings = settings with { Batch = Math.Min(settings.Batch, training.Count) };
        _file = file;
        _device = device ?? CPU;
        _compute = settings.IsMixedPrecision ? bfloat16 : float32;
        _stepsPerEpoch = (training.Count + _settings.Batch - 1) / _settings.Batch;
        manual_seed(settings.Seed);
        foreach (var (name, shape, fanIn) in network.Weights())
        {
            // He et al. 2015.
            double deviation = fanIn == 0 ? 0 : Math.Sqrt(2.0 / fanIn) * PatchNetwork.Gain(name);
            using var values = deviation == 0 ? zeros(shape) : randn(shape) * deviation;
            var parameter = new TorchSharp.Modules.Parameter(values.to(_device).clone());
            _parameters.Add(parameter);
            _weights[name] = parameter;
        }
        _ops = new TorchOps(_weights, _device, _compute);
        var mean = _network.Patches(_ops, tensor(MeanPicture(training), [1, network.Size.Height, network.Size.Width, 3]).to(_device));
        _weights[PatchNetwork.Fill] = PatchNetwork.Analyse(_ops, mean).reshape(1, network.Cells, PatchTransform.Coefficients);
        _mask = mask is null
            ? null
            : network.Counted(_ops, tensor(mask.Pixels.ToArray(), [1, network.Size.Height, network.Size.Width]).to(_device));
        _share = _mask is null ? 1 : _mask.mean().ToDouble();
        _optimizer = optim.Adam(_parameters, settings.LearningRate);
        _checkpoint = new Checkpoint
        {
            Fingerprint = _settings.Fingerprint(training.Digest, network.Size, network.Latent, mask is null
            ? null
            : ModelPackage.DigestOf(mask.Pixels))
        };
    }

    /// <summary>What was measured after the best epoch.</summary>
    public EpochFigures Figures => _checkpoint.BestFigures;

    /// <summary>The epoch whose weights are kept: that with the best validation loss; 0 before the first has ended.</summary>
    public int BestEpoch => _checkpoint.BestEpoch;

    /// <summary>Epochs that have ended.</summary>
    public int Epochs => (int)(_checkpoint.Step / _stepsPerEpoch);

    /// <summary>Values and shapes by name, of the best epoch.</summary>
    public IReadOnlyDictionary<string, (float[] Values, long[] Shape)> Weights =>
        _weights.ToDictionary(weight => weight.Key, weight =>
        (_checkpoint.BestWeights.TryGetValue(weight.Key, out float[]? best) ? best : Values(weight.Value), weight.Value.shape));

    /// <summary>Goes on where a checkpoint was written.</summary>
    /// <exception cref="TrainingException">There is none, or it is of another run.</exception>
    public void Resume()
    {
        if (!File.Exists(_file)) throw new TrainingException($"{_file}: there is no checkpoint to resume from; leave out --resume");
        _checkpoint = Checkpoint.Load(_file, _checkpoint.Fingerprint, reader =>
        {
            var weights = Checkpoint.Read(reader);
            using var off = no_grad();
            foreach (var (name, values) in weights)
            {
                using var loaded = tensor(values, _weights[name].shape).to(_device);
                _weights[name].copy_(loaded);
            }
            _optimizer.load_state_dict(reader);
        });
    }

    /// <summary>Runs to the end, to the last epoch that brings anything, or until cancelled; a checkpoint is left in either case.</summary>
    /// <returns>False if it was cancelled.</returns>
    /// <exception cref="TrainingException">The loss is no number any more.</exception>
    public bool Run(Action<TrainingProgress> report, CancellationToken cancellation)
    {
        long steps = (long)_settings.Epochs * _stepsPerEpoch;
        int[] order = Order(Epochs);
        long saved = Stopwatch.GetTimestamp();
        long begun = saved;
        long from = _checkpoint.Step;
        double validationError = _checkpoint.BestEpoch == 0 ? double.NaN : _checkpoint.BestFigures.ValidationError;
        if (from == 0) Save();
        while (_checkpoint.Step < steps)
        {
            if (_checkpoint.Step % _stepsPerEpoch == 0 && Epochs - _checkpoint.BestEpoch >= _settings.Patience) break;
            if (cancellation.IsCancellationRequested)
            {
                Save();
                return false;
            }
            int within = (int)(_checkpoint.Step % _stepsPerEpoch);
            if (within == 0) order = Order(Epochs);
            double progress = (double)_checkpoint.Step / steps;
            foreach (var group in _optimizer.ParamGroups)
                group.LearningRate = _settings.LearningRate * Math.Max(0.02, 0.5 * (1 + Math.Cos(Math.PI * progress)));
            int[] batch = order[(within * _settings.Batch)..Math.Min(order.Length, (within + 1) * _settings.Batch)];
            var loss = Uncollected.Run(() => Step(batch, progress));
            if (!double.IsFinite(loss.Error + loss.Kl))
                throw new TrainingException($"the loss is not a number since epoch {Epochs + 1}, step {within + 1}: lower " +
                    $"--learning-rate " +
                    $"({_settings.LearningRate}){(_settings.IsMixedPrecision ? ", or train with --precision float32" : "")}; no " +
                            $"package was written, and --resume goes on from the last checkpoint with the same settings");
            _checkpoint.Step++;
            _checkpoint.Error += loss.Error / _stepsPerEpoch;
            _checkpoint.Kl += loss.Kl / _stepsPerEpoch;
            bool ends = within == _stepsPerEpoch - 1;
            double share = (within + 1.0) / _stepsPerEpoch;
            double rate = (_checkpoint.Step - from) * (double)_settings.Batch / Stopwatch.GetElapsedTime(begun).TotalSeconds;
            var state = (Error: _checkpoint.Error / share, Kl: _checkpoint.Kl / share);
            if (ends)
            {
                var validation = Validate();
                validationError = validation.Error;
                if (validation.Loss < _checkpoint.BestLoss)
                {
                    _checkpoint.BestLoss = validation.Loss;
                    _checkpoint.BestEpoch = Epochs;
                    _checkpoint.BestFigures = new EpochFigures(state.Error, state.Kl, validation.Error, validation.Kl);
                    _checkpoint.BestWeights = _weights.ToDictionary(weight => weight.Key, weight => Values(weight.Value));
                }
                _checkpoint.Error = 0;
                _checkpoint.Kl = 0;
            }
            if (ends || Stopwatch.GetElapsedTime(saved) > CheckpointPeriod)
            {
                Save();
                saved = Stopwatch.GetTimestamp();
            }
            int epoch = (int)((_checkpoint.Step - 1) / _stepsPerEpoch) + 1;
            report(new TrainingProgress(epoch, _checkpoint.Step, steps, TrainingProgress.Drawn(0.5 * Math.Log(2 * Math.PI * Math.E
                * state.Error), state.Error, validationError, state.Kl), rate, ends));
        }
        return true;
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        foreach (var weight in _weights.Values) weight.Dispose();
        _mask?.Dispose();
    }

    private void Save() => _checkpoint.Save(_file, writer =>
    {
        Checkpoint.Write(writer, _weights.Where(weight => weight.Key != PatchNetwork.Fill).ToDictionary(weight => weight.Key, weight =>
            Values(weight.Value)));
        _optimizer.save_state_dict(writer);
    });

    /// <param name="progress">Share of the run that is done.</param>
    private (double Error, double Kl) Step(ReadOnlySpan<int> indices, double progress)
    {
        using var scope = NewDisposeScope();
        manual_seed(SeedOf(_checkpoint.Step));
        var x = _settings.IsAugmented
            ? Augmentation.Draw(_training, indices, new Random((int)SeedOf(~_checkpoint.Step)), _device)
            : TorchOps.Pixels(_training, indices.ToArray(), _device);
        _optimizer.zero_grad();
        var (error, code) = Forward(x, isTraining: true);
        long values = _training.Size.Bytes;
        // The variance that fits the batch best is its mean squared error; the likelihood is then D/2 · log of it.
        var loss = error.log() * (0.5 * _share);
        if (code is not null) loss += code.Divergence(_settings, progress) / values;
        loss.backward();
        nn.utils.clip_grad_norm_(_parameters, 1.0);
        _optimizer.step();
        return (error.ToDouble(), code?.Kl ?? 0);
    }

    /// <summary>Mean squared error of what counts, and the code that the drawing was made of; null where the code is a point.</summary>
    /// <param name="pixels">Grey levels, <c>[n, H, W, 3]</c>.</param>
    private (Tensor Error, PosteriorCode? Code) Forward(Tensor pixels, bool isTraining)
    {
        var patches = _network.Patches(_ops, pixels);
        var coefficients = PatchNetwork.Analyse(_ops, patches);
        if (_mask is not null) coefficients = _network.Filled(_ops, coefficients, _mask);
        var (mean, logVariance) = _network.Encode(_ops, coefficients.to(_compute));
        mean = mean.to(float32);
        var code = logVariance is null ? null : new PosteriorCode(mean, logVariance.to(float32), isTraining);
        var drawn = _network.Decode(_ops, (code?.Drawn ?? mean).to(_compute)).to(float32);
        var residual = patches / 255 - 0.5 - PatchNetwork.Synthesise(_ops, drawn);
        if (_mask is not null) residual = residual.reshape(pixels.shape[0], _network.Cells, PatchTransform.Values) * _mask.unsqueeze(-1);
        return (residual.pow(2).mean() / _share, code);
    }

    private (double Loss, double Error, double Kl) Validate()
    {
        using var off = no_grad();
        double error = 0;
        double kl = 0;
        double divergence = 0;
        for (int first = 0; first < _validation.Count; first += _settings.Batch)
        {
            using var scope = NewDisposeScope();
            int count = Math.Min(_settings.Batch, _validation.Count - first);
            var (squares, code) = Forward(TorchOps.Pixels(_validation, [.. Enumerable.Range(first, count)], _device), isTraining: false);
            error += squares.ToDouble() * count / _validation.Count;
            if (code is null) continue;
            kl += code.Kl * count / _validation.Count;
            divergence += code.Divergence(_settings with { FreeBits = 0 }, progress: 1).ToDouble() * count / _validation.Count;
        }
        return (0.5 * _share * _training.Size.Bytes * Math.Log(error) + divergence, error, kl);
    }

    private int[] Order(int epoch)
    {
        int[] order = [.. Enumerable.Range(0, _training.Count)];
        new Random((int)SeedOf(epoch * 1_000_003L)).Shuffle(order);
        return order;
    }

    private long SeedOf(long step) => Seeds.Of(_settings.Seed, step);

    /// <summary>Grey levels, <c>[H, W, 3]</c>: of at most a thousand frames, evenly spread.</summary>
    internal static float[] MeanPicture(DecodedFootage footage)
    {
        int frames = Math.Min(1000, footage.Count);
        double[] sums = new double[footage.Size.Bytes];
        byte[] frame = new byte[footage.Size.Bytes];
        for (int k = 0; k < frames; k++)
        {
            footage.Read((int)((long)k * footage.Count / frames), frame);
            for (int i = 0; i < frame.Length; i++) sums[i] += frame[i];
        }
        return [.. sums.Select(sum => (float)(sum / frames))];
    }

    internal static float[] Values(Tensor tensor)
    {
        using var host = tensor.detach().cpu();
        return host.data<float>().ToArray();
    }
}
