using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Inference;

/// <summary>
/// Memory for one batch, allocated once and bound to the session: decoders write pixels into its slots, the engine writes scores beside them.
/// Made by <see cref="InferenceEngine.CreateBatch"/> and disposed with its engine.
/// </summary>
public sealed unsafe class FrameBatch : IDisposable
{
    /// <summary>The graph's outputs that a batch receives.</summary>
    internal static readonly string[] Outputs = ["scores", "error_map", "latent"];

    private const int Alignment = 64;
    private readonly int _frameBytes;
    private readonly int _scores;
    private readonly int _errorMap;
    private readonly int _latent;
    private readonly int _slots;
    private readonly OrtIoBinding[][] _bindings;
    private readonly List<OrtValue> _values = [];
    private readonly FrameMask?[] _masks;
    private byte* _pixels;
    private float* _outputs;
    private byte* _mask;

    /// <param name="parts">Parts that run side by side, each with the next slots.</param>
    /// <param name="hasMasks">Whether slots have masks; without, the graph's own default of ones holds and nothing is copied.</param>
    internal FrameBatch(InferenceSession session, NetworkCard network, int scores, int capacity, int parts, bool hasMasks)
    {
        Capacity = capacity;
        int largest = (capacity + parts - 1) / parts;
        Sizes = InferenceEngine.BatchSizes(largest);
        // Padding may go beyond the capacity where it is no multiple of the parts.
        _slots = largest * parts;
        _masks = new FrameMask?[hasMasks ? capacity : 0];
        if (hasMasks)
        {
            _mask = (byte*)NativeMemory.AlignedAlloc((nuint)((long)_slots * network.Height * network.Width), Alignment);
            new Span<byte>(_mask, checked(_slots * network.Height * network.Width)).Fill(1);
        }
        _frameBytes = network.Size.Bytes;
        _scores = scores;
        _errorMap = network.ErrorMapHeight * network.ErrorMapWidth;
        _latent = network.Latent;
        _pixels = (byte*)NativeMemory.AlignedAlloc((nuint)((long)_slots * _frameBytes), Alignment);
        new Span<byte>(_pixels, checked(_slots * _frameBytes)).Clear();
        nuint outputBytes = (nuint)((long)_slots * (_scores + _errorMap + _latent) * sizeof(float));
        _outputs = (float*)NativeMemory.AlignedAlloc(outputBytes, Alignment);
        _bindings = [.. Sizes.Select(size => Enumerable.Range(0, parts).Select(part => Bind(session, network, part * size, size)).ToArray())];
    }

    /// <summary>Slots.</summary>
    public int Capacity { get; }

    /// <summary>Slots in use, from the first; set by whoever fills the batch.</summary>
    public int Count { get; set; }

    /// <summary>The sizes of parts that run; one in between is padded to the next.</summary>
    internal IReadOnlyList<int> Sizes { get; }

    /// <summary>One slot's picture: <c>[H, W, 3]</c> uint8, RGB.</summary>
    public Span<byte> Pixels(int slot) => new(_pixels + (long)Checked(slot) * _frameBytes, _frameBytes);

    /// <summary>Sets the region of interest of one slot's picture; null where every pixel counts.</summary>
    public void SetMask(int slot, FrameMask? mask)
    {
        if (_masks.Length == 0 || ReferenceEquals(_masks[Checked(slot)], mask)) return;
        _masks[slot] = mask;
        int pixels = _frameBytes / 3;
        var target = new Span<byte>(_mask + (long)slot * pixels, pixels);
        if (mask is null) target.Fill(1);
        else mask.Pixels.CopyTo(target);
    }

    /// <summary>One frame's S scores, higher is stranger; valid after a run until the next.</summary>
    public ReadOnlySpan<float> Scores(int slot) => new(_outputs + (long)Checked(slot) * _scores, _scores);

    /// <summary>One frame's error map, <c>[h, w]</c>.</summary>
    public ReadOnlySpan<float> ErrorMap(int slot) => new(_outputs + (long)_slots * _scores + (long)Checked(slot) * _errorMap, _errorMap);

    /// <summary>One frame's code, length Z.</summary>
    public ReadOnlySpan<float> Latent(int slot) => new(_outputs + (long)_slots * (_scores + _errorMap) + (long)Checked(slot) * _latent, _latent);

    /// <summary>Bindings of the parts that hold <see cref="Count"/> frames, as small and as even as the sizes allow.</summary>
    internal ReadOnlySpan<OrtIoBinding> Bindings()
    {
        int parts = _bindings[0].Length;
        int share = (Count + parts - 1) / parts;
        int i = 0;
        while (Sizes[i] < share) i++;
        return _bindings[i].AsSpan(0, (Count + Sizes[i] - 1) / Sizes[i]);
    }

    public void Dispose()
    {
        // Bindings and values before the session: one that outlives it kills the process at its end.
        foreach (var binding in _bindings.SelectMany(bindings => bindings)) binding.Dispose();
        foreach (var value in _values) value.Dispose();
        _values.Clear();
        NativeMemory.AlignedFree(_pixels);
        NativeMemory.AlignedFree(_outputs);
        NativeMemory.AlignedFree(_mask);
        _mask = null;
        _pixels = null;
        _outputs = null;
    }

    private OrtIoBinding Bind(InferenceSession session, NetworkCard network, int first, int size)
    {
        const TensorElementType Byte = TensorElementType.UInt8;
        var binding = session.CreateIoBinding();
        binding.BindInput("image", Value(Byte, [size, network.Height, network.Width, 3], _pixels + (long)first * _frameBytes, 1));
        if (_mask != null) binding.BindInput("mask", Value(Byte, [size, network.Height, network.Width], _mask + (long)first * _frameBytes / 3, 1));
        float* errorMap = _outputs + (long)_slots * _scores;
        Output("scores", [size, _scores], _outputs + (long)first * _scores);
        Output("error_map", [size, network.ErrorMapHeight, network.ErrorMapWidth], errorMap + (long)first * _errorMap);
        Output("latent", [size, _latent], errorMap + (long)_slots * _errorMap + (long)first * _latent);
        return binding;

        void Output(string name, long[] shape, float* memory) => binding.BindOutput(name, Value(TensorElementType.Float, shape, memory, sizeof(float)));
    }

    private OrtValue Value(TensorElementType type, long[] shape, void* memory, int elementBytes)
    {
        long bytes = shape.Aggregate((long)elementBytes, (product, side) => product * side);
        var value = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, type, shape, (nint)memory, bytes);
        _values.Add(value);
        return value;
    }

    private int Checked(int slot) => (uint)slot < (uint)Capacity ? slot : throw new ArgumentOutOfRangeException(nameof(slot), slot, $"the batch has {Capacity} slots");
}
