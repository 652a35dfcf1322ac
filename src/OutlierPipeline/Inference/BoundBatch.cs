using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OutlierPipeline.Batching;
using OutlierPipeline.Models;

namespace OutlierPipeline.Inference;

/// <summary>A batch whose memory is bound to a session, part by part and for each size that a part may have.</summary>
internal abstract unsafe class BoundBatch : BatchMemory
{
    private static readonly string[] Outputs = ["scores", "error_map", "latent", "profile"];

    private readonly List<OrtValue> _values = [];
    private readonly int _parts;
    private OrtIoBinding[][] _bindings = [];

    /// <param name="sizes">Of parts that run, in ascending order; the last holds the capacity.</param>
    /// <param name="parts">Parts that run side by side, each with the next slots.</param>
    /// <inheritdoc/>
    private protected BoundBatch(ModelPackage package, int capacity, IReadOnlyList<int> sizes, int parts, Func<long, BatchBuffer> allocate)
        : base(package.Card.Network, package.Card.Scores.Count, package.Causes?.Profile ?? 0, capacity, sizes[^1] * parts,
            package.HasMasks, allocate)
    {
        Sizes = sizes;
        _parts = parts;
    }

    /// <summary>The graph's outputs that a batch receives.</summary>
    public static string[] OutputsOf(ModelPackage package) => package.Causes is null ? Outputs[..3] : Outputs;

    /// <summary>The sizes of parts that run; one in between is padded to the next.</summary>
    public IReadOnlyList<int> Sizes { get; }

    private protected void Bind(InferenceSession session, OrtMemoryInfo memory, ModelPackage package) =>
        _bindings = [.. Sizes.Select(size =>
            Enumerable.Range(0, _parts).Select(part => Bind(session, memory, package, part * size, size)).ToArray())];

    /// <summary>The smallest of <see cref="Sizes"/>, by its number, that holds the slots in use.</summary>
    private protected int SizeIndex()
    {
        int share = (Count + _parts - 1) / _parts;
        int i = 0;
        while (Sizes[i] < share) i++;
        return i;
    }

    /// <summary>Bindings of the parts that hold the slots in use, as small and as even as the sizes allow.</summary>
    private protected ReadOnlySpan<OrtIoBinding> Bindings()
    {
        int i = SizeIndex();
        return _bindings[i].AsSpan(0, (Count + Sizes[i] - 1) / Sizes[i]);
    }

    /// <summary>Bindings and values before the session: one that outlives it kills the process at its end.</summary>
    private protected override void EndRuns()
    {
        foreach (var binding in _bindings.SelectMany(bindings => bindings)) binding.Dispose();
        foreach (var value in _values) value.Dispose();
        _values.Clear();
    }

    private OrtIoBinding Bind(InferenceSession session, OrtMemoryInfo memory, ModelPackage package, int first, int size)
    {
        const TensorElementType Byte = TensorElementType.UInt8;
        var network = package.Card.Network;
        var binding = session.CreateIoBinding();
        binding.BindInput("image", Value(Byte, [size, network.Height, network.Width, 3], SessionPixels(first), 1));
        if (package.HasMasks) binding.BindInput("mask", Value(Byte, [size, network.Height, network.Width], SessionMasks(first), 1));
        Output(0, [size, package.Card.Scores.Count]);
        Output(1, [size, network.ErrorMapHeight, network.ErrorMapWidth]);
        Output(2, [size, network.Latent]);
        if (package.Causes is { } causes) Output(3, [size, causes.Profile]);
        return binding;

        void Output(int output, long[] shape) =>
            binding.BindOutput(Outputs[output], Value(TensorElementType.Float, shape, SessionOutput(output, first), sizeof(float)));

        OrtValue Value(TensorElementType type, long[] shape, void* address, int elementBytes)
        {
            long bytes = shape.Aggregate((long)elementBytes, (product, side) => product * side);
            var value = OrtValue.CreateTensorValueWithData(memory, type, shape, (nint)address, bytes);
            _values.Add(value);
            return value;
        }
    }
}
