namespace OutlierPipeline.Pipeline;

/// <summary>
/// Which offsets of one partition are in flight, which the detectors have seen, and which have all their results acknowledged.
/// Offsets are added in ascending order and may have holes; stages finish them in any order. Thread-safe.
/// </summary>
public sealed class OffsetLedger
{
    private readonly Lock _gate = new();
    private readonly List<(long Below, TaskCompletionSource Reached)> _waiting = [];
    private (long Offset, Progress Progress)[] _ring = new (long, Progress)[64];
    private int _head;
    private int _count;
    private long _next;

    /// <param name="start">The first offset that will be read.</param>
    public OffsetLedger(long start)
    {
        _next = start;
    }

    private enum Progress : byte
    {
        InFlight,
        Processed,
        Acknowledged,
    }

    /// <summary>One past the last offset that was added, or the start.</summary>
    public long Next
    {
        get
        {
            lock (_gate) return _next;
        }
    }

    /// <summary>Offsets added and not yet acknowledged, together with acknowledged ones behind them.</summary>
    public int InFlight
    {
        get
        {
            lock (_gate) return _count;
        }
    }

    /// <summary>Every offset below this one has been seen by its detector (or needed none).</summary>
    public long ProcessedFrontier
    {
        get
        {
            lock (_gate)
            {
                for (int i = 0; i < _count; i++)
                {
                    ref var entry = ref At(i);
                    if (entry.Progress == Progress.InFlight) return entry.Offset;
                }
                return _next;
            }
        }
    }

    /// <summary>Every offset below this one has all its results acknowledged by the broker: the most that may ever be committed.</summary>
    public long AcknowledgedFrontier
    {
        get
        {
            lock (_gate) return Frontier();
        }
    }

    /// <summary>A frame begins its way.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset was passed already.</exception>
    public void Add(long offset)
    {
        lock (_gate)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(offset, _next);
            if (_count == _ring.Length) Grow();
            At(_count++) = (offset, Progress.InFlight);
            _next = offset + 1;
        }
    }

    /// <summary>
    /// There is nothing to read below an offset but what was added: control records, aborted and compacted ones take offsets too, and what
    /// lies behind them is committed, so that the
    /// group's lag reaches 0.
    /// </summary>
    public void SkipTo(long offset)
    {
        lock (_gate) _next = Math.Max(_next, offset);
    }

    /// <summary>Takes back the last <see cref="Add"/>: the next stage had no room.</summary>
    public void Undo(long offset)
    {
        lock (_gate)
        {
            if (_count == 0 || At(_count - 1).Offset != offset)
                throw new InvalidOperationException($"offset {offset} is not the last one added");
            _count--;
            _next = offset;
        }
    }

    /// <summary>The detector has seen the frame and its results are on their way.</summary>
    public void MarkProcessed(long offset) => Advance(offset, Progress.Processed);

    /// <summary>The broker has acknowledged all results of the frame.</summary>
    public void MarkAcknowledged(long offset) => Advance(offset, Progress.Acknowledged);

    /// <summary>Completes when every offset below <paramref name="below"/> is acknowledged.</summary>
    public Task WhenAcknowledged(long below)
    {
        lock (_gate)
        {
            if (Frontier() >= below) return Task.CompletedTask;
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((below, reached));
            return reached.Task;
        }
    }

    private void Advance(long offset, Progress progress)
    {
        lock (_gate)
        {
            int index = IndexOf(offset);
            if (index < 0) throw new InvalidOperationException($"offset {offset} is not in flight");
            ref var entry = ref At(index);
            if (progress > entry.Progress) entry.Progress = progress;
            while (_count > 0 && At(0).Progress == Progress.Acknowledged)
            {
                _head = (_head + 1) & (_ring.Length - 1);
                _count--;
            }
            if (_waiting.Count == 0) return;
            long frontier = Frontier();
            for (int i = _waiting.Count - 1; i >= 0; i--)
            {
                if (_waiting[i].Below > frontier) continue;
                _waiting[i].Reached.SetResult();
                _waiting.RemoveAt(i);
            }
        }
    }

    private long Frontier() => _count == 0 ? _next : At(0).Offset;

    private int IndexOf(long offset)
    {
        int low = 0;
        int high = _count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            long found = At(middle).Offset;
            if (found == offset) return middle;
            if (found < offset) low = middle + 1;
            else high = middle - 1;
        }
        return -1;
    }

    private ref (long Offset, Progress Progress) At(int index) => ref _ring[(_head + index) & (_ring.Length - 1)];

    private void Grow()
    {
        var larger = new (long, Progress)[_ring.Length * 2];
        for (int i = 0; i < _count; i++) larger[i] = At(i);
        _ring = larger;
        _head = 0;
    }
}
