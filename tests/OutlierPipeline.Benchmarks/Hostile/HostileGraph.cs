using System.Runtime.InteropServices;
using Google.Protobuf;
using OutlierPipeline.Models;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary>A small graph with all that the card of <see cref="HostileCorpus.Cards"/> asks of one, with weights, a mask and a convolution.
/// </summary>
internal static class HostileGraph
{
    private const int Float32 = 1;
    private const int UInt8 = 2;
    private const int Int64 = 7;

    public static byte[] Sound()
    {
        var graph = new GraphProto
        {
            Name = "small",
            Input = { Tensor("image", UInt8, -1, 16, 24, 3), Tensor("mask", UInt8, -1, 16, 24) },
            Output =
            {
                Tensor("scores", Float32, -1, 2), Tensor("latent", Float32, -1, 2), Tensor("profile", Float32, -1, 2),
                Tensor("error_map", Float32, -1, 2, 3), Tensor("reconstruction", UInt8, -1, 16, 24, 3),
            },
        };
        // [4, 3, 3, 3], [6, 2]
        Weights("kernel", 4, 3, 3, 3);
        Weights("projection", 6, 2);
        Weights("bias", 2);
        graph.Initializer.Add(new TensorProto
        {
            Name = "mask",
            DataType = UInt8,
            Dims = { 1, 16, 24 },
            RawData = ByteString.CopyFrom([.. Enumerable.Repeat((byte)1, 16 * 24)])
        });
        graph.Initializer.Add(new TensorProto
        {
            Name = "one",
            DataType = Int64,
            Dims = { 1 },
            RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes([1L]))
        });
        Node("Identity", "reconstruction", "image");
        Node("Cast", "pixels", "image").Attribute.Add(Integer("to", Float32));
        Node("Cast", "region", "mask").Attribute.Add(Integer("to", Float32));
        Node("Transpose", "planes", "pixels").Attribute.Add(Integers("perm", 0, 3, 1, 2));
        Node("Conv", "features", "planes", "kernel").Attribute.Add(Integers("pads", 1, 1, 1, 1));
        Node("Relu", "positive", "features");
        // [N, 16, 24]
        Node("ReduceMean", "strangeness", "positive").Attribute.Add([Integers("axes", 1), Integer("keepdims", 0)]);
        Node("Mul", "inside", "strangeness", "region");
        // Pooling takes planes: [N, 1, 16, 24] to [N, 1, 2, 3].
        Node("Unsqueeze", "plane", "inside", "one");
        Node("AveragePool", "cells", "plane").Attribute.Add([Integers("kernel_shape", 8, 8), Integers("strides", 8, 8)]);
        Node("Squeeze", "error_map", "cells", "one");
        Node("Flatten", "flat", "error_map");
        Node("MatMul", "latent", "flat", "projection");
        Node("Add", "scores", "latent", "bias");
        Node("Identity", "profile", "latent");
        return new ModelProto
        {
            IrVersion = 8,
            ProducerName = "fuzz",
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 13 } },
            MetadataProps = { new StringStringEntryProto { Key = "scores", Value = "a,b" } },
        }.ToByteArray();

        void Weights(string name, params long[] shape)
        {
            float[] values = [.. Enumerable.Range(1, (int)shape.Aggregate((a, b) => a * b)).Select(i => i % 7 / 10f)];
            graph.Initializer.Add(new TensorProto
            {
                Name = name,
                DataType = Float32,
                Dims = { shape },
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan()))
            });
        }

        NodeProto Node(string type, string output, params string[] inputs)
        {
            var node = new NodeProto { OpType = type, Name = output, Input = { inputs }, Output = { output } };
            graph.Node.Add(node);
            return node;
        }
    }

    /// <param name="shape">-1 is N, any number.</param>
    private static ValueInfoProto Tensor(string name, int type, params int[] shape)
    {
        var dimensions = new TensorShapeProto();
        foreach (int length in shape)
            dimensions.Dim.Add(length < 0
                ? new TensorShapeProto.Types.Dimension { DimParam = "N" }
                : new TensorShapeProto.Types.Dimension { DimValue = length });
        return new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = type, Shape = dimensions } }
        };
    }

    private static AttributeProto Integer(string name, long value) => new() { Name = name, I = value, Type = 2 };

    private static AttributeProto Integers(string name, params long[] values) => new() { Name = name, Ints = { values }, Type = 7 };
}
