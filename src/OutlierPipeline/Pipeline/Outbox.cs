using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// What a partition's next transaction is to carry, in order. It ends with its assignment: what is in it then, or comes later, is told
/// that it does not count. Thread-safe.
/// </summary>
internal sealed class Outbox
{
    private static readonly Error Ended = new(ErrorCode.Local_PurgeQueue, "the partition is read again, or by another member");
    private readonly Lock _gate = new();
    private List<OutgoingRecord> _records = [];
    private int _withheld;
    private bool _isClosed;
    private volatile bool _isSettled = true;

    /// <summary>Something of the partition is missing here, so that nothing of it may be committed.</summary>
    public bool IsWithheld
    {
        get
        {
            lock (_gate) return _withheld > 0;
        }
    }

    /// <summary>Whether the last transaction carried all there was.</summary>
    public bool IsSettled
    {
        get => _isSettled;
        set => _isSettled = value;
    }

    public void Add(OutgoingRecord record)
    {
        lock (_gate)
        {
            if (!_isClosed)
            {
                _records.Add(record);
                return;
            }
        }
        record.Delivered(Ended);
    }

    /// <summary>A result could not be written: until <see cref="Release"/>, or for good, nothing is committed.</summary>
    public void Withhold()
    {
        lock (_gate) _withheld++;
    }

    /// <summary>What was missing is here again.</summary>
    public void Release()
    {
        lock (_gate) _withheld--;
    }

    /// <summary>Moves out what may be committed together with every frame below an offset.</summary>
    public void Take(long below, List<OutgoingRecord> to)
    {
        lock (_gate)
        {
            var later = new List<OutgoingRecord>();
            foreach (var record in _records) (record.After < below ? to : later).Add(record);
            _records = later;
        }
    }

    public void Close()
    {
        List<OutgoingRecord> left;
        lock (_gate)
        {
            _isClosed = true;
            left = _records;
            _records = [];
        }
        Drop(left);
    }

    /// <summary>Tells records that they do not count.</summary>
    public static void Drop(List<OutgoingRecord> records)
    {
        foreach (var record in records) record.Delivered(Ended);
    }
}

/// <summary>Keeps each partition's results until its next transaction.</summary>
internal sealed class OutboxWriter : IResultWriter
{
    /// <summary>A transaction begins early where so many records wait.</summary>
    private const int Full = 1000;

    private int _count;

    /// <summary>Is set when enough wait, or somebody does not want to.</summary>
    public AutoResetEvent Wake { get; } = new(false);

    public void Write(PartitionAssignment assignment, OutgoingRecord record)
    {
        assignment.Outbox.Add(record);
        if (Interlocked.Increment(ref _count) == Full) Wake.Set();
    }

    /// <summary>Counts from 0 again.</summary>
    public void Begin() => Volatile.Write(ref _count, 0);

    public void Abandon()
    {
        // Whoever writes does not wait here.
    }

    public void Dispose() => Wake.Dispose();
}
