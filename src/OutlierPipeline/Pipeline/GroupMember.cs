using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// This process as a member of the consumer group: what librdkafka does with the partitions. For the consumer's thread, except
/// <see cref="Commit"/> and <see cref="Membership"/>.
/// </summary>
internal sealed partial class GroupMember : IDisposable
{
    /// <summary>With commits that nobody waits for any more.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly IConsumer<CameraKey, RentedPayload> _consumer;
    private readonly PartitionTable _partitions;
    private readonly ILogger _log;
    private readonly KafkaOptions _options;
    private readonly BrokerHealth _health;
    private readonly Lock _leaving = new();
    private readonly ClientUse _commits = new();
    private PartitionLifecycle? _lifecycle;
    private volatile Error? _failure;
    private bool _hasLeft;

    public GroupMember(KafkaOptions options, PayloadBudget budget, PartitionTable partitions, PipelineFailure failure, BrokerHealth health,
        ILogger log, CancellationToken stopping)
    {
        (_partitions, _log, _options, _health) = (partitions, log, options, health);
        _consumer = KafkaClients.FrameConsumer(options, new CameraKeys(), budget, health,
            (_, assigned) => _lifecycle!.OnAssigned(assigned),
            (_, revoked) => _lifecycle!.OnRevoked(revoked),
            (_, lost) => _lifecycle!.OnLost(lost),
            error => _failure = error);
        Positions = new PartitionPositions(options, _consumer, partitions, failure, health, log, stopping);
    }

    /// <summary>Whether a commit was refused since the group went on without the member.</summary>
    public static bool IsGivenUp(ErrorCode? refusal) => refusal is ErrorCode.UnknownMemberId or ErrorCode.IllegalGeneration
        or ErrorCode.FencedInstanceId or ErrorCode.FencedMemberEpoch;

    /// <summary>Where the partitions begin and end.</summary>
    public PartitionPositions Positions { get; }

    /// <summary>Joins the group.</summary>
    /// <param name="lifecycle">Told of every rebalance, within <see cref="Consume"/> and <see cref="Leave"/>.</param>
    public void Join(PartitionLifecycle lifecycle)
    {
        _lifecycle = lifecycle;
        _consumer.Subscribe(_options.FramesTopic);
    }

    /// <summary>This member as the group knows it; null once it has left. For any thread.</summary>
    public IConsumerGroupMetadata? Membership
    {
        get
        {
            // Asked of a consumer that is closed, it ends the process.
            lock (_leaving) return _hasLeft ? null : _consumer.ConsumerGroupMetadata;
        }
    }

    /// <summary>Leaves the group, which takes away what is still assigned.</summary>
    /// <param name="forGood">Whether a static member leaves too, whose partitions wait for it otherwise.</param>
    public void Leave(bool forGood)
    {
        lock (_leaving) _hasLeft = true;
        try
        {
            _consumer.Close();
            if (!forGood || _options.Instance is not { } instance) return;
            if (StaticMember.Remove(_options, instance, _health)) Log.LeftForGood(_log, instance, _options.GroupId);
            else Log.NotLeft(_log, "the brokers did not answer in time");
        }
        catch (KafkaException e) when (forGood || e.Error.Code == ErrorCode.Local_TimedOut)
        {
            // What was to be committed is; the group learns from the session's end that this member is gone.
            Log.NotLeft(_log, e.Error.Reason);
        }
    }

    /// <summary>The next record, or the end of a partition; null if neither comes in time.</summary>
    /// <exception cref="ConsumeException">Such as a position that the log no longer holds.</exception>
    /// <exception cref="KafkaException">The client cannot go on: it was fenced, or its name is another's.</exception>
    public ConsumeResult<CameraKey, RentedPayload>? Consume(TimeSpan timeout)
    {
        var record = _consumer.Consume(timeout);
        return _failure is null ? record : throw new KafkaException(_failure);
    }

    /// <summary>Commits one offset to the group and waits for the broker's answer, however long; for any thread.</summary>
    /// <exception cref="KafkaException">It was refused, or the group is left.</exception>
    public void Commit(TopicPartitionOffset offset)
    {
        if (!_commits.TryEnter()) throw new KafkaException(ErrorCode.Local_Destroy);
        try
        {
            _consumer.Commit([offset]);
        }
        finally
        {
            _commits.Exit();
        }
    }

    /// <summary>Has a partition that the client fetches from elsewhere fetched from an offset; false if it does not fetch it.</summary>
    /// <remarks>
    /// Assigned again, as in <see cref="Fetch"/>, it would answer a rebalance that has begun meanwhile. It must not have been assigned at
    /// an end: the answer to the question where that is may come later, and would be followed.
    /// </remarks>
    public bool TrySeek(TopicPartition partition, long offset)
    {
        try
        {
            _consumer.Seek(new TopicPartitionOffset(partition, offset));
            return true;
        }
        catch (KafkaException e) when (!e.Error.IsFatal)
        {
            // It has not begun, was stopped, or is taken away.
            return false;
        }
    }

    /// <summary>
    /// Fetches a partition from an offset on. A seek would not do: librdkafka has stopped a partition whose position was out of range, and
    /// then refuses to seek ("Erroneous state").
    /// </summary>
    public void Fetch(PartitionAssignment assignment, long offset)
    {
        try
        {
            _consumer.IncrementalUnassign([assignment.Partition]);
            _consumer.IncrementalAssign([new TopicPartitionOffset(assignment.Partition, offset)]);
            PauseAgain(assignment.Partition);
        }
        catch (KafkaException e) when (!e.Error.IsFatal)
        {
            // A rebalance is under way: either it takes the partition away, or it is tried again afterwards.
            Log.Retried(_log, e.Error.Reason);
            _partitions.Post(assignment, PartitionAction.Fetch, offset: offset);
        }
    }

    public void Pause(TopicPartition partition, PauseReason reason)
    {
        if (_partitions.Pause(partition, reason)) PauseNow(partition);
    }

    /// <summary>Takes a reason to pause back; fetching goes on when it was the last.</summary>
    public void Resume(TopicPartition partition, PauseReason reason)
    {
        if (_partitions.Resume(partition, reason)) _consumer.Resume([partition]);
    }

    /// <summary>Pauses what should be: an assignment may have undone it.</summary>
    public void PauseAgain(TopicPartition partition)
    {
        if (_partitions.Reasons(partition) != PauseReason.None) PauseNow(partition);
    }

    /// <summary>Pauses a partition without a reason that could be taken back.</summary>
    public void PauseNow(TopicPartition partition)
    {
        try
        {
            _consumer.Pause([partition]);
        }
        catch (KafkaException)
        {
            // Not assigned yet, as in the assign handler: frames that come before the pause are held, and the hold pauses again.
        }
    }

    public void Dispose()
    {
        lock (_leaving) _hasLeft = true;
        // A consumer that has left answers what still waits. One that does not is left to the process's end.
        if (_commits.HasEnded(Patience)) _consumer.Dispose();
    }

    private static partial class Log
    {
        [LoggerMessage(249, LogLevel.Warning, "Leaving the group: {Reason}; it goes on when the session has ended.")]
        public static partial void NotLeft(ILogger log, string reason);

        [LoggerMessage(253, LogLevel.Information, "{Instance} has left the group {Group} for good: its partitions go to the others.")]
        public static partial void LeftForGood(ILogger log, string instance, string group);

        [LoggerMessage(248, LogLevel.Warning, "Fetching again: {Reason}; trying again.")]
        public static partial void Retried(ILogger log, string reason);
    }
}
