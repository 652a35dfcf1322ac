using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Training;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>baselines --train FOOTAGE… --test FOOTAGE --model PACKAGE</c>: two detectors of the literature, trained on the same frames as a
/// package of ours, and the AUROC of all three on the
/// corruption suite at severity 3, in one run.
/// </summary>
/// <remarks>
/// SelfOracle: Stocco, Weiss, Calzana and Tonella, ICSE 2020: a VAE of one dense layer of 512 units and a code of 2; its score is the mean
/// squared error. Cai and Koutsoukos,
/// ICCPS 2020: a convolutional VAE (four layers of 32 to 256 channels, a code of 1024 cut to 256 for the size of these pictures), whose
/// nonconformity is the squared error, averaged over ten
/// samples of the code; the martingale on top ranks frames no differently.
/// </remarks>
internal static class Baselines
{
    private const int Severity = 3;
    private const int TestFrames = 80;
    private const int Batch = 32;
    private const int Budget = 20_000;

    public static async Task<int> RunAsync(string[] arguments)
    {
        string[] Values(string name) =>
            [.. arguments.SkipWhile(argument => argument != name).Skip(1).TakeWhile(argument =>
            !argument.StartsWith("--", StringComparison.Ordinal))];
        if (Values("--train").Length == 0 || Values("--test").Length != 1 || Values("--model").Length != 1)
        {
            Console.Error.WriteLine("usage: baselines --train FOOTAGE… --test FOOTAGE --model PACKAGE");
            return 2;
        }
        LibTorch.Prepare(Environment.GetEnvironmentVariable("LIBTORCH_DIR"));
        set_num_threads(2);
        var package = ModelPackage.Load(Values("--model")[0]);
        var size = package.Card.Network.Size;
        using var train = await new FootageLoader().LoadAsync(Values("--train"), size, CancellationToken.None);
        using var test = await new FootageLoader().LoadAsync(Values("--test"), size, CancellationToken.None);
        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        int pixels = size.Bytes;
        int corner = 256 * (size.Height / 16) * (size.Width / 16);
        var detectors = new (string Name, Func<byte[][], double[]> Score)[]
        {
            ("SelfOracle", Train(train, Sequential(Flatten(), Linear(pixels, 512), ReLU()), Linear(512, 2), Linear(512, 2),
                Sequential(Linear(2, 512), ReLU(), Linear(512, pixels), Sigmoid()), 1)),
            ("VAE + ICAD", Train(train,
                Sequential(Conv2d(3, 32, 3, 2, 1), ELU(), Conv2d(32, 64, 3, 2, 1), ELU(), Conv2d(64, 128, 3, 2, 1), ELU(),
                Conv2d(128, 256, 3, 2, 1), ELU(), Flatten()),
                Linear(corner, 256), Linear(corner, 256),
                Sequential(Linear(256, corner), ELU(), Unflatten(1, [256, size.Height / 16, size.Width / 16]),
                    ConvTranspose2d(256, 128, 4, 2, 1), ELU(), ConvTranspose2d(128, 64, 4, 2, 1), ELU(), ConvTranspose2d(64, 32, 4, 2, 1),
                    ELU(), ConvTranspose2d(32, 3, 4, 2, 1), Sigmoid(), Flatten()),
                10)),
            (package.Card.Name, frames => Ours(scorer, frames)),
        };
        int count = Math.Min(TestFrames, test.Count);
        byte[][] normal = [.. Enumerable.Range(0, test.Count).Select(i => test[i])];
        double[][] normals = [.. detectors.Select(detector => detector.Score(normal))];
        double[] sums = new double[detectors.Length];
        Console.WriteLine($"{"AUROC at severity 3",-20}{string.Concat(detectors.Select(detector => $"{detector.Name,14}"))}");
        var kinds = CorruptionSuite.All.Where(corruption => !corruption.IsFrozen).ToArray();
        foreach (var corruption in kinds)
        {
            byte[][] corrupted = [.. Enumerable.Range(0, count).Select(k =>
            {
                int i = (int)((long)k * test.Count / count);
                byte[] frame = test[i];
                corruption.Apply(frame, size, Severity, seed: 1, i);
                return frame;
            })];
            double[] areas = [.. detectors.Select((detector, d) => DetectionMetrics.Auroc(normals[d], detector.Score(corrupted)))];
            for (int d = 0; d < areas.Length; d++) sums[d] += areas[d] / kinds.Length;
            var columns = areas.Select(area => area.ToString("0.000", CultureInfo.InvariantCulture).PadLeft(14));
            Console.WriteLine($"{corruption.Name,-20}{string.Concat(columns)}");
        }
        Console.WriteLine(
            $"{"mean",-20}{string.Concat(sums.Select(area => area.ToString("0.000", CultureInfo.InvariantCulture).PadLeft(14)))}");
        return 0;
    }

    /// <summary>Trains a VAE on mean squared error and divergence, and returns its score.</summary>
    private static Func<byte[][], double[]> Train(DecodedFootage footage, Module<Tensor, Tensor> encoder, Module<Tensor, Tensor> mean,
        Module<Tensor, Tensor> logVariance, Module<Tensor, Tensor> decoder, int samples)
    {
        manual_seed(1);
        Module<Tensor, Tensor>[] modules = [encoder, mean, logVariance, decoder];
        var optimizer = optim.Adam(modules.SelectMany(module => module.parameters()), 1e-3);
        var random = new Random(1);
        for (int step = 0; step < Budget / Batch; step++) Uncollected.Run(Step);
        return frames =>
        {
            using var off = no_grad();
            manual_seed(2);
            return [.. frames.Chunk(Batch).SelectMany(chunk => Uncollected.Run(() => Score(chunk)))];
        };

        bool Step()
        {
            using var scope = NewDisposeScope();
            var x = Frames([.. Enumerable.Range(0, Batch).Select(_ => footage[random.Next(footage.Count)])], footage.Size);
            optimizer.zero_grad();
            var h = encoder.call(x);
            var m = mean.call(h);
            var v = logVariance.call(h).clamp(-10, 10);
            var drawn = decoder.call(m + (v * 0.5).exp() * randn_like(m));
            var loss = (x.flatten(1) - drawn).pow(2).sum(1).mean() + 0.5 * (m.pow(2) + v.exp() - 1 - v).sum(1).mean();
            loss.backward();
            optimizer.step();
            return true;
        }

        double[] Score(byte[][] chunk)
        {
            using var scope = NewDisposeScope();
            var x = Frames(chunk, footage.Size);
            var h = encoder.call(x);
            var m = mean.call(h);
            var v = logVariance.call(h).clamp(-10, 10);
            double[] errors = new double[chunk.Length];
            for (int s = 0; s < samples; s++)
            {
                var code = samples == 1 ? m : m + (v * 0.5).exp() * randn_like(m);
                float[] one = (x.flatten(1) - decoder.call(code)).pow(2).mean([1L]).data<float>().ToArray();
                for (int i = 0; i < one.Length; i++) errors[i] += one[i] / samples;
            }
            return errors;
        }
    }

    private static double[] Ours(FootageScorer scorer, byte[][] frames)
    {
        double[] combined = new double[frames.Length];
        var model = scorer.Package.Default;
        scorer.Score(frames.Length, (i, rgb) => frames[i].CopyTo(rgb), model.Mask, (i, batch, slot) =>
            combined[i] = model.Calibration.Combine(batch.Scores(slot)), CancellationToken.None);
        return combined;
    }

    private static Tensor Frames(byte[][] frames, FrameSize size) =>
        tensor(frames.SelectMany(frame => frame).ToArray(), [frames.Length, size.Height, size.Width, 3]).permute(0, 3, 1,
        2).to(float32) / 255;
}
