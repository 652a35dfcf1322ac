using System.Runtime.InteropServices;

namespace OutlierPipeline.Models;

/// <summary>
/// Drops arithmetic that changes nothing: products with tensors that are all ones and sums with tensors that are all zeros, as a mask that
/// leaves nothing out makes them. ONNX
/// Runtime folds constants, but multiplies by them all the same.
/// </summary>
internal sealed class UniformFolding
{
    private const int Float32 = 1;
    private const int Byte = 2;
    private const int Int64 = 7;
    private readonly Dictionary<string, TensorProto> _constants;
    private readonly HashSet<string> _constant;
    private readonly Dictionary<string, Uniform> _uniforms = [];
    private readonly Dictionary<string, string> _same = [];

    private UniformFolding(GraphProto graph)
    {
        var inputs = graph.Input.Select(input => input.Name).ToHashSet();
        _constants = graph.Initializer.Where(initializer => !inputs.Contains(initializer.Name)).ToDictionary(initializer =>
            initializer.Name);
        _constant = [.. _constants.Keys];
    }

    /// <summary>
    /// Makes what reads a dropped node's output read its other input; the node itself stays, and whoever needs no such output drops it.
    /// </summary>
    /// <param name="graph">In topological order.</param>
    public static void Apply(GraphProto graph)
    {
        var folding = new UniformFolding(graph);
        foreach (var node in graph.Node) folding.Visit(node);
    }

    private void Visit(NodeProto node)
    {
        for (int i = 0; i < node.Input.Count; i++) node.Input[i] = _same.GetValueOrDefault(node.Input[i], node.Input[i]);
        string output = node.Output[0];
        if (node.Input.All(_constant.Contains)) _constant.Add(output);
        var a = Find(node.Input[0]);
        var b = node.Input.Count > 1 ? Find(node.Input[1]) : null;
        switch (node.OpType)
        {
            case "Cast" or "Transpose" or "Identity" when a is not null:
                _uniforms[output] = a;
                break;
            case "Reshape" when a is not null && _constants.TryGetValue(node.Input[1], out var shape) && shape.DataType == Int64:
                _uniforms[output] = a with { LastSide = MemoryMarshal.Cast<byte, long>(shape.RawData.Span)[^1] };
                break;
            case "ReduceSum" when a is { LastSide: > 0 }:
                _uniforms[output] = new Uniform(a.Value * a.LastSide, 1);
                break;
            case "Clip" when a is not null && b is not null && Find(node.Input[2]) is { } high:
                _uniforms[output] = a with { Value = Math.Clamp(a.Value, b.Value, high.Value) };
                break;
            case "Add" or "Sub" or "Mul" or "Div" when a is not null && b is not null:
                _uniforms[output] = new Uniform(Compute(node.OpType, a.Value, b.Value), Math.Max(a.LastSide, b.LastSide));
                break;
            // Only of constants: a frame's own values times zero give a tensor its number of frames.
            case "Mul" when (a?.Value == 0 || b?.Value == 0) && _constant.Contains(output):
                _uniforms[output] = new Uniform(0, 0);
                break;
            case "Mul" or "Div" when b?.Value == 1:
            case "Add" or "Sub" when b?.Value == 0:
                _same[output] = node.Input[0];
                break;
            case "Mul" when a?.Value == 1:
            case "Add" when a?.Value == 0:
                _same[output] = node.Input[1];
                break;
        }
    }

    private static double Compute(string type, double a, double b) =>
        type switch { "Add" => a + b, "Sub" => a - b, "Mul" => a * b, _ => a / b };

    private Uniform? Find(string name)
    {
        if (_uniforms.TryGetValue(name, out var known)) return known;
        if (!_constants.TryGetValue(name, out var tensor)) return null;
        var bytes = tensor.RawData.Span;
        long lastSide = tensor.Dims.Count > 0 ? tensor.Dims[^1] : 1;
        if (tensor.DataType == Byte && bytes.Length > 0 && bytes.IndexOfAnyExcept(bytes[0]) < 0)
            return _uniforms[name] = new Uniform(bytes[0], lastSide);
        if (tensor.DataType == Float32 && bytes.Length == sizeof(float))
            return _uniforms[name] = new Uniform(MemoryMarshal.Read<float>(bytes), lastSide);
        return null;
    }

    /// <summary>A tensor with one value everywhere.</summary>
    /// <param name="LastSide">Its last dimension, or 0 where that is not known.</param>
    private sealed record Uniform(double Value, long LastSide);
}
