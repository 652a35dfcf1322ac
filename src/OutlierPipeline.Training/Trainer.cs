using OutlierPipeline.Training.Networks;
using System.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>What one epoch came to: means over its frames.</summary>
/// <param name="MeanSquaredError">A pixel's, in the range of −0.5 to 0.5.</param>
/// <param name="Kl">Nats a frame.</param>
public readonly record struct EpochLoss(int Epoch, double MeanSquaredError, double Kl, double FramesPerSecond);

/// <summary>The training did not lead anywhere. The message is one line that says what to do.</summary>
public sealed class TrainingException(string message) : Exception(message);

/// <summary>Trains a <see cref="PatchVae"/> with the σ-VAE's loss; the same weights for the same seed, frames and processor.</summary>
public sealed class Trainer
{
    private const double LearningRate = 1e-3;

    /// <summary>More managed memory than a step takes, in bytes.</summary>
    private const long StepAllocation = 64L * 1024 * 1024;

    private readonly PatchVae _network;
    private readonly Footage _footage;
    private readonly int _batch;
    private readonly int _epochs;
    private readonly Random _random;
    private readonly Dictionary<string, Tensor> _weights = [];
    private readonly List<TorchSharp.Modules.Parameter> _parameters = [];
    private readonly TorchOps _ops;
    private readonly float[] _values;

    public Trainer(PatchVae network, Footage footage, int epochs, int batch, int seed)
    {
        _network = network;
        _footage = footage;
        _batch = Math.Min(batch, footage.Frames);
        _epochs = epochs;
        _values = new float[_batch * footage.Size.Bytes];
        _random = new Random(seed);
        manual_seed(seed);
        foreach (var (name, shape, fanIn) in network.Weights())
        {
            // He et al. 2015. A block begins as the identity, and the first drawing as plain grey: from wild drawings the quickest way down is to
            // ignore the code, and training would end there.
            double deviation = fanIn == 0 ? 0 : Math.Sqrt(2.0 / fanIn) * (name.Contains(".b.", StringComparison.Ordinal) || name is "pixels.weight" ? 0.1 : name is "logVariance.weight" ? 0.01 : 1);
            using var values = deviation == 0 ? zeros(shape) : randn(shape) * deviation;
            var parameter = new TorchSharp.Modules.Parameter(values.clone());
            _parameters.Add(parameter);
            _weights[name] = parameter;
        }
        _ops = new TorchOps(_weights, CPU);
    }

    /// <summary>The weights' values and shapes by name.</summary>
    public IReadOnlyDictionary<string, (float[] Values, long[] Shape)> Weights =>
        _weights.ToDictionary(weight => weight.Key, weight => (weight.Value.detach().data<float>().ToArray(), weight.Value.shape));

    /// <summary>Runs every epoch.</summary>
    /// <exception cref="TrainingException">The loss is no number any more.</exception>
    public void Run(Action<EpochLoss> report, CancellationToken cancellation)
    {
        using var optimizer = optim.Adam(_parameters, LearningRate);
        int steps = (_footage.Frames + _batch - 1) / _batch;
        for (int epoch = 1; epoch <= _epochs; epoch++)
        {
            long begun = System.Diagnostics.Stopwatch.GetTimestamp();
            int[] order = [.. Enumerable.Range(0, _footage.Frames)];
            _random.Shuffle(order);
            double error = 0;
            double kl = 0;
            for (int step = 0; step < steps; step++)
            {
                cancellation.ThrowIfCancellationRequested();
                double progress = (epoch - 1 + (double)step / steps) / _epochs;
                foreach (var group in optimizer.ParamGroups) group.LearningRate = LearningRate * Math.Max(0.02, 0.5 * (1 + Math.Cos(Math.PI * progress)));
                var loss = StepUncollected(optimizer, order.AsSpan(step * _batch, Math.Min(_batch, order.Length - step * _batch)), klWeight: Math.Min(1, progress * 5));
                error += loss.Error / steps;
                kl += loss.Kl / steps;
            }
            if (!double.IsFinite(error + kl)) throw new TrainingException($"the loss is no number any more in epoch {epoch}: the footage may hold frames that are not pictures of a street, or the learning rate is too high; nothing was written");
            report(new EpochLoss(epoch, error, kl, _footage.Frames / System.Diagnostics.Stopwatch.GetElapsedTime(begun).TotalSeconds));
        }
    }

    /// <summary>
    /// One step without a garbage collection in it. TorchSharp passes scalars to native code by a handle and does not keep their owners
    /// alive: one collected in the middle of a call (once in some thousand steps) is read after it was freed.
    /// </summary>
    private (double Error, double Kl) StepUncollected(optim.Optimizer optimizer, ReadOnlySpan<int> indices, double klWeight)
    {
        bool started = GC.TryStartNoGCRegion(StepAllocation);
        try
        {
            return Step(optimizer, indices, klWeight);
        }
        finally
        {
            if (started && GCSettings.LatencyMode == GCLatencyMode.NoGCRegion) GC.EndNoGCRegion();
        }
    }

    private (double Error, double Kl) Step(optim.Optimizer optimizer, ReadOnlySpan<int> indices, double klWeight)
    {
        using var scope = NewDisposeScope();
        var x = Augmented(indices);
        optimizer.zero_grad();
        var (mean, logVariance) = _network.Encode(_ops, x);
        var code = mean + (logVariance * 0.5).exp() * randn_like(mean);
        var drawn = _network.Decode(_ops, code);
        var error = (x - drawn).pow(2).mean();
        // The variance that fits the batch best is its mean squared error; the likelihood is then D/2 · log of it.
        var reconstruction = error.log() * (0.5 * _footage.Size.Bytes);
        var kl = 0.5 * (mean.pow(2) + logVariance.exp() - 1 - logVariance).sum(1).mean();
        var loss = (reconstruction + klWeight * kl) / _footage.Size.Bytes;
        loss.backward();
        nn.utils.clip_grad_norm_(_parameters, 1.0);
        optimizer.step();
        return (error.ToDouble(), kl.ToDouble());
    }

    /// <summary>A batch of frames, <c>[N, 3, H, W]</c>, half of them mirrored, each a little brighter or darker: what stays normal.</summary>
    private Tensor Augmented(ReadOnlySpan<int> indices)
    {
        var size = _footage.Size;
        var values = _values.AsSpan(0, indices.Length * size.Bytes);
        int plane = size.Height * size.Width;
        for (int n = 0; n < indices.Length; n++)
        {
            var frame = _footage[indices[n]];
            bool mirrored = _random.Next(2) == 1;
            float gain = 1 + 0.1f * (_random.NextSingle() - 0.5f);
            var target = values.Slice(n * size.Bytes, size.Bytes);
            for (int y = 0, source = 0; y < size.Height; y++)
            {
                for (int x = 0; x < size.Width; x++, source += 3)
                {
                    int at = y * size.Width + (mirrored ? size.Width - 1 - x : x);
                    target[at] = frame[source] * gain / 255 - 0.5f;
                    target[plane + at] = frame[source + 1] * gain / 255 - 0.5f;
                    target[2 * plane + at] = frame[source + 2] * gain / 255 - 0.5f;
                }
            }
        }
        return tensor(_values, [_batch, 3, size.Height, size.Width]).narrow(0, 0, indices.Length);
    }
}
