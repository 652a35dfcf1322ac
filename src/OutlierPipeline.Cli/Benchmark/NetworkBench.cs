using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary>Times an engine's runs.</summary>
internal static class NetworkBench
{
    /// <param name="name">What the figures stand under, such as <c>Cuda, graphs</c>.</param>
    public static IEnumerable<NetworkFigures> Measure(Func<InferenceEngine> create, string? name, int[] sizes, TimeSpan time,
        CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        using var engine = create();
        engine.CreateBatch(sizes.Max());
        double start = clock.Elapsed.TotalSeconds;
        double deviation = Deviation(engine);
        double peak = DevicePeaks.Flops(engine);
        double copying = DevicePeaks.CopiedBytes(engine);
        var random = new Random(1);
        foreach (int size in sizes)
        {
            var batch = engine.CreateBatch(size);
            batch.Count = size;
            for (int slot = 0; slot < size; slot++) random.NextBytes(batch.WritePixels(slot));
            double[] ascending = [.. Time(() => batch.Run(), time, cancellation).Order()];
            // Delays are those of a batch alone, the rate is that of full load.
            double rate = size * Overlapped(engine, size, random, time, cancellation);
            double flops = rate * engine.Package.Card.Network.FlopsPerFrame;
            yield return new NetworkFigures(
                name ?? engine.Accelerator.ToString(), engine.Precision.ToString(), size, start, 1000 * Quantiles.Of(ascending, 0.5),
                1000 * Quantiles.Of(ascending, 0.99), rate, flops / 1e9, flops / peak,
                rate * engine.Package.Card.Network.Size.Bytes / copying, deviation);
        }
    }

    /// <summary>Seconds of each run, after a tenth of the time to warm up.</summary>
    public static double[] Time(Action run, TimeSpan time, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        var runs = new List<double>();
        while (clock.Elapsed < time * 1.1 || runs.Count < 3)
        {
            cancellation.ThrowIfCancellationRequested();
            long begun = Stopwatch.GetTimestamp();
            run();
            if (clock.Elapsed > time * 0.1) runs.Add(Stopwatch.GetElapsedTime(begun).TotalSeconds);
        }
        return [.. runs];
    }

    /// <summary>Batches a second with as many under way as the engine takes at once.</summary>
    private static double Overlapped(InferenceEngine engine, int size, Random random, TimeSpan time, CancellationToken cancellation)
    {
        var batches = Enumerable.Range(0, InferenceEngine.Concurrency).Select(_ => engine.CreateBatch(size)).ToArray();
        foreach (var batch in batches)
        {
            batch.Count = size;
            for (int slot = 0; slot < size; slot++) random.NextBytes(batch.WritePixels(slot));
            batch.Begin();
        }
        int next = 0;
        double[] runs = Time(
            () =>
            {
                batches[next].End();
                batches[next].Begin();
                next = (next + 1) % batches.Length;
            },
            time,
            cancellation);
        foreach (var batch in batches) batch.End();
        return 1 / runs.Average();
    }

    /// <summary>
    /// The largest difference of a score from that of a CPU in float32, by 1 + its size, over frames of the simulated street.
    /// </summary>
    private static double Deviation(InferenceEngine engine)
    {
        const int Frames = 32;
        using var reference = new InferenceEngine(engine.Package,
            new InferenceOptions { Accelerator = Accelerator.Cpu, Precision = Precision.Fp32 }, NullLogger.Instance);
        using var street = new StreetCamera(1);
        using var decoder = new FrameDecoder(engine.Package.Card.Network.Size, new FrameLimits());
        var batches = new[] { reference.CreateBatch(Frames), engine.CreateBatch(Frames) };
        for (int slot = 0; slot < Frames; slot++)
        {
            byte[] picture = street.Render(slot * 0.5, (Trouble)(slot % 4));
            foreach (var batch in batches) batch.DecodeHere(slot, picture, decoder);
        }
        foreach (var batch in batches) batch.Count = Frames;
        batches[0].Run();
        batches[1].Run();
        return Enumerable.Range(0, Frames).Max(slot =>
            batches[0].Scores(slot).ToArray().Zip(batches[1].Scores(slot).ToArray(), (expected, actual) =>
            Math.Abs(expected - actual) / (1 + Math.Abs((double)expected))).Max());
    }
}
