using System.Diagnostics;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Simulation;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary>Times an engine's runs, and what the device could do at best.</summary>
internal static class NetworkBench
{
    private const int CopiedBytes = 64 << 20;

    public static IEnumerable<NetworkFigures> Measure(InferenceEngine engine, int[] sizes, TimeSpan time, CancellationToken cancellation)
    {
        double deviation = Deviation(engine);
        double peak = PeakFlops(engine);
        double copying = CopyBandwidth();
        var random = new Random(1);
        foreach (int size in sizes)
        {
            var batch = engine.CreateBatch(size);
            batch.Count = size;
            for (int slot = 0; slot < size; slot++) random.NextBytes(batch.Pixels(slot));
            double[] runs = Time(() => engine.Run(batch), time, cancellation);
            double rate = size / runs.Average();
            double flops = rate * engine.Package.Card.Network.FlopsPerFrame;
            yield return new NetworkFigures(
                engine.Accelerator.ToString(), engine.Precision.ToString(), size, 1000 * Quantile(runs, 0.5), 1000 * Quantile(runs, 0.99), rate, flops / 1e9, flops / peak,
                rate * engine.Package.Card.Network.Size.Bytes / copying, deviation);
        }
    }

    /// <summary>The largest difference of a score from that of a CPU in float32, by 1 + its size, over frames of the simulated street.</summary>
    private static double Deviation(InferenceEngine engine)
    {
        const int Frames = 32;
        using var reference = new InferenceEngine(engine.Package, new InferenceOptions { Accelerator = Accelerator.Cpu, Precision = Precision.Fp32 }, NullLogger.Instance);
        using var street = new StreetCamera(1);
        using var decoder = new FrameDecoder(engine.Package.Card.Network.Size, new FrameLimits());
        var batches = new[] { reference.CreateBatch(Frames), engine.CreateBatch(Frames) };
        for (int slot = 0; slot < Frames; slot++)
        {
            byte[] picture = street.Render(slot * 0.5, (Trouble)(slot % 4));
            foreach (var batch in batches) decoder.Decode(picture, batch.Pixels(slot));
        }
        foreach (var batch in batches) batch.Count = Frames;
        reference.Run(batches[0]);
        engine.Run(batches[1]);
        return Enumerable.Range(0, Frames).Max(slot => batches[0].Scores(slot).ToArray().Zip(batches[1].Scores(slot).ToArray(), (expected, actual) => Math.Abs(expected - actual) / (1 + Math.Abs((double)expected))).Max());
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

    private static double Quantile(double[] values, double quantile)
    {
        double[] ascending = [.. values.Order()];
        return ascending[(int)(quantile * (ascending.Length - 1))];
    }

    /// <summary>Operations a second of float32 matrix products: large ones on a GPU, and on CPU such as stay in a core's cache, a thread a part.</summary>
    private static double PeakFlops(InferenceEngine engine)
    {
        const int Products = 16;
        (int rows, int side) = engine.Accelerator == Accelerator.Cpu ? (1024, 256) : (8192, 4096);
        var graph = new GraphProto { Name = "peak" };
        graph.Input.Add(Value("x"));
        graph.Initializer.Add(new TensorProto { Name = "w", DataType = 1, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(new float[side * side].AsSpan())), Dims = { side, side } });
        for (int i = 0; i < Products; i++) graph.Node.Add(new NodeProto { OpType = "MatMul", Name = $"p{i}", Input = { i == 0 ? "x" : $"y{i - 1}", "w" }, Output = { $"y{i}" } });
        graph.Output.Add(Value($"y{Products - 1}"));
        var model = new ModelProto { IrVersion = 8, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = 18 } } };
        using var session = engine.Beside(model.ToByteArray(), threads: 1);
        using var run = new RunOptions();
        double[] rates = new double[engine.Parts];
        var threads = rates.Select((_, part) => new Thread(() =>
        {
            using var x = OrtValue.CreateTensorValueFromMemory(new float[rows * side], [rows, side]);
            double[] runs = Time(() => session.Run(run, ["x"], [x], [$"y{Products - 1}"]).Dispose(), TimeSpan.FromSeconds(1), CancellationToken.None);
            rates[part] = Products * 2.0 * rows * side * side / runs.Order().ElementAt(runs.Length / 10);
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        return rates.Sum();

        ValueInfoProto Value(string name)
        {
            var shape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension { DimValue = rows }, new TensorShapeProto.Types.Dimension { DimValue = side } } };
            return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = 1, Shape = shape } } };
        }
    }

    /// <summary>Bytes a second from memory to memory, one thread.</summary>
    private static double CopyBandwidth()
    {
        byte[] from = new byte[CopiedBytes];
        byte[] to = new byte[CopiedBytes];
        double[] runs = Time(() => from.CopyTo(to, 0), TimeSpan.FromSeconds(0.5), CancellationToken.None);
        return CopiedBytes / runs.Min();
    }
}
