using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Batching;

/// <summary>
/// Memory for one batch, allocated once and bound to the session: decoders write pixels into its slots, the engine writes scores beside
/// them. The engine that made it disposes it at the latest: whoever is through with it may do so before.
/// </summary>
public abstract unsafe class BatchMemory : IDisposable
{
    private readonly int _scores;
    private readonly int _errorMap;
    private readonly int _latent;
    private readonly int _profile;
    private readonly int _slots;
    private readonly FrameMask?[] _masks;
    private readonly SlotState[] _states;
    private readonly BatchBuffer _pixels;
    private readonly BatchBuffer _outputs;
    private readonly BatchBuffer? _mask;
    private bool _isDisposed;

    /// <param name="scores">Scores of a frame.</param>
    /// <param name="profile">Values of a frame's profile; 0 where the package asks for none.</param>
    /// <param name="capacity">Slots that frames may use.</param>
    /// <param name="slots">Slots that there are: padding may go beyond the capacity.</param>
    /// <param name="hasMasks">Whether slots have masks; without, the graph's own default of ones holds and nothing is copied.</param>
    /// <param name="allocate">Makes so many bytes of memory; owned by the batch.</param>
    private protected BatchMemory(NetworkCard network, int scores, int profile, int capacity, int slots, bool hasMasks,
        Func<long, BatchBuffer> allocate)
    {
        Capacity = capacity;
        FrameBytes = network.Size.Bytes;
        _slots = slots;
        _masks = new FrameMask?[hasMasks ? capacity : 0];
        _states = new SlotState[capacity];
        _scores = scores;
        _errorMap = network.ErrorMapHeight * network.ErrorMapWidth;
        _latent = network.Latent;
        _profile = profile;
        if (hasMasks)
        {
            long pixels = (long)slots * network.Height * network.Width;
            _mask = allocate(pixels);
            new Span<byte>(_mask.Host, checked((int)pixels)).Fill(1);
            _mask.Upload(0, pixels);
        }
        _pixels = allocate((long)slots * FrameBytes);
        _outputs = allocate((long)slots * (_scores + _errorMap + _latent + _profile) * sizeof(float));
    }

    /// <summary>Slots.</summary>
    public int Capacity { get; }

    /// <summary>Slots in use, from the first; set by whoever fills the batch.</summary>
    public int Count { get; set; }

    private protected int FrameBytes { get; }

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
    /// the slot counts as empty, whatever an earlier batch has left there.
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

    /// <summary>Sets the region of interest of one slot's picture; null where every pixel counts.</summary>
    public void SetMask(int slot, FrameMask? mask)
    {
        if (_masks.Length == 0 || ReferenceEquals(_masks[Checked(slot)], mask)) return;
        _masks[slot] = mask;
        int pixels = FrameBytes / 3;
        var target = new Span<byte>(_mask!.Host + (long)slot * pixels, pixels);
        if (mask is null) target.Fill(1);
        else mask.Pixels.CopyTo(target);
        _mask.Upload((long)slot * pixels, pixels);
    }

    /// <summary>One frame's S scores, higher is stranger; valid after a run until the next.</summary>
    public ReadOnlySpan<float> Scores(int slot) => Output(slot, 0, _scores);

    /// <summary>One frame's error map, <c>[h, w]</c>.</summary>
    public ReadOnlySpan<float> ErrorMap(int slot) => Output(slot, _scores, _errorMap);

    /// <summary>One frame's code, length Z.</summary>
    public ReadOnlySpan<float> Latent(int slot) => Output(slot, _scores + _errorMap, _latent);

    /// <summary>One frame's profile, length F; empty where the package has no causes.</summary>
    public ReadOnlySpan<float> Profile(int slot) => Output(slot, _scores + _errorMap + _latent, _profile);

    /// <summary>Computes scores, error map and code of the slots in use.</summary>
    /// <exception cref="Exception">The device failed: the process cannot go on with the engine that made the batch.</exception>
    public void Run()
    {
        Begin();
        End();
    }

    /// <summary>Begins a run of the slots in use, which must be followed by <see cref="End"/>. One thread at a time.</summary>
    internal void Begin()
    {
        if (Count > 0) BeginRun();
    }

    /// <summary>Blocks until the run has ended that was begun last; throws what it threw. May be another's thread.</summary>
    internal void End()
    {
        if (Count > 0) EndRun();
    }

    /// <summary>Empties the batch.</summary>
    internal virtual void Clear()
    {
        Count = 0;
        Array.Clear(_states);
    }

    /// <summary>Leaves a JPEG to the device; false where it decodes none, or not such a one.</summary>
    internal virtual bool TryLeave(int slot, ArraySegment<byte> encoded) => false;

    /// <summary>Decodes a picture into a slot on the CPU.</summary>
    internal FrameError DecodeHere(int slot, ReadOnlySpan<byte> encoded, FrameDecoder decoder)
    {
        var error = decoder.Decode(encoded, Memory(slot));
        _states[slot] = error == FrameError.None ? SlotState.Written : SlotState.Failed(error);
        return error;
    }

    public void Dispose()
    {
        if (_isDisposed) return;
        _isDisposed = true;
        EndRuns();
        _pixels.Dispose();
        _outputs.Dispose();
        _mask?.Dispose();
        Release();
        GC.SuppressFinalize(this);
    }

    private protected abstract void BeginRun();

    private protected abstract void EndRun();

    /// <summary>Lets go of what runs in this memory, which is freed next.</summary>
    private protected abstract void EndRuns();

    /// <summary>Lets go of what the memory itself needed to be freed.</summary>
    private protected virtual void Release()
    {
    }

    /// <summary>The device has written the slot.</summary>
    private protected void MarkWritten(int slot) => _states[slot] = SlotState.Written;

    /// <summary>Where the session finds the pictures, from one on: <c>[slots, H, W, 3]</c>.</summary>
    private protected byte* SessionPixels(int first) => _pixels.Device + (long)first * FrameBytes;

    /// <summary>Where the session finds the masks, from one on: <c>[slots, H, W]</c>; null without masks.</summary>
    private protected byte* SessionMasks(int first) => _mask is null ? null : _mask.Device + (long)first * FrameBytes / 3;

    /// <summary>Where the session puts an output, from one slot on.</summary>
    /// <param name="output">0 scores, 1 error map, 2 code, 3 profile.</param>
    private protected float* SessionOutput(int output, int first)
    {
        var (before, values) = Place(output);
        return (float*)_outputs.Device + (long)_slots * before + (long)first * values;
    }

    /// <summary>Queues copies of some slots' pictures to the device.</summary>
    private protected void UploadPixels(int first, int count) => _pixels.Upload((long)first * FrameBytes, (long)count * FrameBytes);

    /// <summary>Queues copies of some slots' pictures from the device.</summary>
    private protected void DownloadPixels(int first, int count) => _pixels.Download((long)first * FrameBytes, (long)count * FrameBytes);

    /// <summary>Queues copies of what was computed for the slots in use.</summary>
    private protected void DownloadOutputs()
    {
        for (int output = 0; output < (_profile > 0 ? 4 : 3); output++)
        {
            var (before, values) = Place(output);
            _outputs.Download((long)_slots * before * sizeof(float), (long)Count * values * sizeof(float));
        }
    }

    /// <summary>How many floats of each slot lie before an output, and how many it has.</summary>
    private (int Before, int Values) Place(int output) => output switch
    {
        0 => (0, _scores),
        1 => (_scores, _errorMap),
        2 => (_scores + _errorMap, _latent),
        _ => (_scores + _errorMap + _latent, _profile),
    };

    private ReadOnlySpan<float> Output(int slot, int before, int values) =>
        new((float*)_outputs.Host + (long)_slots * before + (long)Checked(slot) * values, values);

    private Span<byte> Memory(int slot) => new(_pixels.Host + (long)Checked(slot) * FrameBytes, FrameBytes);

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
