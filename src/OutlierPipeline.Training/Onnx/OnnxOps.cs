using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Training.Onnx;

/// <summary>Writes each operation as a node of an ONNX graph (operator set 18); tensors are names.</summary>
/// <param name="weights">Values and shape of each weight.</param>
/// <param name="halved">Those that half precision holds exactly, and in which they are kept.</param>
public sealed class OnnxOps(IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights, IReadOnlySet<string>? halved = null)
    : TensorOps<string>
{
    public const int FloatType = 1;
    public const int ByteType = 2;
    private const int HalfType = 10;
    private const int Int64 = 7;
    private readonly GraphProto _graph = new() { Name = "outlier" };
    private readonly HashSet<string> _written = [];
    private int _spliced;

    /// <summary>Stands before the names of weights, where two networks of a graph have the same.</summary>
    internal string Scope { get; set; } = "";

    public override string Weight(string name)
    {
        name = Scope + name;
        if (!_written.Add(name)) return name;
        var (values, shape) = weights[name];
        if (halved?.Contains(name) == true) AddHalf(name, values, shape);
        else AddInitializer(name, FloatType, shape, MemoryMarshal.AsBytes(values.AsSpan()));
        return name;
    }

    public override string Constant(float[] values, params long[] shape)
    {
        string name = NewName("c");
        AddInitializer(name, FloatType, shape, MemoryMarshal.AsBytes(values.AsSpan()));
        return name;
    }

    public override string ToFloat(string x) => Cast(x, FloatType);

    public override string Add(string a, string b) => Node("Add", [a, b]);

    public override string Subtract(string a, string b) => Node("Sub", [a, b]);

    public override string Multiply(string a, string b) => Node("Mul", [a, b]);

    public override string Divide(string a, string b) => Node("Div", [a, b]);

    public override string LeakyRelu(string x) => Node("LeakyRelu", [x], new AttributeProto { Name = "alpha", F = 0.1f, Type = 1 });

    public override string Log(string x) => Node("Log", [x]);

    public override string Exp(string x) => Node("Exp", [x]);

    public override string Sqrt(string x) => Node("Sqrt", [x]);

    public override string Clip(string x, float low, float high) => Node("Clip", [x, Constant(low), Constant(high)]);

    public override string Conv(string x, string weight, string bias, int stride, int padding) =>
        Node("Conv", [x, weight, bias], Ints("strides", stride, stride), Ints("pads", padding, padding, padding, padding));

    public override string MatMul(string a, string b) => Node("MatMul", [a, b]);

    public override string Dense(string rows, string weight, string bias) => Node("Gemm", [rows, weight, bias]);

    public override string PixelShuffle(string x, int factor) => Node("DepthToSpace", [x], Int("blocksize", factor), Text("mode", "CRD"));

    public override string Enlarge(string planes, int factor, long rows, long columns)
    {
        string enlarged = Node("Resize", [planes, "", Constant([1, 1, factor, factor], 4)], Text("mode", "nearest"),
            Text("coordinate_transformation_mode", "asymmetric"), Text("nearest_mode", "floor"));
        return Node("Slice", [enlarged, Indices([0, 0]), Indices([rows, columns]), Indices([2, 3])]);
    }

    public override string Smooth(string planes, int factor) => Node("Resize", [planes, "", Constant([1, 1, factor, factor], 4)],
        Text("mode", "linear"), Text("coordinate_transformation_mode", "half_pixel"));

    /// <summary>Planes of another size, bilinear between the centres of places.</summary>
    internal string Fit(string planes, FrameSize size) => Node("Resize", [planes, "", "", Node("Concat",
        [Node("Slice", [Node("Shape", [planes]), Indices([0]), Indices([2]), Indices([0])]), Indices([size.Height, size.Width])],
        Int("axis", 0))], Text("mode", "linear"), Text("coordinate_transformation_mode", "half_pixel"), Int("antialias", 1));

    public override string ToPatches(string x, FrameSize size, int channels, int side) =>
        Reshape(Transpose(Reshape(x, size.Height / side, side, size.Width / side, side * channels), 0, 1, 3, 2, 4), side * side * channels);

    public override string FromPatches(string rows, FrameSize size, int channels, int side) =>
        Reshape(Transpose(Reshape(rows, size.Height / side, size.Width / side, side, side * channels), 0, 1, 3, 2, 4), size.Height,
        size.Width, channels);

    public override string ToPlanes(string rows, long channels, long height, long width) =>
        Transpose(Reshape(rows, height, width, channels), 0, 3, 1, 2);

    public override string ToRows(string planes, long channels) => Reshape(Transpose(planes, 0, 2, 3, 1), channels);

    public override string Reshape(string x, params long[] rowShape) => Node("Reshape", [x, Indices(rowShape.Prepend(-1))]);

    public override string SumLast(string x) => Node("ReduceSum", [x, Indices([-1])], Int("keepdims", 1));

    public override string MaxLast(string x) => Node("ReduceMax", [x, Indices([-1])], Int("keepdims", 1));

    public override string TopMean(string x, int count)
    {
        string top = NewName("TopK");
        Append("TopK", [x, Indices([count])], [top, top + "/at"]);
        return Multiply(SumLast(top), Constant(1.0 / count));
    }

    public override string Slice(string x, long first, long count) =>
        Node("Slice", [x, Indices([first]), Indices([first + count]), Indices([-1])]);

    public override string Concat(params string[] parts) => Node("Concat", parts, Int("axis", -1));

    /// <summary>A graph input.</summary>
    public string Input(string name, int type, params long[] frameShape)
    {
        _graph.Input.Add(Value(name, type, frameShape));
        return name;
    }

    /// <summary>A graph input of pictures of any size: <c>[N, H, W, 3]</c> uint8.</summary>
    public string Pictures(string name)
    {
        var value = Value(name, ByteType, [0, 0, 3]);
        value.Type.TensorType.Shape.Dim[1] = new TensorShapeProto.Types.Dimension { DimParam = "H" };
        value.Type.TensorType.Shape.Dim[2] = new TensorShapeProto.Types.Dimension { DimParam = "W" };
        _graph.Input.Add(value);
        return name;
    }

    /// <summary>A graph input that may be left out: its default is then used for every frame.</summary>
    /// <param name="value">The default, of the shape of one frame.</param>
    public string OptionalInput(string name, byte[] value, params long[] frameShape)
    {
        // Its number of frames is another symbol than the pictures': one mask serves a whole batch.
        _graph.Input.Add(Value(name, ByteType, frameShape, "M"));
        AddInitializer(name, ByteType, [1, .. frameShape], value);
        return name;
    }

    /// <summary>Gives a tensor the name of a graph output.</summary>
    public void Output(string name, string tensor, int type, params long[] frameShape)
    {
        Append("Identity", [tensor], [name]);
        var value = Value(name, type, frameShape);
        // Whoever does not know the shape gives none.
        if (frameShape.Length == 0) value.Type.TensorType.Shape = null;
        _graph.Output.Add(value);
    }

    public string Cast(string x, int type) => Node("Cast", [x], Int("to", type));

    /// <summary>Index of the largest of the last dimension, which goes.</summary>
    public string LargestOf(string x) => Node("ArgMax", [x], Int("axis", -1), Int("keepdims", 0));

    /// <summary>1 where both are equal, else 0.</summary>
    public string AreEqual(string a, string b) => Cast(Node("Equal", [a, b]), FloatType);

    public string Round(string x) => Node("Round", [x]);

    internal string Transpose(string x, params long[] permutation) => Node("Transpose", [x], Ints("perm", permutation));

    /// <summary>The graph as a file's bytes.</summary>
    public byte[] ToModel(IReadOnlyDictionary<string, string> metadata)
    {
        var model = new ModelProto { IrVersion = 8, ProducerName = "OutlierPipeline", Graph = _graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 18 });
        foreach (var (key, value) in metadata) model.MetadataProps.Add(new StringStringEntryProto { Key = key, Value = value });
        return model.ToByteArray();
    }

    /// <summary>Mean of squares of <paramref name="side"/> places.</summary>
    internal string AveragePool(string planes, int side) =>
        Node("AveragePool", [planes], Ints("kernel_shape", side, side), Ints("strides", side, side));

    internal string GlobalAveragePool(string planes) => Node("GlobalAveragePool", [planes]);

    /// <summary>Puts another graph into this one. Put in again, it shares its weights.</summary>
    /// <param name="input">What it is given.</param>
    /// <param name="outputs">Names of values in it.</param>
    /// <returns>These values' names here.</returns>
    internal string[] Splice(Features.BackboneGraph graph, string input, string[] outputs)
    {
        string prefix = _spliced++ == 0 ? "backbone/" : $"backbone{_spliced}/";
        var shared = graph.Weights.Keys.Concat(graph.Others.Select(tensor => tensor.Name)).ToHashSet();
        foreach (var (name, (values, shape)) in graph.Weights.Where(weight => _written.Add(Name(weight.Key))))
        {
            if (graph.Halved.Contains(name)) AddHalf(Name(name), values, shape);
            else AddInitializer(Name(name), FloatType, shape, MemoryMarshal.AsBytes(values.AsSpan()));
        }
        foreach (var tensor in graph.Others.Where(tensor => _written.Add(Name(tensor.Name))))
        {
            var renamed = tensor.Clone();
            renamed.Name = Name(tensor.Name);
            _graph.Initializer.Add(renamed);
        }
        foreach (var node in graph.Nodes)
            Append(node.OpType, node.Input.Select(name => name == graph.Input ? input : Name(name)), node.Output.Select(Name),
                [.. node.Attribute]);
        return [.. outputs.Select(Name)];

        string Name(string name) => name.Length == 0 ? "" : (shared.Contains(name) ? "backbone/" : prefix) + name;
    }

    /// <summary>A constant that is kept in half precision, in which it is exact; what reads it reads float32.</summary>
    private void AddHalf(string name, float[] values, long[] shape)
    {
        var halves = new Half[values.Length];
        System.Numerics.Tensors.TensorPrimitives.ConvertToHalf(values, halves);
        AddInitializer(name + "/stored", HalfType, shape, MemoryMarshal.AsBytes(halves.AsSpan()));
        Append("Cast", [name + "/stored"], [name], Int("to", FloatType));
    }

    private string Node(string type, IEnumerable<string> inputs, params AttributeProto[] attributes)
    {
        string output = NewName(type);
        Append(type, inputs, [output], attributes);
        return output;
    }

    private void Append(string type, IEnumerable<string> inputs, IEnumerable<string> outputs, params AttributeProto[] attributes)
    {
        var node = new NodeProto { OpType = type, Name = $"{type}_{_graph.Node.Count}" };
        node.Input.Add(inputs);
        node.Output.Add(outputs);
        node.Attribute.Add(attributes);
        _graph.Node.Add(node);
    }

    private string Indices(IEnumerable<long> values)
    {
        long[] array = [.. values];
        string name = NewName("n");
        AddInitializer(name, Int64, [array.Length], MemoryMarshal.AsBytes(array.AsSpan()));
        return name;
    }

    private void AddInitializer(string name, int type, long[] shape, ReadOnlySpan<byte> data)
    {
        // A raw tensor is little-endian, as every machine is that this runs on.
        var tensor = new TensorProto { Name = name, DataType = type, RawData = ByteString.CopyFrom(data) };
        tensor.Dims.Add(shape);
        _graph.Initializer.Add(tensor);
    }

    private string NewName(string prefix) =>
        string.Create(CultureInfo.InvariantCulture, $"{prefix}_{_graph.Node.Count}_{_graph.Initializer.Count}");

    private static ValueInfoProto Value(string name, int type, long[] frameShape, string frames = "N")
    {
        var shape = new TensorShapeProto();
        shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = frames });
        shape.Dim.Add(frameShape.Select(side => new TensorShapeProto.Types.Dimension { DimValue = side }));
        return new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = type, Shape = shape } }
        };
    }

    private static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = 2 };

    private static AttributeProto Text(string name, string value) => new() { Name = name, S = ByteString.CopyFromUtf8(value), Type = 3 };

    private static AttributeProto Ints(string name, params long[] values)
    {
        var attribute = new AttributeProto { Name = name, Type = 7 };
        attribute.Ints.Add(values);
        return attribute;
    }
}
