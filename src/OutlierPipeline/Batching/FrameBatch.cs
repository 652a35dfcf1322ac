using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Batching;

/// <summary>
/// Memory for one batch, allocated once and bound to the session: decoders write pixels into its slots, the engine writes scores beside
/// them.
/// Made by <see cref="InferenceEngine.CreateBatch"/>, whose engine disposes it at the latest: whoever is through with it may do so before.
/// </summary>
public sealed unsafe class FrameBatch : IDisposable
{
    /// <summary>The graph's outputs that a batch receives.</summary>
    internal static readonly string[] Outputs = ["scores", "error_map", "latent"];

    private readonly int _frameBytes;
    private readonly int _scores;
    private readonly int _errorMap;
    private readonly int _latent;
    private readonly int _slots;
    private readonly OrtIoBinding[][] _bindings;
    private readonly List<OrtValue> _values = [];
    private readonly FrameMask?[] _masks;
    private readonly SlotState[] _states;
    private readonly BatchBuffer _pixels;
    private readonly BatchBuffer _outputs;
    private readonly BatchBuffer? _mask;
    private bool _isDisposed;

    /// <param name="sizes">Of parts that run, in ascending order; the last holds the capacity.</param>
    /// <param name="parts">Parts that run side by side, each with the next slots.</param>
    /// <param name="hasMasks">Whether slots have masks; without, the graph's own default of ones holds and nothing is copied.</param>
    /// <param name="run">Options of a run on CPU.</param>
    /// <param name="device">What runs it on a GPU; owned by the batch.</param>
    internal FrameBatch(InferenceSession session, OrtMemoryInfo memory, RunOptions run, NetworkCard network, int scores, int capacity,
        IReadOnlyList<int> sizes, int parts, bool hasMasks, DeviceBatch? device = null)
    {
        Capacity = capacity;
        Sizes = sizes;
        Device = device;
        // Padding may go beyond the capacity where it is no multiple of the parts.
        _slots = sizes[^1] * parts;
        _masks = new FrameMask?[hasMasks ? capacity : 0];
        _states = new SlotState[capacity];
        _frameBytes = network.Size.Bytes;
        _scores = scores;
        _errorMap = network.ErrorMapHeight * network.ErrorMapWidth;
        _latent = network.Latent;
        if (hasMasks)
        {
            long pixels = (long)_slots * network.Height * network.Width;
            _mask = new BatchBuffer(pixels, device?.Stream);
            new Span<byte>(_mask.Host, checked((int)pixels)).Fill(1);
            _mask.Upload(0, pixels);
        }
        _pixels = new BatchBuffer((long)_slots * _frameBytes, device?.Stream);
        _outputs = new BatchBuffer((long)_slots * (_scores + _errorMap + _latent) * sizeof(float), device?.Stream);
        Parts = new PartRun(device is null ? part => session.RunWithBinding(run, Bindings()[part]) : _ => device.Run());
        _bindings = [.. Sizes.Select(size =>
            Enumerable.Range(0, parts).Select(part => Bind(session, memory, network, part * size, size)).ToArray())];
    }

    /// <summary>Slots.</summary>
    public int Capacity { get; }

    /// <summary>Slots in use, from the first; set by whoever fills the batch.</summary>
    public int Count { get; set; }

    /// <summary>The sizes of parts that run; one in between is padded to the next.</summary>
    internal IReadOnlyList<int> Sizes { get; }

    /// <summary>What is run, part by part.</summary>
    internal PartRun Parts { get; }

    /// <summary>What runs it on a GPU; null on CPU.</summary>
    internal DeviceBatch? Device { get; }

    /// <summary>One slot's picture: <c>[H, W, 3]</c> uint8, RGB. Of one that the device decodes, valid after a run.</summary>
    public ReadOnlySpan<byte> Pixels(int slot) => Memory(slot);

    /// <summary>One slot's picture, for a caller that writes all of it.</summary>
    public Span<byte> WritePixels(int slot)
    {
        var pixels = Memory(slot);
        _states[slot] = SlotState.Written;
        return pixels;
    }

    /// <summary>
    /// Decodes a picture into a slot, or leaves it to the device, which decodes it when the batch runs. Until either has written every byte
    /// the slot counts as empty, whatever
    /// an earlier batch has left there.
    /// </summary>
    /// <param name="encoded">The picture; stays as it is until the batch has run.</param>
    /// <returns>What is wrong with the picture, as far as is known by now; see <see cref="Error"/>.</returns>
    public FrameError Decode(int slot, ArraySegment<byte> encoded, FrameDecoder decoder)
    {
        _states[Checked(slot)] = default;
        if (TryLeave(slot, encoded)) return FrameError.None;
        return DecodeHere(slot, encoded, decoder);
    }

    /// <summary>
    /// What is wrong with a slot's picture; valid after a run. A slot that nobody has written is <see cref="FrameError.Corrupt"/>.
    /// </summary>
    public FrameError Error(int slot) => _states[Checked(slot)].Error;

    /// <summary>Empties the batch.</summary>
    internal void Clear()
    {
        Count = 0;
        Array.Clear(_states);
        Device?.Clear();
    }

    /// <summary>Leaves a JPEG to the device; false where it decodes none, or not such a one.</summary>
    internal bool TryLeave(int slot, ArraySegment<byte> encoded) => Device is not null && Device.TryLeave(Checked(slot), encoded);

    /// <summary>Decodes a picture into a slot on the CPU.</summary>
    internal FrameError DecodeHere(int slot, ReadOnlySpan<byte> encoded, FrameDecoder decoder)
    {
        var error = decoder.Decode(encoded, Memory(slot));
        _states[slot] = error == FrameError.None ? SlotState.Written : SlotState.Failed(error);
        return error;
    }

    /// <summary>The device has written the slot.</summary>
    internal void MarkWritten(int slot) => _states[slot] = SlotState.Written;

    /// <summary>Sets the region of interest of one slot's picture; null where every pixel counts.</summary>
    public void SetMask(int slot, FrameMask? mask)
    {
        if (_masks.Length == 0 || ReferenceEquals(_masks[Checked(slot)], mask)) return;
        _masks[slot] = mask;
        int pixels = _frameBytes / 3;
        var target = new Span<byte>(_mask!.Host + (long)slot * pixels, pixels);
        if (mask is null) target.Fill(1);
        else mask.Pixels.CopyTo(target);
        _mask.Upload((long)slot * pixels, pixels);
    }

    /// <summary>One frame's S scores, higher is stranger; valid after a run until the next.</summary>
    public ReadOnlySpan<float> Scores(int slot) => new(Floats(_outputs.Host, 0) + (long)Checked(slot) * _scores, _scores);

    /// <summary>One frame's error map, <c>[h, w]</c>.</summary>
    public ReadOnlySpan<float> ErrorMap(int slot) => new(Floats(_outputs.Host, _scores) + (long)Checked(slot) * _errorMap, _errorMap);

    /// <summary>One frame's code, length Z.</summary>
    public ReadOnlySpan<float> Latent(int slot) => new(Floats(_outputs.Host, _scores + _errorMap) + (long)Checked(slot) * _latent, _latent);

    /// <summary>The pictures on the device, <c>[slots, H, W, 3]</c>.</summary>
    internal byte* DevicePixels => _pixels.Device;

    /// <summary>Queues copies of some slots' pictures to the device.</summary>
    internal void UploadPixels(int first, int count) => _pixels.Upload((long)first * _frameBytes, (long)count * _frameBytes);

    /// <summary>Queues copies of some slots' pictures from the device.</summary>
    internal void DownloadPixels(int first, int count) => _pixels.Download((long)first * _frameBytes, (long)count * _frameBytes);

    /// <summary>Queues copies of what was computed for the slots in use.</summary>
    internal void DownloadOutputs()
    {
        Download(0, _scores);
        Download(_scores, _errorMap);
        Download(_scores + _errorMap, _latent);

        void Download(int before, int values) =>
            _outputs.Download((long)_slots * before * sizeof(float), (long)Count * values * sizeof(float));
    }

    /// <summary>The smallest of <see cref="Sizes"/>, by its number, that holds the slots in use.</summary>
    internal int SizeIndex()
    {
        int parts = _bindings[0].Length;
        int share = (Count + parts - 1) / parts;
        int i = 0;
        while (Sizes[i] < share) i++;
        return i;
    }

    /// <summary>Bindings of the parts that hold <see cref="Count"/> frames, as small and as even as the sizes allow.</summary>
    internal ReadOnlySpan<OrtIoBinding> Bindings()
    {
        int i = SizeIndex();
        return _bindings[i].AsSpan(0, (Count + Sizes[i] - 1) / Sizes[i]);
    }

    public void Dispose()
    {
        if (_isDisposed) return;
        _isDisposed = true;
        Device?.Stop();
        // Bindings and values before the session: one that outlives it kills the process at its end. Memory before the stream that its
        // copies go through.
        foreach (var binding in _bindings.SelectMany(bindings => bindings)) binding.Dispose();
        foreach (var value in _values) value.Dispose();
        _values.Clear();
        _pixels.Dispose();
        _outputs.Dispose();
        _mask?.Dispose();
        Parts.Dispose();
        Device?.Dispose();
    }

    private OrtIoBinding Bind(InferenceSession session, OrtMemoryInfo memory, NetworkCard network, int first, int size)
    {
        const TensorElementType Byte = TensorElementType.UInt8;
        var binding = session.CreateIoBinding();
        binding.BindInput("image", Value(Byte, [size, network.Height, network.Width, 3], _pixels.Device + (long)first * _frameBytes, 1));
        if (_mask is not null)
            binding.BindInput("mask", Value(Byte, [size, network.Height, network.Width], _mask.Device + (long)first * _frameBytes / 3, 1));
        Output("scores", [size, _scores], 0, _scores);
        Output("error_map", [size, network.ErrorMapHeight, network.ErrorMapWidth], _scores, _errorMap);
        Output("latent", [size, _latent], _scores + _errorMap, _latent);
        return binding;

        void Output(string name, long[] shape, int before, int values) =>
            binding.BindOutput(name, Value(TensorElementType.Float, shape, Floats(_outputs.Device, before) + (long)first * values,
            sizeof(float)));

        OrtValue Value(TensorElementType type, long[] shape, void* address, int elementBytes)
        {
            long bytes = shape.Aggregate((long)elementBytes, (product, side) => product * side);
            var value = OrtValue.CreateTensorValueWithData(memory, type, shape, (nint)address, bytes);
            _values.Add(value);
            return value;
        }
    }

    /// <summary>Where an output begins, before which each slot has so many floats.</summary>
    private float* Floats(byte* memory, int before) => (float*)memory + (long)_slots * before;

    private Span<byte> Memory(int slot) => new(_pixels.Host + (long)Checked(slot) * _frameBytes, _frameBytes);

    private int Checked(int slot) =>
        (uint)slot < (uint)Capacity ? slot : throw new ArgumentOutOfRangeException(nameof(slot), slot, $"the batch has {Capacity} slots");

    /// <summary>Whether a slot holds its frame's picture; the default is that it does not.</summary>
    private readonly struct SlotState
    {
        public static readonly SlotState Written = new(true, FrameError.None);
        private readonly bool _isWritten;
        private readonly FrameError _error;

        private SlotState(bool isWritten, FrameError error) => (_isWritten, _error) = (isWritten, error);

        public FrameError Error => _isWritten || _error != FrameError.None ? _error : FrameError.Corrupt;

        public static SlotState Failed(FrameError error) => new(false, error);
    }
}
