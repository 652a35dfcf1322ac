using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>scoring</c>: what the scores cost beside the network: the graph as it is exported against the same without scores, in turns, in one
/// run.
/// </summary>
internal static class ScoringShare
{
    private const int Batch = 16;
    private const int Rounds = 40;

    public static int Run(string[] arguments)
    {
        LibTorch.Prepare(Environment.GetEnvironmentVariable("LIBTORCH_DIR"));
        int threads = arguments is ["--threads", var text] ? int.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : 1;
        var size = new FrameSize(96, 160);
        var network = new PatchNetwork(size, 32, isVariational: true);
        // What the weights are does not matter for time.
        var random = new Random(1);
        float[] Values(long[] shape, long fanIn) =>
            [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (product, side) => product * side)).Select(_ =>
            fanIn == 0 ? 0 : (float)((random.NextDouble() - 0.5) / Math.Sqrt(fanIn)))];
        var weights = network.Weights().ToDictionary(weight => weight.Name, weight => (Values(weight.Shape, weight.FanIn), weight.Shape));
        weights[PatchNetwork.Fill] = (new float[network.Cells * PatchTransform.Coefficients],
            [1, network.Cells, PatchTransform.Coefficients]);
        var exporter = new ModelExporter(network, weights);
        using var rendered = new RenderedFootage();
        var frames = rendered.Load(rendered.Drive("drive", 60, seed: 1, framesPerSecond: 1), size);
        exporter.FitScores(frames);
        using var options = new SessionOptions { IntraOpNumThreads = threads, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        using var whole = new InferenceSession(exporter.WriteModel("bench", "1", "none"), options);
        using var bare = new InferenceSession(exporter.WriteNetwork(), options);
        byte[] pixels = [.. Enumerable.Range(0, Batch).SelectMany(i => frames[i])];
        var times = (Whole: new List<double>(), Bare: new List<double>());
        for (int round = 0; round < Rounds + 5; round++)
        {
            double b = Time(bare, pixels, size, "latent", "reconstruction");
            double w = Time(whole, pixels, size, "scores", "latent", "error_map", "reconstruction");
            if (round < 5) continue;
            times.Bare.Add(b);
            times.Whole.Add(w);
        }
        double bareTime = Median(times.Bare);
        double all = Median(times.Whole);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{size}, batches of {Batch}, {threads} threads: network " +
            $"{1000 * bareTime / Batch:0.000} ms a frame, with scores {1000 * all / Batch:0.000} ms: scores cost " +
            $"{100 * (all / bareTime - 1):0} % of the network"));
        return 0;
    }

    private static double Time(InferenceSession session, byte[] pixels, FrameSize size, params string[] outputs)
    {
        using var run = new RunOptions();
        using var image = OrtValue.CreateTensorValueFromMemory(pixels, [Batch, size.Height, size.Width, 3]);
        long begun = Stopwatch.GetTimestamp();
        using (session.Run(run, ["image"], [image], outputs)) return Stopwatch.GetElapsedTime(begun).TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
