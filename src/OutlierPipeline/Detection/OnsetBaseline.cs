using System.Buffers.Binary;

namespace OutlierPipeline.Detection;

/// <summary>
/// What the scores of one camera were of late: its own running medians, against which a change shows, whatever the road. Not thread-safe.
/// </summary>
/// <remarks>
/// Three windows behind one another. <em>Recent</em>: the last <see cref="Recent"/> frames. <em>Fast</em>: their medians at
/// <see cref="Slots"/> moments, half a second and five frames apart at least, so the last 40 frames of most cameras. <em>Slow</em>: the
/// fast window's medians at six moments; these lie as far apart as the drive is long, and at most
/// <see cref="LongestSlot"/>, so the last 20 minutes. A change shows as recent against fast; what comes slowly as fast against slow.
/// A median forgets a change when it fills half of its window: none of the windows ever stands still.
/// </remarks>
internal sealed class OnsetBaseline
{
    /// <summary>Frames of which the recent value is the median: the first two of a change do not show.</summary>
    public const int Recent = 5;

    /// <summary>Moments that the fast window remembers.</summary>
    public const int Slots = 8;

    /// <summary>Moments that the slow window remembers.</summary>
    private const int SlowSlots = 6;

    /// <summary>A fast window with fewer says nothing.</summary>
    private const int MinFast = 4;

    /// <summary>A slow window with fewer says nothing.</summary>
    private const int MinSlow = 2;

    /// <summary>Seconds between two moments of the fast window, at least.</summary>
    private const double ShortestSlot = 0.5;

    /// <summary>Seconds between two moments of the slow window, at most.</summary>
    public const double LongestSlot = 200;

    /// <summary>How much of a frame's step goes into the mean step.</summary>
    private const double StepShare = 0.1;

    private const int HeaderBytes = 4 + 4 * sizeof(float);

    /// <summary>In the state's fourth byte, beside the frames since the last moment.</summary>
    private const int HasMark = 16;

    private readonly int _parts;
    private readonly Window _recent;
    private readonly Window _fast;
    private readonly Window _slow;
    private readonly Window _mark;
    private readonly double[] _values;
    private int _framesSince;
    private float _sinceFast;
    private float _sinceSlow;
    private float _slowSlot;
    private float _step;

    /// <param name="parts">Scores that are watched.</param>
    public OnsetBaseline(int parts)
    {
        _parts = parts;
        _recent = new Window(parts, Recent);
        _fast = new Window(parts, Slots);
        _slow = new Window(parts, SlowSlots);
        _mark = new Window(parts, 1);
        _values = new double[parts];
        Fast = new double[parts];
        Slow = new double[parts];
    }

    /// <summary>By how much each score's recent value lies above its fast baseline; meaningful if <see cref="HasFast"/>.</summary>
    public double[] Fast { get; }

    /// <summary>By how much each score's fast baseline lies above its slow one; meaningful if <see cref="HasSlow"/>.</summary>
    public double[] Slow { get; }

    /// <summary>Whether enough frames were seen for <see cref="Fast"/>.</summary>
    public bool HasFast { get; private set; }

    /// <summary>Whether enough frames were seen for <see cref="Slow"/>.</summary>
    public bool HasSlow { get; private set; }

    /// <summary>Seconds between two frames, the mean of late; 0 until two frames were seen.</summary>
    public double Step => _step;

    /// <summary>Seconds between two moments of the slow window.</summary>
    public double SlowSlot => _slowSlot;

    /// <summary>Length of a saved state in bytes.</summary>
    public static int BytesFor(int parts) => HeaderBytes + (Recent + Slots + SlowSlots + 1) * parts * 2;

    /// <summary>Takes one frame.</summary>
    /// <param name="scores">Each score in units of its normal spread; what is not finite counts as the largest there is.</param>
    /// <param name="seconds">Since the frame before; of the first frame it does not count.</param>
    /// <param name="slotSeconds">A window learns no faster than this: while an incident is open, what stays is learned slowly.</param>
    public void Add(ReadOnlySpan<double> scores, double seconds, double slotSeconds = 0)
    {
        if (_recent.Count > 0)
        {
            _step = _step == 0 ? (float)seconds : (float)(_step + StepShare * (seconds - _step));
            _sinceFast += (float)seconds;
            _sinceSlow += (float)seconds;
        }
        _recent.Push(scores);
        _framesSince++;
        HasFast = _recent.IsFull && _fast.Count >= MinFast;
        HasSlow = _fast.IsFull && _slow.Count >= MinSlow;
        if (!_recent.IsFull) return;
        for (int k = 0; k < _parts; k++)
        {
            double recent = _recent.Median(k);
            double fast = _fast.Median(k);
            Fast[k] = recent - fast;
            Slow[k] = fast - _slow.Median(k);
            _values[k] = recent;
        }
        Learn(slotSeconds);
    }

    /// <summary>Remembers the fast baseline, which hardly knows yet what has just begun.</summary>
    public void Mark()
    {
        for (int k = 0; k < _parts; k++) _values[k] = _fast.Median(k);
        _mark.Push(_values);
    }

    /// <summary>By how much each score's recent value lies above what <see cref="Mark"/> remembered.</summary>
    /// <returns>False where nothing is remembered.</returns>
    public bool TryCompare(Span<double> deviations)
    {
        if (!_mark.IsFull || !_recent.IsFull) return false;
        for (int k = 0; k < _parts; k++) deviations[k] = _recent.Median(k) - _mark.Median(k);
        return true;
    }

    /// <summary>The camera's recent values are no longer its own: another drive, another model.</summary>
    public void Forget()
    {
        _recent.Clear();
        _fast.Clear();
        _slow.Clear();
        _mark.Clear();
        (_framesSince, _sinceFast, _sinceSlow, _slowSlot, _step) = (0, 0, 0, 0, 0);
        (HasFast, HasSlow) = (false, false);
    }

    /// <summary>The state, in <see cref="BytesFor"/> bytes.</summary>
    public byte[] Save()
    {
        byte[] state = new byte[BytesFor(_parts)];
        state[0] = (byte)_recent.Count;
        state[1] = (byte)_fast.Count;
        state[2] = (byte)_slow.Count;
        state[3] = (byte)(Math.Min(_framesSince, Recent) + (_mark.IsFull ? HasMark : 0));
        var rest = state.AsSpan(4);
        foreach (float value in (ReadOnlySpan<float>)[_sinceFast, _sinceSlow, _slowSlot, _step])
        {
            BinaryPrimitives.WriteSingleLittleEndian(rest, value);
            rest = rest[sizeof(float)..];
        }
        foreach (var window in (ReadOnlySpan<Window>)[_recent, _fast, _slow, _mark]) rest = window.Save(rest);
        return state;
    }

    /// <summary>Goes on from a saved state; one of another length is none, and nothing is remembered.</summary>
    public void Restore(ReadOnlySpan<byte> state)
    {
        Forget();
        if (state.Length != BytesFor(_parts) || state[0] > Recent || state[1] > Slots || state[2] > SlowSlots
            || state[3] > HasMark + Recent) return;
        _framesSince = state[3] % HasMark;
        _sinceFast = BinaryPrimitives.ReadSingleLittleEndian(state[4..]);
        _sinceSlow = BinaryPrimitives.ReadSingleLittleEndian(state[8..]);
        _slowSlot = BinaryPrimitives.ReadSingleLittleEndian(state[12..]);
        _step = BinaryPrimitives.ReadSingleLittleEndian(state[16..]);
        var rest = state[HeaderBytes..];
        rest = _recent.Restore(rest, state[0]);
        rest = _fast.Restore(rest, state[1]);
        rest = _slow.Restore(rest, state[2]);
        _mark.Restore(rest, state[3] / HasMark);
    }

    private void Learn(double slotSeconds)
    {
        double fastSlot = Math.Max(slotSeconds, ShortestSlot);
        // Steps are never exactly what they should be: a frame that comes a little early is no reason to wait for the next.
        if (_framesSince < Recent || _sinceFast < fastSlot - 0.5 * _step) return;
        _fast.Push(_values);
        (_framesSince, _sinceFast) = (0, 0);
        if (!_fast.IsFull) return;
        if (_slowSlot == 0) _slowSlot = (float)(Slots * Math.Max(ShortestSlot, Recent * _step));
        if (_slow.Count > 0 && _sinceSlow < Math.Max(slotSeconds, _slowSlot)) return;
        for (int k = 0; k < _parts; k++) _values[k] = _fast.Median(k);
        if (_slow.IsFull && 2 * _slowSlot <= LongestSlot)
        {
            _slow.Halve();
            _slowSlot *= 2;
        }
        _slow.Push(_values);
        _sinceSlow = 0;
    }

    /// <summary>The last values of each score, in half precision: a state record has room for no more.</summary>
    private sealed class Window(int parts, int length)
    {
        private readonly Half[] _values = new Half[parts * length];

        public int Count { get; private set; }

        public bool IsFull => Count == length;

        public void Push(ReadOnlySpan<double> scores)
        {
            if (IsFull)
            {
                _values.AsSpan(parts).CopyTo(_values);
                Count--;
            }
            for (int k = 0; k < parts; k++)
            {
                double score = double.IsFinite(scores[k]) ? scores[k] : double.MaxValue;
                _values[Count * parts + k] = (Half)Math.Clamp(score, (double)Half.MinValue, (double)Half.MaxValue);
            }
            Count++;
        }

        /// <summary>Keeps every second one, the last among them.</summary>
        public void Halve()
        {
            int kept = 0;
            for (int i = (Count + 1) % 2; i < Count; i += 2, kept++)
                _values.AsSpan(i * parts, parts).CopyTo(_values.AsSpan(kept * parts));
            Count = kept;
        }

        public double Median(int k)
        {
            if (Count == 0) return 0;
            Span<double> sorted = stackalloc double[length];
            for (int i = 0; i < Count; i++) sorted[i] = (double)_values[i * parts + k];
            sorted = sorted[..Count];
            sorted.Sort();
            return (sorted[(Count - 1) / 2] + sorted[Count / 2]) / 2;
        }

        public void Clear() => Count = 0;

        public Span<byte> Save(Span<byte> to)
        {
            for (int i = 0; i < Count * parts; i++) BinaryPrimitives.WriteHalfLittleEndian(to[(2 * i)..], _values[i]);
            return to[(2 * _values.Length)..];
        }

        public ReadOnlySpan<byte> Restore(ReadOnlySpan<byte> from, int count)
        {
            Count = count;
            for (int i = 0; i < count * parts; i++) _values[i] = BinaryPrimitives.ReadHalfLittleEndian(from[(2 * i)..]);
            return from[(2 * _values.Length)..];
        }
    }
}
