using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
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
    private readonly OrtIoBinding[] _bindings;
    private readonly List<OrtValue> _values = [];
    private readonly FrameMask?[] _masks;
    private byte* _pixels;
    private float* _outputs;
    private byte* _mask;

    /// <param name="hasMasks">Whether slots have masks; without, the graph's own default of ones holds and nothing is copied.</param>
    internal FrameBatch(InferenceSession session, NetworkCard network, int scores, int capacity, IReadOnlyList<int> sizes, bool hasMasks)
    {
        _masks = new FrameMask?[hasMasks ? capacity : 0];
        if (hasMasks)
        {
            _mask = (byte*)NativeMemory.AlignedAlloc((nuint)((long)capacity * network.Height * network.Width), Alignment);
            new Span<byte>(_mask, checked(capacity * network.Height * network.Width)).Fill(1);
        }
        Capacity = capacity;
        Sizes = sizes;
        _frameBytes = network.Size.Bytes;
        _scores = scores;
        _errorMap = network.ErrorMapHeight * network.ErrorMapWidth;
        _latent = network.Latent;
        _pixels = (byte*)NativeMemory.AlignedAlloc((nuint)((long)capacity * _frameBytes), Alignment);
        new Span<byte>(_pixels, checked(capacity * _frameBytes)).Clear();
        nuint outputBytes = (nuint)((long)capacity * (_scores + _errorMap + _latent) * sizeof(float));
        _outputs = (float*)NativeMemory.AlignedAlloc(outputBytes, Alignment);
        _bindings = [.. sizes.Select(size => Bind(session, network, size))];
    }

    /// <summary>Slots.</summary>
    public int Capacity { get; }

    /// <summary>Slots in use, from the first; set by whoever fills the batch.</summary>
    public int Count { get; set; }

    /// <summary>The batch sizes that run; a batch in between is padded to the next one.</summary>
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
    public ReadOnlySpan<float> ErrorMap(int slot) => new(_outputs + (long)Capacity * _scores + (long)Checked(slot) * _errorMap, _errorMap);

    /// <summary>One frame's code, length Z.</summary>
    public ReadOnlySpan<float> Latent(int slot) => new(_outputs + (long)Capacity * (_scores + _errorMap) + (long)Checked(slot) * _latent, _latent);

    /// <summary>The binding of the smallest size that holds <see cref="Count"/> frames.</summary>
    internal OrtIoBinding Binding()
    {
        int i = 0;
        while (Sizes[i] < Count) i++;
        return _bindings[i];
    }

    public void Dispose()
    {
        // Bindings and values before the session: one that outlives it kills the process at its end.
        foreach (var binding in _bindings) binding.Dispose();
        foreach (var value in _values) value.Dispose();
        _values.Clear();
        NativeMemory.AlignedFree(_pixels);
        NativeMemory.AlignedFree(_outputs);
        NativeMemory.AlignedFree(_mask);
        _mask = null;
        _pixels = null;
        _outputs = null;
    }

    private OrtIoBinding Bind(InferenceSession session, NetworkCard network, int size)
    {
        var binding = session.CreateIoBinding();
        binding.BindInput("image", Value(Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.UInt8, [size, network.Height, network.Width, 3], _pixels, 1));
        if (_mask != null) binding.BindInput("mask", Value(Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.UInt8, [size, network.Height, network.Width], _mask, 1));
        float* errorMap = _outputs + (long)Capacity * _scores;
        Output("scores", [size, _scores], _outputs);
        Output("error_map", [size, network.ErrorMapHeight, network.ErrorMapWidth], errorMap);
        Output("latent", [size, _latent], errorMap + (long)Capacity * _errorMap);
        return binding;

        void Output(string name, long[] shape, float* memory) => binding.BindOutput(name, Value(Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float, shape, memory, sizeof(float)));
    }

    private OrtValue Value(Microsoft.ML.OnnxRuntime.Tensors.TensorElementType type, long[] shape, void* memory, int elementBytes)
    {
        long bytes = shape.Aggregate((long)elementBytes, (product, side) => product * side);
        var value = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, type, shape, (nint)memory, bytes);
        _values.Add(value);
        return value;
    }

    private int Checked(int slot) => (uint)slot < (uint)Capacity ? slot : throw new ArgumentOutOfRangeException(nameof(slot), slot, $"the batch has {Capacity} slots");
}
