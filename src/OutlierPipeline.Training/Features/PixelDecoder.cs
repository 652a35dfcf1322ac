using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// Draws a picture of a frame's code, for people: no score reads it. A dense layer lays out the picture's cells, two convolutions join
/// them, and each draws its 8×8 pixels.
/// </summary>
public sealed class PixelDecoder(FrameSize size, int latent)
{
    /// <summary>Enough for pictures that show what a code means.</summary>
    public const int DefaultSteps = 600;

    private const int Hidden = 64;
    private const int Planes = 12;
    private const int Batch = 16;
    private const double LearningRate = 3e-3;
    private readonly int _rows = size.Height / FrameMask.CellSide;
    private readonly int _columns = size.Width / FrameMask.CellSide;

    /// <summary>Name, shape and fan-in of every weight; biases have a fan-in of 0.</summary>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights() =>
    [
        ("pixels.code.weight", [latent, Hidden], latent), ("pixels.code.bias", [Hidden], 0),
        ("pixels.lay.weight", [Hidden, Planes * _rows * _columns], Hidden), ("pixels.lay.bias", [Planes * _rows * _columns], 0),
        ("pixels.join1.weight", [Hidden, Planes, 3, 3], Planes * 9), ("pixels.join1.bias", [Hidden], 0),
        ("pixels.join2.weight", [Hidden, Hidden, 3, 3], Hidden * 9), ("pixels.join2.bias", [Hidden], 0),
        ("pixels.draw.weight", [Hidden, PatchTransform.Values], Hidden), ("pixels.draw.bias", [PatchTransform.Values], 0),
    ];

    /// <summary>Patches of pixels around −0.5 to 0.5, <c>[N·h·w, 192]</c>.</summary>
    /// <param name="code"><c>[N, Z]</c>.</param>
    public T Draw<T>(TensorOps<T> ops, T code)
    {
        var hidden = ops.LeakyRelu(ops.Dense(code, ops.Weight("pixels.code.weight"), ops.Weight("pixels.code.bias")));
        var planes = ops.Reshape(ops.Dense(hidden, ops.Weight("pixels.lay.weight"), ops.Weight("pixels.lay.bias")), Planes,
            _rows, _columns);
        foreach (string layer in new[] { "pixels.join1", "pixels.join2" })
            planes = ops.LeakyRelu(ops.Conv(planes, ops.Weight(layer + ".weight"), ops.Weight(layer + ".bias"), 1, 1));
        return ops.Dense(ops.ToRows(planes, Hidden), ops.Weight("pixels.draw.weight"), ops.Weight("pixels.draw.bias"));
    }

    /// <summary>Trains it on frames and their codes, by squared error.</summary>
    /// <param name="codes">n codes of Z.</param>
    /// <param name="at">The frame in the footage that each code is of.</param>
    /// <returns>The weights, rounded to half precision, in which packages keep them; and the mean squared error of the last tenth of the
    /// steps.</returns>
    public (Dictionary<string, (float[] Values, long[] Shape)> Weights, double Error) Train(DecodedFootage footage,
        float[][] codes, int[] at,
        int steps, int seed, CancellationToken cancellation)
    {
        manual_seed(seed);
        var weights = FeatureTrainer.Initial(Weights(), name => name == "pixels.draw.weight" ? 0.1 : 1);
        var ops = new TorchOps(weights.ToDictionary(weight => weight.Key, weight => (Tensor)weight.Value), CPU);
        using var optimizer = optim.Adam(weights.Values, LearningRate);
        var random = new Random(seed);
        double error = 0;
        for (int step = 0; step < steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (var group in optimizer.ParamGroups) group.LearningRate = LearningRate * 0.5 * (1 + Math.Cos(Math.PI * step / steps));
            int[] batch = [.. Enumerable.Range(0, Math.Min(Batch, codes.Length)).Select(_ => random.Next(codes.Length))];
            double squares = Uncollected.Run(() => Step(batch));
            if (step >= steps * 9 / 10) error += squares / (steps - steps * 9 / 10);
        }
        var rounded = weights.ToDictionary(weight => weight.Key, weight =>
            (Places.Values(weight.Value.detach()).Select(value => (float)(Half)value).ToArray(), weight.Value.shape));
        foreach (var weight in weights.Values) weight.Dispose();
        return (rounded, error);

        double Step(int[] batch)
        {
            using var scope = NewDisposeScope();
            var pixels = TorchOps.Pixels(footage, [.. batch.Select(i => at[i])], CPU);
            var target = ops.ToPatches(pixels, size, 3, FrameMask.CellSide) / 255 - 0.5;
            var code = tensor(batch.SelectMany(i => codes[i]).ToArray(), [batch.Length, latent]);
            optimizer.zero_grad();
            var loss = (Draw(ops, code) - target).pow(2).mean();
            loss.backward();
            optimizer.step();
            return loss.ToDouble();
        }
    }
}
