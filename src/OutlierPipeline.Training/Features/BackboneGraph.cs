using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// The part of an ONNX graph that some of its values need, with batch normalisations multiplied into the convolutions before them and with
/// asymmetric padding made symmetric: that takes the
/// same samples of even sides, and odd sides then work too.
/// </summary>
internal sealed class BackboneGraph
{
    private const int Float32 = 1;
    private readonly List<NodeProto> _nodes;

    private BackboneGraph(List<NodeProto> nodes, string input, Dictionary<string, (float[] Values, long[] Shape)> weights,
        List<TensorProto> others)
    {
        _nodes = nodes;
        Input = input;
        Weights = weights;
        Others = others;
    }

    /// <summary>In topological order.</summary>
    public IReadOnlyList<NodeProto> Nodes => _nodes;

    /// <summary>Name of the planes that go in.</summary>
    public string Input { get; }

    /// <summary>Float32 constants.</summary>
    public Dictionary<string, (float[] Values, long[] Shape)> Weights { get; }

    /// <summary>Constants of other types, such as shapes.</summary>
    public IReadOnlyList<TensorProto> Others { get; }

    /// <summary>Those of <see cref="Weights"/> that half precision holds exactly.</summary>
    public HashSet<string> Halved { get; } = [];

    /// <exception cref="TrainingException">The file is no graph with such values.</exception>
    public static BackboneGraph Cut(byte[] file, IReadOnlyList<string> outputs)
    {
        GraphProto? graph;
        try
        {
            graph = ModelProto.Parser.ParseFrom(file).Graph;
        }
        catch (Google.Protobuf.InvalidProtocolBufferException e)
        {
            throw new TrainingException($"the backbone is not an ONNX file: {e.Message}", e);
        }
        var makers = graph?.Node.SelectMany(node => node.Output.Select(output => (output, node))).ToDictionary(pair => pair.output, pair =>
            pair.node) ?? [];
        if (outputs.FirstOrDefault(output => !makers.ContainsKey(output)) is { } missing)
            throw new TrainingException($"the backbone has no value {missing}");
        var needed = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        var open = new Stack<NodeProto>(outputs.Select(output => makers[output]));
        while (open.TryPop(out var node))
        {
            if (!needed.Add(node)) continue;
            foreach (string input in node.Input.Where(makers.ContainsKey)) open.Push(makers[input]);
        }
        var initializers = graph!.Initializer.ToDictionary(initializer => initializer.Name);
        var read = needed.SelectMany(node => node.Input).ToHashSet();
        string[] inputs = [.. graph.Input.Select(input => input.Name).Where(name =>
            !initializers.ContainsKey(name) && read.Contains(name))];
        if (inputs.Length != 1)
            throw new TrainingException(
                $"the backbone has {inputs.Length} inputs ({string.Join(", ", inputs)}): expected one, of RGB planes");
        var weights = initializers.Values.Where(tensor => tensor.DataType == Float32 && read.Contains(tensor.Name)).ToDictionary(tensor =>
            tensor.Name, tensor => (Values(tensor), (long[])[.. tensor.Dims]));
        var cut = new BackboneGraph([.. graph.Node.Where(needed.Contains)], inputs[0], weights,
            [.. initializers.Values.Where(tensor => tensor.DataType != Float32 && read.Contains(tensor.Name))]);
        foreach (var node in cut._nodes.Where(node => node.OpType is "Conv" or "MaxPool")) MakeSymmetric(node);
        cut.FoldNormalisation();
        return cut;
    }

    /// <summary>Turns the colours around that the first convolution reads.</summary>
    public void ReverseColours()
    {
        string name = _nodes.Single(node => node.Input[0] == Input).Input[1];
        var (values, shape) = Weights[name];
        int plane = (int)(shape[2] * shape[3]);
        for (int filter = 0; filter < shape[0]; filter++)
        {
            for (int i = 0; i < plane; i++)
            {
                int first = filter * 3 * plane + i;
                (values[first], values[first + 2 * plane]) = (values[first + 2 * plane], values[first]);
            }
        }
    }

    /// <summary>Rounds large weights to half precision.</summary>
    public void Halve(int smallest)
    {
        foreach (var (name, (values, _)) in Weights.Where(weight => weight.Value.Values.Length > smallest))
        {
            var halves = new Half[values.Length];
            TensorPrimitives.ConvertToHalf(values, halves);
            TensorPrimitives.ConvertToSingle(halves, values);
            Halved.Add(name);
        }
    }

    /// <summary>
    /// Floating-point operations of the convolutions of one picture, multiply and add counted as two. Operators other than convolution and
    /// pooling are taken to keep the size.
    /// </summary>
    public long Flops(FrameSize size)
    {
        var sizes = new Dictionary<string, (long Height, long Width)> { [Input] = (size.Height, size.Width) };
        long flops = 0;
        foreach (var node in _nodes)
        {
            var (height, width) = sizes.GetValueOrDefault(node.Input[0]);
            if (node.OpType is "Conv" or "MaxPool" or "AveragePool")
            {
                long stride = Ints(node, "strides") is { Length: > 0 } strides ? strides[0] : 1;
                (height, width) = ((height + stride - 1) / stride, (width + stride - 1) / stride);
            }
            if (node.OpType == "Conv") flops += 2 * Weights[node.Input[1]].Values.LongLength * height * width;
            foreach (string output in node.Output) sizes[output] = (height, width);
        }
        return flops;
    }

    private static void MakeSymmetric(NodeProto node)
    {
        if (node.Attribute.FirstOrDefault(attribute => attribute.Name == "pads") is not { Ints.Count: 4 } pads) return;
        for (int i = 0; i < 2; i++) pads.Ints[i + 2] = pads.Ints[i] = Math.Max(pads.Ints[i], pads.Ints[i + 2]);
    }

    private void FoldNormalisation()
    {
        var makers = _nodes.SelectMany(node => node.Output.Select(output => (output, node))).ToDictionary(pair =>
            pair.output, pair => pair.node);
        foreach (var norm in _nodes.Where(node => node.OpType == "BatchNormalization").ToArray())
        {
            if (!makers.TryGetValue(norm.Input[0], out var conv) || conv.OpType != "Conv" || conv.Input.Count != 2
                || _nodes.Sum(node => node.Input.Count(input => input == norm.Input[0])) != 1)
            {
                // Operator set 18 has no such attribute any more.
                if (norm.Attribute.FirstOrDefault(attribute => attribute.Name == "spatial") is { } spatial) norm.Attribute.Remove(spatial);
                continue;
            }
            float epsilon = norm.Attribute.FirstOrDefault(attribute => attribute.Name == "epsilon")?.F ?? 1e-5f;
            var (weight, shape) = Weights[conv.Input[1]];
            float[][] parts = [.. norm.Input.Skip(1).Select(name => Weights[name].Values)];
            int filter = weight.Length / parts[0].Length;
            float[] folded = new float[weight.Length];
            float[] bias = new float[parts[0].Length];
            for (int k = 0; k < bias.Length; k++)
            {
                double factor = parts[0][k] / Math.Sqrt(parts[3][k] + (double)epsilon);
                bias[k] = (float)(parts[1][k] - parts[2][k] * factor);
                for (int i = 0; i < filter; i++) folded[k * filter + i] = (float)(weight[k * filter + i] * factor);
            }
            foreach (string name in norm.Input.Skip(1)) Weights.Remove(name);
            Weights[conv.Input[1]] = (folded, shape);
            string biasName = conv.Input[1] + "/bias";
            Weights[biasName] = (bias, [bias.Length]);
            conv.Input.Add(biasName);
            conv.Output[0] = norm.Output[0];
            _nodes.Remove(norm);
        }
    }

    private static long[] Ints(NodeProto node, string name) =>
        [.. node.Attribute.FirstOrDefault(attribute => attribute.Name == name)?.Ints ?? []];

    private static float[] Values(TensorProto tensor) => tensor.FloatData.Count > 0
        ? [.. tensor.FloatData]
        : MemoryMarshal.Cast<byte, float>(tensor.RawData.Span).ToArray();
}
