using System.Collections.Concurrent;
using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>What other stages ask the consumer's thread to do with a partition.</summary>
internal enum PartitionAction
{
    /// <summary>Read it again from its last commit.</summary>
    Rewind,

    /// <summary>The topic was recreated: read it from its start, without what was known of it.</summary>
    Reset,

    /// <summary>The log was cut back: read it from its end, without what was known of its offsets.</summary>
    CutBack,

    /// <summary>Pause it for <see cref="PartitionRequest.Reason"/>.</summary>
    Pause,

    /// <summary>Take <see cref="PartitionRequest.Reason"/> to pause back.</summary>
    Resume,

    /// <summary>Fetch it from <see cref="PartitionRequest.Offset"/> on.</summary>
    Fetch,
}

/// <summary>One request; of an assignment that has ended by then it is dropped.</summary>
internal readonly record struct PartitionRequest(PartitionAssignment Assignment, PartitionAction Action,
    PauseReason Reason = PauseReason.None, long Offset = 0);

/// <summary>
/// The partitions that this process reads: their assignments, epochs and reasons to pause, and the letter box of the consumer's thread.
/// That thread alone changes the table; <see cref="Current"/>, <see cref="Awaited"/>, <see cref="Paused"/> and <see cref="Post"/> are for
/// any.
/// </summary>
internal sealed class PartitionTable
{
    private readonly Dictionary<TopicPartition, PartitionAssignment> _assigned = [];
    private readonly Dictionary<TopicPartition, int> _epochs = [];
    private readonly PartitionPauses _pauses = new();
    private readonly ConcurrentQueue<PartitionRequest> _requests = new();
    private volatile PartitionAssignment[] _current = [];
    private volatile int _awaited;

    /// <summary>The assignments of now; a list that does not change any more.</summary>
    public IReadOnlyList<PartitionAssignment> Current => _current;

    /// <summary>Partitions that this process is to read, and does not yet: where from is not known.</summary>
    public int Awaited
    {
        get => _awaited;
        set => _awaited = value;
    }

    /// <summary>Frames whose results are not acknowledged, over all partitions.</summary>
    public long InFlight
    {
        get
        {
            long sum = 0;
            foreach (var assignment in _current) sum += assignment.Ledger.InFlight;
            return sum;
        }
    }

    /// <summary>How many partitions pause for a reason.</summary>
    public int Paused(PauseReason reason) => _pauses.Count(reason);

    /// <summary>Why a partition is paused.</summary>
    public PauseReason Reasons(TopicPartition partition) => _pauses[partition];

    public PartitionAssignment? Of(TopicPartition partition) => _assigned.GetValueOrDefault(partition);

    /// <summary>Begins an assignment, a new epoch of its partition, which is not restored yet and pauses until it is.</summary>
    /// <param name="start">The first offset to be read.</param>
    /// <param name="end">The partition's end now.</param>
    /// <param name="isReset">Whether the topic was recreated.</param>
    /// <param name="isBeyondEnd">Whether what was committed lies beyond the partition's end.</param>
    public PartitionAssignment Begin(TopicPartition partition, long start, long end, DateTimeOffset now, bool isReset = false,
        bool isBeyondEnd = false)
    {
        int epoch = _epochs[partition] = _epochs.GetValueOrDefault(partition) + 1;
        var assignment = new PartitionAssignment(partition, epoch, start, end, now) { IsReset = isReset, IsBegunBeyondEnd = isBeyondEnd };
        _assigned[partition] = assignment;
        _current = [.. _assigned.Values];
        _pauses.Add(partition, PauseReason.Restore);
        return assignment;
    }

    /// <summary>Ends an assignment: its partition is read no more, or again under a higher epoch.</summary>
    public void End(PartitionAssignment assignment)
    {
        assignment.End();
        if (_assigned.GetValueOrDefault(assignment.Partition) != assignment) return;
        _assigned.Remove(assignment.Partition);
        _current = [.. _assigned.Values];
        _pauses.Forget(assignment.Partition);
    }

    /// <summary>Adds a reason to pause; true if it is the first, so that the partition is to be paused now.</summary>
    public bool Pause(TopicPartition partition, PauseReason reason) => _pauses.Add(partition, reason);

    /// <summary>Takes a reason back; true if it was the last, so that the partition is to be resumed now.</summary>
    public bool Resume(TopicPartition partition, PauseReason reason) => _pauses.Remove(partition, reason);

    /// <summary>Asks the consumer's thread for something.</summary>
    public void Post(PartitionAssignment assignment, PartitionAction action, PauseReason reason = PauseReason.None, long offset = 0) =>
        _requests.Enqueue(new PartitionRequest(assignment, action, reason, offset));

    /// <summary>Takes what was asked for up to now and still counts; what is asked for meanwhile waits for the next time.</summary>
    public IEnumerable<PartitionRequest> Take()
    {
        for (int left = _requests.Count; left > 0 && _requests.TryDequeue(out var request); left--)
        {
            if (Of(request.Assignment.Partition) == request.Assignment && request.Assignment.IsCurrent) yield return request;
        }
    }
}
