using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>scoring [--pixels]</c>: what the scores cost beside the network: the graph that the service runs against the same without scores, in
/// turns, in one run; of features, or of pixels.
/// </summary>
internal static class ScoringShare
{
    private const int Batch = 16;
    private const int Rounds = 40;

    public static int Run(string[] arguments)
    {
        LibTorch.Prepare(Environment.GetEnvironmentVariable("LIBTORCH_DIR"));
        int threads = arguments is [.., "--threads", var text] ? int.Parse(text, CultureInfo.InvariantCulture) : 1;
        using var rendered = new RenderedFootage();
        string drive = rendered.Drive("drive", 60, seed: 1, framesPerSecond: 1);
        bool isOfFeatures = arguments is not ["--pixels", ..];
        var frames = rendered.Load(drive, isOfFeatures ? new FrameSize(120, 160) : new FrameSize(96, 160));
        var size = frames.Size;
        IModelExporter exporter = isOfFeatures ? Features(frames, Path.Combine(rendered.Directory, "checkpoint")) : Pixels(frames);
        // What the service runs: no more than it asks for, and no mask.
        var graph = OnnxGraph.Parse(exporter.WriteModel("bench", "1", "none"));
        graph.Keep(["scores", "latent", "error_map"]);
        graph.Fix("mask");
        using var options = new SessionOptions { IntraOpNumThreads = threads, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        using var whole = new InferenceSession(graph.ToArray(), options);
        using var bare = new InferenceSession(exporter.WriteNetwork(), options);
        string[] outputs = [.. bare.OutputNames];
        byte[] pixels = [.. Enumerable.Range(0, Batch).SelectMany(i => frames[i])];
        var times = (Whole: new List<double>(), Bare: new List<double>());
        for (int round = 0; round < Rounds + 5; round++)
        {
            double b = Time(bare, pixels, size, outputs);
            double w = Time(whole, pixels, size, "scores", "latent", "error_map");
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

    /// <summary>A feature VAE that has hardly been trained: what its weights are does not matter for time.</summary>
    private static FeatureExporter Features(DecodedFootage frames, string checkpoint)
    {
        var settings = new TrainingSettings
        {
            Architecture = Architecture.Named("feature-vae"),
            Epochs = 1,
            Batch = 512,
            Seed = 1,
            Beta = 1,
            LearningRate = 2e-3,
            Patience = 1,
        };
        using var training = new FeatureTraining(Backbone.ResNet18(), frames, null, settings, 32, 2, 0.1, checkpoint,
            default)
        { PixelSteps = 1 };
        training.Trainer.Run(_ => { }, default);
        return training.Finish(default).Exporter;
    }

    private static ModelExporter Pixels(DecodedFootage frames)
    {
        var network = new PatchNetwork(frames.Size, 32, isVariational: true);
        // What the weights are does not matter for time.
        var random = new Random(1);
        float[] Values(long[] shape, long fanIn) =>
            [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (product, side) => product * side)).Select(_ =>
            fanIn == 0 ? 0 : (float)((random.NextDouble() - 0.5) / Math.Sqrt(fanIn)))];
        var weights = network.Weights().ToDictionary(weight => weight.Name, weight => (Values(weight.Shape, weight.FanIn), weight.Shape));
        weights[PatchNetwork.Fill] = (new float[network.Cells * PatchTransform.Coefficients],
            [1, network.Cells, PatchTransform.Coefficients]);
        var exporter = new ModelExporter(network, weights);
        exporter.FitScores(frames);
        return exporter;
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
