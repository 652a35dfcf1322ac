using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Batching;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Streaming;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary>Pictures in memory through the service's own decode workers, batcher and engine, against a bare loop in the same run.</summary>
internal static class EndToEndBench
{
    private const int MaxPictures = 500;

    public static EndToEndFigures Measure(ModelPackage package, InferenceOptions inference, string directory, TimeSpan time, CancellationToken cancellation)
    {
        if (!Directory.Exists(directory)) throw new CommandException($"{directory}: no such directory");
        string[] extensions = [".jpg", ".jpeg", ".png", ".webp"];
        string[] files = [.. Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories).Where(file => extensions.Contains(Path.GetExtension(file).ToLowerInvariant())).Order(StringComparer.Ordinal).Take(MaxPictures)];
        if (files.Length == 0) throw new CommandException($"{directory}: no picture ({string.Join(", ", extensions)})");
        byte[][] encoded = [.. files.Select(File.ReadAllBytes)];
        var options = new PipelineOptions { Inference = inference, Frames = new FramesOptions(), Batching = new BatchingOptions() };
        var size = package.Card.Network.Size;
        using var engine = new InferenceEngine(package, inference, NullLogger.Instance);
        var batch = engine.CreateBatch(options.Batching.MaxBatchSize);
        batch.Count = batch.Capacity;
        var decoders = Enumerable.Range(0, options.Frames.Workers).Select(_ => new FrameDecoder(size, options.Frames.Limits)).ToArray();
        try
        {
            int next = 0;
            double[] decoding = NetworkBench.Time(() => decoders[0].Decode(encoded[next++ % encoded.Length], batch.Pixels(0)), time / 2, cancellation);
            double[] scoring = NetworkBench.Time(() => engine.Run(batch), time / 2, cancellation);
            double before = BareLoop();
            var (rate, allocated, busy) = FramePath();
            double after = BareLoop();
            double bare = (before + after) / 2;
            double decode = decoding.Average();
            double infer = scoring.Average() / batch.Capacity;
            double inferWork = infer * (engine.Accelerator == Accelerator.Cpu ? inference.Threads > 0 ? inference.Threads : Environment.ProcessorCount : 1);
            return new EndToEndFigures(encoded.Length, Dimensions(encoded[0]), encoded.Average(bytes => (double)bytes.Length), rate, bare, rate / bare, 1000 * decode, 1000 * infer, decode / (decode + inferWork), allocated, busy);
        }
        finally
        {
            foreach (var decoder in decoders) decoder.Dispose();
        }

        // Every core decodes, then every core scores.
        double BareLoop()
        {
            int done = 0;
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed < time)
            {
                cancellation.ThrowIfCancellationRequested();
                int first = done;
                Parallel.For(0, decoders.Length, worker =>
                {
                    for (int slot = worker; slot < batch.Capacity; slot += decoders.Length) decoders[worker].Decode(encoded[(first + slot) % encoded.Length], batch.Pixels(slot));
                });
                engine.Run(batch);
                done += batch.Capacity;
            }
            return done / clock.Elapsed.TotalSeconds;
        }

        (double Rate, double Allocated, double Busy) FramePath()
        {
            using var load = new LaneLoad(new InferenceEngine(package, inference, NullLogger.Instance), options, encoded);
            int round = Math.Max(batch.Capacity * 8, encoded.Length);
            int failed = load.Run(round, cancellation);
            if (failed == round) throw new CommandException($"{directory}: no picture could be decoded");
            using var process = Process.GetCurrentProcess();
            int done = 0;
            long allocated = GC.GetTotalAllocatedBytes(true);
            var processor = process.TotalProcessorTime;
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed < time)
            {
                load.Run(round, cancellation);
                done += round;
            }
            double wall = clock.Elapsed.TotalSeconds;
            process.Refresh();
            return (done / wall, (double)(GC.GetTotalAllocatedBytes(true) - allocated) / done, (process.TotalProcessorTime - processor).TotalSeconds / wall / Environment.ProcessorCount);
        }
    }

    private static string Dimensions(byte[] encoded)
    {
        using var codec = SkiaSharp.SKCodec.Create(new MemoryStream(encoded)) ?? throw new CommandException("the first picture is none that can be decoded");
        return $"{codec.Info.Width}×{codec.Info.Height}";
    }
}
