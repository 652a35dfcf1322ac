using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Inference;
using OutlierPipeline.Inference.Cuda;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary>What a device does at best, measured in the run that is compared with it.</summary>
internal static class DevicePeaks
{
    private const int Float32 = 1;
    private const int Float16 = 10;
    private const int Products = 16;
    private const int Copied = 64 << 20;

    /// <summary>
    /// Operations a second of matrix products in the engine's precision: large ones on a GPU, and on CPU such as stay in a core's cache, a
    /// thread a part.
    /// </summary>
    public static double Flops(InferenceEngine engine)
    {
        (int rows, int side) = engine.OnDevice ? (8192, 4096) : (1024, 256);
        using var session = engine.Beside(Chain(rows, side, engine.OnDevice && engine.Precision == Precision.Fp16 ? Float16 : Float32),
            threads: 1);
        using var run = new RunOptions();
        double[] rates = new double[engine.Parts];
        var threads = rates.Select((_, part) => new Thread(() =>
        {
            using var factor = OrtValue.CreateTensorValueFromMemory(new float[1], [1, 1]);
            double[] runs = NetworkBench.Time(() => session.Run(run, ["factor"], [factor], ["corner"]).Dispose(), TimeSpan.FromSeconds(1),
                CancellationToken.None);
            rates[part] = Products * 2.0 * rows * side * side / runs.Order().ElementAt(runs.Length / 10);
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        return rates.Sum();
    }

    /// <summary>Bytes a second: from page-locked memory to a GPU, or from memory to memory by one thread.</summary>
    public static double CopiedBytes(InferenceEngine engine)
    {
        double[] runs;
        if (engine.Device is { } device)
        {
            using var stream = new CudaStream(device);
            using var buffer = new DeviceBuffer(Copied, stream);
            runs = NetworkBench.Time(
                () =>
                {
                    buffer.Upload(0, Copied);
                    stream.Synchronize();
                },
                TimeSpan.FromSeconds(0.5),
                CancellationToken.None);
        }
        else
        {
            byte[] from = new byte[Copied];
            byte[] to = new byte[Copied];
            runs = NetworkBench.Time(() => from.CopyTo(to, 0), TimeSpan.FromSeconds(0.5), CancellationToken.None);
        }
        return Copied / runs.Min();
    }

    /// <summary>
    /// A matrix of the graph's own, scaled by an input of one number so that it is no constant, times another, again and again; of the
    /// result one corner comes back.
    /// </summary>
    private static byte[] Chain(int rows, int side, int type)
    {
        var graph = new GraphProto { Name = "peak" };
        graph.Input.Add(Value("factor", 1));
        Matrix("x", rows);
        Matrix("w", side);
        Integers("first", 0, 0);
        Integers("end", 1, 1);
        Node("Cast", "scale", "factor").Attribute.Add(new AttributeProto { Name = "to", I = type, Type = 2 });
        Node("Mul", "y0", "x", "scale");
        for (int i = 0; i < Products; i++) Node("MatMul", $"y{i + 1}", $"y{i}", "w");
        Node("Slice", "piece", $"y{Products}", "first", "end");
        Node("Cast", "corner", "piece").Attribute.Add(new AttributeProto { Name = "to", I = Float32, Type = 2 });
        graph.Output.Add(Value("corner", 1));
        return new ModelProto { IrVersion = 8, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = 18 } } }.ToByteArray();

        void Matrix(string name, int height)
        {
            // Random, since zeros take less power and so more clock than any real work.
            var random = new Random(1);
            float[] values = [.. Enumerable.Range(0, side * 16).Select(_ => (float)(random.NextDouble() - 0.5) / 64)];
            byte[] bytes = type == Float16
                ? MemoryMarshal.AsBytes(values.Select(value => (Half)value).ToArray().AsSpan()).ToArray()
                : MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
            byte[] all = new byte[(long)bytes.Length * height / 16];
            for (int at = 0; at < all.Length; at += bytes.Length) bytes.CopyTo(all, at);
            graph.Initializer.Add(new TensorProto
            {
                Name = name,
                DataType = type,
                RawData = UnsafeByteOperations.UnsafeWrap(all),
                Dims = { height, side }
            });
        }

        void Integers(string name, params long[] values) =>
            graph.Initializer.Add(new TensorProto
            {
                Name = name,
                DataType = 7,
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan())),
                Dims = { values.Length }
            });

        NodeProto Node(string operation, string output, params string[] inputs)
        {
            var node = new NodeProto { OpType = operation, Name = output, Output = { output } };
            node.Input.Add(inputs);
            graph.Node.Add(node);
            return node;
        }
    }

    private static ValueInfoProto Value(string name, int sides)
    {
        var shape = new TensorShapeProto
        {
            Dim = { new TensorShapeProto.Types.Dimension { DimValue = sides },
            new TensorShapeProto.Types.Dimension { DimValue = sides } }
        };
        return new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = Float32, Shape = shape } }
        };
    }
}
