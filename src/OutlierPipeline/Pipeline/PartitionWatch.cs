namespace OutlierPipeline.Pipeline;

/// <summary>
/// How long a partition has been watched: a clock that runs only while its end is known from the brokers and everything up to there has
/// been seen by the detectors. Thread-safe.
/// </summary>
/// <param name="end">The partition's end at the assignment.</param>
internal sealed class PartitionWatch(long end, DateTimeOffset at)
{
    /// <summary>Two measurements that lie further apart have an outage between them, of the brokers or of this process.</summary>
    private static readonly TimeSpan Longest = 3 * PartitionEnds.Interval;

    /// <summary>An hour and a half of them; a longer backlog is not watched.</summary>
    private const int MaxAhead = 10_000;

    private readonly Lock _gate = new();
    private (long Offset, DateTimeOffset At) _end = (end, at);
    private TimeSpan _watched;
    private DateTimeOffset? _caughtUpAt;

    /// <summary>
    /// Ends that were measured and are not reached yet, in order: who reads seconds behind reaches each of them all the same.
    /// </summary>
    private readonly Queue<(long Offset, DateTimeOffset At)> _ahead = new([(end, at)]);

    /// <summary>Where the partition ended when it was measured last, and when that was.</summary>
    public (long Offset, DateTimeOffset At) End
    {
        get
        {
            lock (_gate) return _end;
        }
    }

    /// <summary>Whether everything up to an end was seen at least once.</summary>
    public bool HasCaughtUp
    {
        get
        {
            lock (_gate) return _caughtUpAt is not null;
        }
    }

    /// <summary>The time watched up to the last moment at which nothing was left to read.</summary>
    public TimeSpan Watched
    {
        get
        {
            lock (_gate) return _watched;
        }
    }

    /// <summary>The time watched up to now, or what it will have been: for what is seen now.</summary>
    public TimeSpan WatchedAt(DateTimeOffset now)
    {
        lock (_gate) return _caughtUpAt is { } last && now > last ? _watched + (now - last < Longest ? now - last : Longest) : _watched;
    }

    /// <summary>Takes a new measurement.</summary>
    /// <param name="asked">When it was asked for.</param>
    /// <param name="processed">Offsets below it have been seen by the detectors.</param>
    public void Measure(long end, DateTimeOffset asked, long processed)
    {
        lock (_gate)
        {
            if (_ahead.Count < MaxAhead) _ahead.Enqueue((end, asked));
            while (_ahead.TryPeek(out var next) && next.Offset <= processed)
            {
                _ahead.Dequeue();
                if (_caughtUpAt is { } last && next.At > last && next.At - last <= Longest) _watched += next.At - last;
                _caughtUpAt = next.At;
            }
            _end = (end, asked);
        }
    }
}
