using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Google.Protobuf;

namespace OutlierPipeline.Models;

/// <summary>A graph that is made smaller and faster before it is loaded. What is not understood of the file is kept as it is.</summary>
internal sealed class OnnxGraph
{
    private const int Float32 = 1;
    private const int Float16 = 10;
    private readonly ModelProto _model;

    private OnnxGraph(ModelProto model) => _model = model;

    private GraphProto Graph => _model.Graph;

    /// <exception cref="InvalidDataException">It is no ONNX file, or has a name that is no UTF-8.</exception>
    public static OnnxGraph Parse(byte[] file)
    {
        try
        {
            return new(ModelProto.Parser.ParseFrom(file));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new InvalidDataException($"cannot be read: {e.Message}", e);
        }
    }

    public byte[] ToArray() => _model.ToByteArray();

    /// <summary>What the file says of itself under a name; null where it says nothing.</summary>
    public string? Metadata(string name) => _model.MetadataProps.LastOrDefault(entry => entry.Key == name)?.Value;

    /// <summary>Drops all outputs but these, and the nodes that no other output needs.</summary>
    public void Keep(IReadOnlyCollection<string> outputs)
    {
        Retain(Graph.Output, output => outputs.Contains(output.Name));
        var needed = Ancestors(Graph.Node.Where(node => node.Output.Any(outputs.Contains)));
        Retain(Graph.Node, needed.Contains);
        var read = Graph.Node.SelectMany(node => node.Input).ToHashSet();
        Retain(Graph.Initializer, initializer => read.Contains(initializer.Name));
    }

    /// <summary>Makes an optional input a constant, of its default, and drops what that makes superfluous.</summary>
    public void Fix(string input)
    {
        Retain(Graph.Input, candidate => candidate.Name != input);
        UniformFolding.Apply(Graph);
        Keep([.. Graph.Output.Select(output => output.Name)]);
    }

    /// <summary>
    /// Computes the network in float16: all that its convolutions and its last product are made from, once the pixels are no bytes any
    /// more. Scores and densities stay in float32.
    /// </summary>
    /// <param name="lastWeight">Weight of that product.</param>
    /// <exception cref="InvalidDataException">No product has such a weight.</exception>
    public void HalveNetwork(string lastWeight)
    {
        if (!Graph.Node.Any(node => node.Input.Contains(lastWeight)))
            throw new InvalidDataException($"model.json's network.lastWeight names {lastWeight}, which no product of the graph has");
        var network = Ancestors(Graph.Node.Where(node => node.OpType == "Conv" || node.Input.Contains(lastWeight)));
        var bytes = Ancestors(network.Where(node => node.OpType == "Cast"));
        bytes.RemoveWhere(node => node.OpType == "Cast");
        network.ExceptWith(bytes);
        foreach (var attribute in network.Where(node => node.OpType == "Cast").SelectMany(node => node.Attribute)) attribute.I = Float16;
        var inside = network.SelectMany(node => node.Output).ToHashSet();
        var weights = Graph.Initializer.Where(initializer => initializer.DataType == Float32).ToDictionary(initializer => initializer.Name);
        var graphOutputs = Graph.Output.Select(output => output.Name).ToHashSet();
        var casts = new Dictionary<(string Name, int Type), string>();
        var ordered = new List<NodeProto>();
        foreach (var node in Graph.Node)
        {
            bool isHalf = network.Contains(node);
            for (int i = 0; i < node.Input.Count; i++)
            {
                string input = node.Input[i];
                if (isHalf && weights.TryGetValue(input, out var weight)) node.Input[i] = Halved(weight);
                else if (isHalf && node.OpType != "Cast" && !inside.Contains(input)
                    && Graph.Initializer.All(initializer => initializer.Name != input)) node.Input[i] = Cast(input, Float16);
                else if (!isHalf && inside.Contains(input)) node.Input[i] = Cast(input, Float32);
            }
            ordered.Add(node);
            if (isHalf && node.Output.Any(graphOutputs.Contains))
                throw new InvalidDataException($"node {node.Name} of the network is an output itself");
        }
        Graph.Node.Clear();
        Graph.Node.Add(ordered);
        var read = ordered.SelectMany(node => node.Input).ToHashSet();
        Retain(Graph.Initializer, initializer => read.Contains(initializer.Name));

        string Halved(TensorProto weight)
        {
            string name = $"{weight.Name}/half";
            if (!casts.TryAdd((weight.Name, Float16), name)) return name;
            var values = MemoryMarshal.Cast<byte, float>(weight.RawData.Span);
            var halves = new Half[values.Length];
            TensorPrimitives.ConvertToHalf(values, halves);
            var tensor = new TensorProto
            {
                Name = name,
                DataType = Float16,
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(halves.AsSpan()))
            };
            tensor.Dims.Add(weight.Dims);
            Graph.Initializer.Add(tensor);
            return name;
        }

        string Cast(string value, int type)
        {
            if (casts.TryGetValue((value, type), out string? name)) return name;
            name = $"{value}/{(type == Float16 ? "half" : "single")}";
            casts[(value, type)] = name;
            var node = new NodeProto { OpType = "Cast", Name = name };
            node.Input.Add(value);
            node.Output.Add(name);
            node.Attribute.Add(new AttributeProto { Name = "to", I = type, Type = 2 });
            ordered.Add(node);
            return name;
        }
    }

    private HashSet<NodeProto> Ancestors(IEnumerable<NodeProto> nodes)
    {
        var makers = Graph.Node.SelectMany(node => node.Output.Select(output => (output, node))).ToDictionary(pair =>
            pair.output, pair => pair.node);
        return Reached(nodes, node => node.Input.Where(makers.ContainsKey).Select(input => makers[input]));
    }

    /// <summary>The nodes and all that is reached from them; by reference, since two nodes may look alike.</summary>
    private static HashSet<NodeProto> Reached(IEnumerable<NodeProto> from, Func<NodeProto, IEnumerable<NodeProto>> next)
    {
        var reached = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        var open = new Stack<NodeProto>(from);
        while (open.TryPop(out var node))
        {
            if (!reached.Add(node)) continue;
            foreach (var other in next(node)) open.Push(other);
        }
        return reached;
    }

    private static void Retain<T>(Google.Protobuf.Collections.RepeatedField<T> items, Func<T, bool> keep)
    {
        T[] kept = [.. items.Where(keep)];
        items.Clear();
        items.Add(kept);
    }
}
