using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Batching;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary>
/// Pictures in memory through the service's own decode workers, batcher and engine, against a bare loop in the same run; on a GPU with each
/// decoder.
/// </summary>
internal sealed class EndToEndBench(ModelPackage package, InferenceOptions inference, byte[][] encoded, TimeSpan time,
    CancellationToken cancellation)
{
    private const int MaxPictures = 500;

    /// <summary>Pictures of a directory, in the order of their names.</summary>
    public static byte[][] Load(string directory) =>
        [.. FrameDirectory.Read(directory, Console.Error.WriteLine).SelectMany(drive =>
        drive.Files).Take(MaxPictures).Select(File.ReadAllBytes)];

    public IEnumerable<EndToEndFigures> Measure()
    {
        bool onDevice;
        bool hasNvJpeg;
        using (var engine = Engine())
        {
            onDevice = engine.OnDevice;
            hasNvJpeg = engine.Device is { } device && device.OpenJpeg() is null;
        }
        yield return Measure(DecoderChoice.Cpu, onDevice);
        if (hasNvJpeg) yield return Measure(DecoderChoice.NvJpeg, onDevice);
    }

    private EndToEndFigures Measure(DecoderChoice decoder, bool onDevice)
    {
        var options = new PipelineOptions
        {
            Inference = inference,
            Frames = new FramesOptions { Decoder = decoder, MaxBufferedBytes = 1L << 30 },
            Batching = new BatchingOptions()
        };
        using var engine = Engine();
        var batch = engine.CreateBatch(options.Batching.Capacity(onDevice), options.Frames);
        batch.Count = batch.Capacity;
        var decoders = Enumerable.Range(0, options.Frames.Workers).Select(_ =>
            new FrameDecoder(package.Card.Network.Size, options.Frames.Limits)).ToArray();
        try
        {
            double score = NetworkBench.Time(() => batch.Run(), time / 2, cancellation).Average() / batch.Capacity;
            int next = 0;
            double decode = decoder == DecoderChoice.NvJpeg
                ? NetworkBench.Time(() => Run(engine, batch, decoders, ref next), time / 2, cancellation).Average() / batch.Capacity - score
                : NetworkBench.Time(() => batch.DecodeHere(0, encoded[next++ % encoded.Length], decoders[0]), time / 2, cancellation)
                .Average();
            double before = BareLoop(engine, batch, decoders);
            var (rate, allocated, busy) = FramePath(options);
            double bare = (before + BareLoop(engine, batch, decoders)) / 2;
            // Of a CPU, all cores work on a batch; what a GPU does is its own.
            double decodeWork = decoder == DecoderChoice.NvJpeg ? decode : onDevice ? decode / options.Frames.Workers : decode;
            double scoreWork = score * (onDevice ? 1 : inference.Threads > 0 ? inference.Threads : Environment.ProcessorCount);
            var (difference, refused) = decoder == DecoderChoice.NvJpeg ? Compare(engine, batch, decoders[0]) : (0, 0);
            return new EndToEndFigures(
                decoder == DecoderChoice.NvJpeg ? "nvJPEG" : decoders[0].Name, encoded.Length, Dimensions(encoded[0]),
                encoded.Average(bytes => (double)bytes.Length), rate, bare, rate / bare,
                1000 * decode, 1000 * score, decodeWork / (decodeWork + scoreWork), allocated, busy, difference, refused);
        }
        finally
        {
            foreach (var cpu in decoders) cpu.Dispose();
        }
    }

    private InferenceEngine Engine() => new(package, inference, NullLogger.Instance);

    /// <summary>Every core decodes, or hands over to the device; then the engine scores; and nothing else.</summary>
    private double BareLoop(InferenceEngine engine, BatchMemory batch, FrameDecoder[] decoders)
    {
        int done = 0;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < time)
        {
            cancellation.ThrowIfCancellationRequested();
            Run(engine, batch, decoders, ref done);
        }
        return done / clock.Elapsed.TotalSeconds;
    }

    private void Run(InferenceEngine engine, BatchMemory batch, FrameDecoder[] decoders, ref int done)
    {
        int first = done;
        batch.Clear();
        batch.Count = batch.Capacity;
        Parallel.For(0, decoders.Length, worker =>
        {
            for (int slot = worker; slot < batch.Capacity; slot += decoders.Length)
            {
                byte[] picture = encoded[(first + slot) % encoded.Length];
                batch.Decode(slot, picture, decoders[worker]);
            }
        });
        batch.Run();
        done += batch.Capacity;
    }

    /// <summary>
    /// Mean difference, in grey levels, of the pictures that the device decodes from the CPU's; and how many of a hundred it does not take.
    /// </summary>
    private (double Difference, double Refused) Compare(InferenceEngine engine, BatchMemory batch, FrameDecoder cpu)
    {
        byte[] expected = new byte[package.Card.Network.Size.Bytes];
        double sum = 0;
        int left = 0;
        for (int first = 0; first < encoded.Length; first += batch.Capacity)
        {
            batch.Clear();
            batch.Count = Math.Min(batch.Capacity, encoded.Length - first);
            bool[] isLeft = [.. Enumerable.Range(0, batch.Count).Select(slot => batch.TryLeave(slot, encoded[first + slot]))];
            batch.Run();
            for (int slot = 0; slot < batch.Count; slot++)
            {
                if (!isLeft[slot] || cpu.Decode(encoded[first + slot], expected) != FrameError.None) continue;
                left++;
                var actual = batch.Pixels(slot);
                long differences = 0;
                for (int i = 0; i < expected.Length; i++) differences += Math.Abs(expected[i] - actual[i]);
                sum += (double)differences / expected.Length;
            }
        }
        return (sum / Math.Max(1, left), 100.0 * (encoded.Length - left) / encoded.Length);
    }

    private (double Rate, double Allocated, double Busy) FramePath(PipelineOptions options)
    {
        using var load = new LaneLoad(Engine(), options, encoded);
        int round = Math.Max(load.Ahead, encoded.Length);
        if (load.Run(round, cancellation) == round) throw new CommandException("no picture of --end-to-end could be decoded");
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
        return (done / wall, (double)(GC.GetTotalAllocatedBytes(true) - allocated) / done,
            (process.TotalProcessorTime - processor).TotalSeconds / wall / Environment.ProcessorCount);
    }

    private static string Dimensions(byte[] encoded)
    {
        using var codec = SkiaSharp.SKCodec.Create(new MemoryStream(encoded))
            ?? throw new CommandException("the first picture of --end-to-end is none that can be decoded");
        return $"{codec.Info.Width}×{codec.Info.Height}";
    }
}
