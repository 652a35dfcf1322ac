using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Batching;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// The pipeline against a bare loop, memory from decode to score, and latency at half load, in one run:
/// <c>dotnet run -c Release --project tests/OutlierPipeline.Benchmarks -- end-to-end [MODEL [EVERY]]</c>. Of a package with a second graph
/// one frame of EVERY (100) gets it in the pipeline, and none in the bare loop; 0 for none.
/// </summary>
internal static class EndToEnd
{
    private const int Partitions = 16;
    private const int Frames = 6400;
    private const int BatchSize = 16;
    private const int LatencySeconds = 20;
    private const int RoundFrames = 3200;

    /// <summary>One frame of so many gets the second graph.</summary>
    private static int s_every;

    /// <summary>The frames of every measurement: the demo's, 320×192, about 8 KiB each.</summary>
    public static byte[][] Street(Trouble trouble = Trouble.None)
    {
        using var camera = new StreetCamera(1);
        return [.. Enumerable.Range(0, 200).Select(i => camera.Render(i * 0.5, trouble))];
    }

    public static async Task<int> RunAsync(string[] args)
    {
        string model = args.Length > 0 ? args[0] : FindModel();
        s_every = args.Length > 1 ? int.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture) : 100;
        byte[][] frames = Street();
        var package = ModelPackage.Load(model);
        Say($"{Environment.ProcessorCount} cores, model {package.Card.Name} {package.Card.Network.Height}x{package.Card.Network.Width}, " +
            $"frames {StreetCamera.Width}x{StreetCamera.Height} JPEG, batches of up to {BatchSize}");
        double[] allocated = AllocatedPerFrame(package, frames);
        Say($"allocated from decode to score, bytes a frame: median {allocated[allocated.Length / 2]:0.00}, least {allocated[0]:0.00}, " +
            $"most {allocated[^1]:0.00} of {allocated.Length} rounds of {RoundFrames} frames");
        double before = BareLoop(package, frames);
        var (raw, net) = await ThroughputAsync(model);
        double after = BareLoop(package, frames);
        // The machine's speed wanders: the loop before and the loop after bracket it.
        double bare = (before + after) / 2;
        Say($"bare loop: {before:0} and {after:0} frames/s (before and after)");
        Say($"end to end: {net:0} frames/s with the broker's processor time subtracted, {raw:0} as measured");
        Say($"ratio: {net / bare:0.00} (as measured {raw / bare:0.00})");
        var latency = await LatencyAsync(model, raw / 2);
        double bound = PipelineDelay.TotalMilliseconds + latency.InferP99 + 10;
        Say($"at half load ({raw / 2:0} frames/s, {LatencySeconds} s): produced to acknowledged p50 {latency.P50:0} ms, p95 " +
            $"{latency.P95:0} ms, p99 {latency.P99:0} ms; inference of a batch p50 {latency.InferP50:0.0} ms, p99 " +
            $"{latency.InferP99:0.0} ms");
        Say($"p99 against MaxDelay + inference + 10 ms = {bound:0} ms: {(latency.P99 <= bound ? "within" : "beyond")}");
        return 0;
    }

    private static TimeSpan PipelineDelay { get; } = new BatchingOptions().MaxDelay;

    private static PipelineOptions Options(string servers, string model) => new()
    {
        Kafka = new KafkaOptions { BootstrapServers = servers, Client = new() { ["fetch.wait.max.ms"] = "5" } },
        Model = new ModelOptions { Path = model },
        Inference = new InferenceOptions { Accelerator = Accelerator.Cpu, Second = new SecondOptions { Every = s_every } },
        Batching = new BatchingOptions { MaxBatchSize = BatchSize },
    };

    /// <summary>Decode with every core, then infer with every core, and nothing else: frames/s.</summary>
    private static double BareLoop(ModelPackage package, byte[][] frames)
    {
        using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        var batch = engine.CreateBatch(BatchSize);
        using var decoders = new ThreadLocal<FrameDecoder>(() =>
            new FrameDecoder(package.Card.Network.Size, new FrameLimits()), trackAllValues: true);
        batch.Count = BatchSize;
        var clock = new Stopwatch();
        int done = -BatchSize * 20;
        while (done < Frames / 2)
        {
            if (done >= 0 && !clock.IsRunning) clock.Start();
            int first = Math.Abs(done);
            Parallel.For(0, BatchSize, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, slot =>
                batch.DecodeHere(slot, frames[(first + slot) % frames.Length], decoders.Value!));
            batch.Run();
            done += BatchSize;
        }
        foreach (var decoder in decoders.Values) decoder.Dispose();
        return done / clock.Elapsed.TotalSeconds;
    }

    /// <summary>
    /// Frames that wait in the broker, to the acknowledgement of their scores: frames/s as measured, and with the broker's share of the
    /// cores subtracted.
    /// </summary>
    private static async Task<(double Raw, double Net)> ThroughputAsync(string model)
    {
        using var broker = new BrokerProcess(Partitions);
        broker.Send(Frames, 0);
        using var recorder = new LatencyRecorder();
        using var stop = new CancellationTokenSource();
        using var pipeline = new FramePipeline(Options(broker.BootstrapServers, model), NullLogger.Instance);
        var running = pipeline.RunAsync(stop.Token);
        // The start, with its joining of the group, is no part of the throughput.
        recorder.Wait(Frames / 10);
        int first = recorder.Count;
        var processor = broker.ProcessorTime;
        var clock = Stopwatch.StartNew();
        recorder.Wait(Frames);
        clock.Stop();
        processor = broker.ProcessorTime - processor;
        await stop.CancelAsync();
        await running;
        double own = clock.Elapsed.TotalSeconds - processor.TotalSeconds / Environment.ProcessorCount;
        return ((Frames - first) / clock.Elapsed.TotalSeconds, (Frames - first) / own);
    }

    private static async Task<(double P50, double P95, double P99, double InferP50, double InferP99)> LatencyAsync(string model,
        double rate)
    {
        using var broker = new BrokerProcess(Partitions);
        using var stop = new CancellationTokenSource();
        using var pipeline = new FramePipeline(Options(broker.BootstrapServers, model), NullLogger.Instance);
        var running = pipeline.RunAsync(stop.Token);
        while (pipeline.NotReady.Count > 0) await Task.Delay(50);
        // A first second for what is compiled and allocated once.
        broker.Send((int)rate, rate);
        using var recorder = new LatencyRecorder();
        int frames = (int)(rate * LatencySeconds);
        broker.Send(frames, rate);
        recorder.Wait(frames);
        await stop.CancelAsync();
        await running;
        return (recorder.Latency(0.5), recorder.Latency(0.95), recorder.Latency(0.99), recorder.Infer(0.5), recorder.Infer(0.99));
    }

    /// <summary>
    /// Managed bytes a frame through decode workers, batcher and engine, in steady state; rounds in ascending order. What the runtime
    /// allocates beside it counts too.
    /// </summary>
    private static double[] AllocatedPerFrame(ModelPackage package, byte[][] encoded)
    {
        var options = Options("-", package.Path);
        using var load = new LaneLoad(new InferenceEngine(package, options.Inference, NullLogger.Instance), options, encoded);
        load.Run(RoundFrames);
        double[] rounds = new double[5];
        for (int round = 0; round < rounds.Length; round++)
        {
            long before = GC.GetTotalAllocatedBytes(true);
            load.Run(RoundFrames);
            rounds[round] = (double)(GC.GetTotalAllocatedBytes(true) - before) / RoundFrames;
        }
        Array.Sort(rounds);
        return rounds;
    }

    internal static string FindModel()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            string candidate = Path.Combine(directory.FullName, "models", "street-demo");
            if (Directory.Exists(candidate)) return candidate;
        }
        throw new DirectoryNotFoundException("models/street-demo");
    }

    private static void Say(string line) => Console.WriteLine(line);
}
