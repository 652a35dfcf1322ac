using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Frames that were read and for which there is no room yet: a queue for each partition, in the order they were read. A partition that has
/// one is paused, so a queue holds what came before the pause took effect. For the consumer's thread.
/// </summary>
internal sealed class HeldFrames
{
    private readonly Dictionary<TopicPartition, Queue<ConsumedFrame>> _queues = [];

    /// <summary>Where each queue ends: a queue's last is not to be had from itself without a walk.</summary>
    private readonly Dictionary<TopicPartition, long> _last = [];

    public bool IsEmpty => _queues.Count == 0;

    public bool Has(TopicPartition partition) => _queues.ContainsKey(partition);

    /// <summary>The offset of the partition's last held frame; null if it has none.</summary>
    public long? LastOffset(TopicPartition partition) => _last.TryGetValue(partition, out long offset) ? offset : null;

    /// <summary>The offset that comes next of a partition, held frames included.</summary>
    public long Next(PartitionAssignment assignment) => LastOffset(assignment.Partition) is { } last ? last + 1 : assignment.Ledger.Next;

    /// <summary>Holds a frame behind those of its partition.</summary>
    public void Add(ConsumedFrame frame)
    {
        var partition = frame.Assignment.Partition;
        if (!_queues.TryGetValue(partition, out var queue)) _queues[partition] = queue = new Queue<ConsumedFrame>();
        queue.Enqueue(frame);
        _last[partition] = frame.Offset;
    }

    /// <summary>Hands frames on, each partition's in order, until one is refused.</summary>
    /// <param name="isBlocked">Whether nothing of a partition may be handed on.</param>
    /// <param name="dispatch">Hands a frame on; false if there is no room for it.</param>
    public void Dispatch(Func<TopicPartition, bool> isBlocked, Func<ConsumedFrame, bool> dispatch)
    {
        foreach (var (partition, queue) in _queues)
        {
            if (isBlocked(partition)) continue;
            while (queue.TryPeek(out var frame) && dispatch(frame)) queue.Dequeue();
            if (queue.Count == 0) Forget(partition);
        }
    }

    /// <summary>Takes out what is held of a partition: it is read again, or by another member.</summary>
    public IReadOnlyCollection<ConsumedFrame> Drop(TopicPartition partition) =>
        _queues.TryGetValue(partition, out var queue) && Forget(partition) ? queue : [];

    private bool Forget(TopicPartition partition) => _last.Remove(partition) & _queues.Remove(partition);
}
