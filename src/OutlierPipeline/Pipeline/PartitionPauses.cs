using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>Why a partition is paused.</summary>
[Flags]
public enum PauseReason
{
    None = 0,

    /// <summary>A later stage has no room.</summary>
    Backpressure = 1,

    /// <summary>The cameras' state is being read, or the result topics lack the partition.</summary>
    Restore = 2,

    /// <summary>The dead-letter topic cannot be written.</summary>
    DeadLetter = 4,

    /// <summary>Results of the partition could not be written; it is read again after a while.</summary>
    Retry = 8,
}

/// <summary>Why partitions pause: one is read again when its last reason is gone. Counts may be read from any thread.</summary>
internal sealed class PartitionPauses
{
    private readonly Dictionary<TopicPartition, PauseReason> _reasons = [];
    private readonly int[] _counts = new int[4];

    public PauseReason this[TopicPartition partition] => _reasons.GetValueOrDefault(partition);

    public int Count(PauseReason reason) => Volatile.Read(ref _counts[Index(reason)]);

    /// <summary>Adds a reason; true if it is the first.</summary>
    public bool Add(TopicPartition partition, PauseReason reason)
    {
        var before = this[partition];
        if (before.HasFlag(reason)) return false;
        _reasons[partition] = before | reason;
        Interlocked.Increment(ref _counts[Index(reason)]);
        return before == PauseReason.None;
    }

    /// <summary>Takes a reason back; true if it was the last.</summary>
    public bool Remove(TopicPartition partition, PauseReason reason)
    {
        var before = this[partition];
        if (!before.HasFlag(reason)) return false;
        Interlocked.Decrement(ref _counts[Index(reason)]);
        if (before != reason)
        {
            _reasons[partition] = before & ~reason;
            return false;
        }
        _reasons.Remove(partition);
        return true;
    }

    /// <summary>The partition is no longer ours: nothing to resume.</summary>
    public void Forget(TopicPartition partition)
    {
        if (!_reasons.Remove(partition, out var reasons)) return;
        foreach (var reason in new[] { PauseReason.Backpressure, PauseReason.Restore, PauseReason.DeadLetter, PauseReason.Retry })
        {
            if (reasons.HasFlag(reason)) Interlocked.Decrement(ref _counts[Index(reason)]);
        }
    }

    private static int Index(PauseReason reason) => reason switch
    {
        PauseReason.Backpressure => 0,
        PauseReason.Restore => 1,
        PauseReason.DeadLetter => 2,
        PauseReason.Retry => 3,
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "one reason at a time"),
    };
}
