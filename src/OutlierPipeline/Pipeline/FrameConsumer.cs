using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Reads <c>camera.frames</c> as a member of the consumer group, on one thread of its own on which rebalances, pauses and rewinds happen
/// too. A frame for which there is no room is held and its partition paused.
/// </summary>
internal sealed partial class FrameConsumer(KafkaOptions options, FramesOptions frames, OverloadOptions overload, FrameRouter router,
    PayloadBudget budget, PartitionTable partitions, StateRestorer restorer, ICommitter committer, ResultPublisher publisher,
    PipelineFailure failure, BrokerHealth health, TimeProvider time, ILogger log) : IDisposable
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan PollWhileHolding = TimeSpan.FromMilliseconds(2);

    /// <summary>A short stall is waited out: pausing makes librdkafka throw away what it has fetched.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    /// <summary>Frames whose results the broker has not acknowledged, over all partitions, beyond which reading pauses.</summary>
    private const int MaxUnacknowledged = 10_000;

    private readonly FrameReader _reader = new(frames, new CameraKeys(), time);
    private readonly FrameAges _ages = new(frames.MaxClockSkew);
    private readonly HeldFrames _held = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _abandoned = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private GroupMember? _member;
    private PartitionLifecycle? _lifecycle;
    private volatile bool _drains = true;
    private volatile string? _fault;

    /// <summary>Completes when the thread has ended; with an error if it could not go on.</summary>
    public Task Completion => _stopped.Task;

    /// <summary>The group has given this member its share, be it nothing.</summary>
    public bool HasJoined => _lifecycle?.HasJoined ?? false;

    /// <summary>What this user may not do, so that no frames are read; null while they are.</summary>
    public string? Fault => _fault;

    /// <inheritdoc cref="FramePipeline.LeavesForGood"/>
    public bool LeavesForGood { get; set; }

    public void Start() => new Thread(Run) { Name = "consume", IsBackground = true }.Start();

    /// <summary>Stops reading and leaves the group; <see cref="Completion"/> tells when.</summary>
    /// <param name="drain">Whether what is in flight is waited for and committed first; not where a stage has failed, since it would not
    /// come.</param>
    public void Stop(bool drain)
    {
        _drains = drain;
        _stopping.Cancel();
    }

    /// <summary>What is drained is waited for no longer: it will not come.</summary>
    public void Abandon() => _abandoned.Cancel();

    public void Dispose()
    {
        _stopping.Dispose();
        _abandoned.Dispose();
    }

    /// <summary>Commits one offset to the group; for any thread, once a partition is assigned.</summary>
    public void Commit(TopicPartitionOffset offset) => _member!.Commit(offset);

    /// <summary>Whom a transaction names as the reader of its offsets; null before the group is joined and once it is left. For any thread.
    /// </summary>
    public IConsumerGroupMetadata? Membership => _member?.Membership;

    private void Run()
    {
        try
        {
            while (!RunAsMember())
            {
                // The brokers keep the name of a process that was killed for its session. The classic protocol gives it to whoever comes,
                // and so do we.
                Log.TakesOver(log, options.Instance!, options.GroupId);
                StaticMember.Remove(options, options.Instance!, health);
            }
            _stopped.TrySetResult();
        }
        catch (Exception e)
        {
            foreach (var assignment in partitions.Current) assignment.End();
            _stopped.TrySetException(e);
        }
    }

    /// <returns>False where the group did not let this member in, since it still has one of that name.</returns>
    private bool RunAsMember()
    {
        using var member = new GroupMember(options, budget, partitions, failure, health, log, _stopping.Token);
        var lifecycle = new PartitionLifecycle(member, partitions, _held, restorer, committer, publisher, failure, options.DrainTimeout,
            time, log, _stopping.Token, _abandoned.Token);
        (_member, _lifecycle) = (member, lifecycle);
        member.Join(lifecycle);
        try
        {
            while (!_stopping.IsCancellationRequested) Step(member, lifecycle);
        }
        catch (KafkaException e) when (e.Error.Code == ErrorCode.UnreleasedInstanceId && !lifecycle.HasJoined)
        {
            return false;
        }
        foreach (var assignment in partitions.Current) member.PauseNow(assignment.Partition);
        if (_drains) lifecycle.Drain(partitions.Current);
        else foreach (var assignment in partitions.Current) lifecycle.End(assignment);
        // Leaving revokes what is assigned: it is drained and ended by now.
        member.Leave(LeavesForGood);
        return true;
    }

    private void Step(GroupMember member, PartitionLifecycle lifecycle)
    {
        lifecycle.BeginFound();
        // What is asked for while these are done waits for the next step.
        foreach (var request in partitions.Take()) lifecycle.Do(request);
        DispatchHeld(member);
        ConsumeResult<CameraKey, RentedPayload>? record;
        try
        {
            record = member.Consume(_held.IsEmpty ? Poll : PollWhileHolding);
        }
        catch (ConsumeException e) when (!e.Error.IsFatal)
        {
            OnConsumeError(e, lifecycle);
            return;
        }
        if (record is null) return;
        _fault = null;
        var assignment = partitions.Of(record.TopicPartition);
        if (record.IsPartitionEOF)
        {
            // Nothing is left but what was handed on: what lies between the last record and here are control records and holes.
            if (assignment is not null && !_held.Has(record.TopicPartition)) assignment.Ledger.SkipTo(record.Offset.Value);
        }
        else if (assignment is not null && record.Offset.Value >= _held.Next(assignment))
        {
            Accept(_reader.Read(record, assignment), member);
        }
        else
        {
            budget.Return(record.Message.Value);
            // Assigned, and not to be read yet.
            if (assignment is null) member.PauseNow(record.TopicPartition);
        }
    }

    private void OnConsumeError(ConsumeException e, PartitionLifecycle lifecycle)
    {
        if (e.Error.Code is not (ErrorCode.Local_AutoOffsetReset or ErrorCode.OffsetOutOfRange))
        {
            if (e.Error.Code is ErrorCode.TopicAuthorizationFailed)
                _fault = $"{options.FramesTopic} cannot be read: not authorized ({e.Error.Reason})";
            else if (e.Error.Code is ErrorCode.GroupAuthorizationFailed)
                _fault = $"the group {options.GroupId} cannot be joined: not authorized ({e.Error.Reason})";
            if (health.IsNews("consume " + e.Error.Code)) Log.ConsumeError(log, e.Error.Reason);
        }
        else if (e.ConsumerRecord is { } record && partitions.Of(record.TopicPartition) is { } assignment)
        {
            lifecycle.OnOutOfRange(assignment);
        }
    }

    private void Accept(ConsumedFrame frame, GroupMember member)
    {
        PipelineTelemetry.CountConsumed();
        frame.IsSkipped = overload.Policy == OverloadPolicy.SkipStale && frame.Kind == FrameKind.Picture
            && _ages.AgeOf(frame, frame.Assignment.Watch.End, time.GetUtcNow()) > overload.MaxFrameAge;
        var partition = frame.Assignment.Partition;
        if (_held.Has(partition) && !IsBlocked(partition))
        {
            // Resumed while there was no room for what it had held.
            _held.Add(frame);
            member.Pause(partition, PauseReason.Backpressure);
            return;
        }
        if (IsBlocked(partition))
        {
            // An assignment may deliver before its pause takes effect. It has its reason already, and no other that nobody would take back.
            _held.Add(frame);
            member.PauseAgain(partition);
            return;
        }
        long begun = time.GetTimestamp();
        while (!TryDispatch(frame))
        {
            if (time.GetElapsedTime(begun) > Patience || _stopping.IsCancellationRequested)
            {
                _held.Add(frame);
                member.Pause(partition, PauseReason.Backpressure);
                member.PauseAgain(partition);
                return;
            }
            Thread.Sleep(1);
        }
        if (IsOverfull) member.Pause(partition, PauseReason.Backpressure);
    }

    private bool IsOverfull => budget.IsExceeded || partitions.InFlight > MaxUnacknowledged;

    /// <summary>Whether nothing of a partition may be handed on, however much room there is.</summary>
    private bool IsBlocked(TopicPartition partition) => (partitions.Reasons(partition) & (PauseReason.Restore | PauseReason.Retry)) != 0;

    private void DispatchHeld(GroupMember member)
    {
        if (!_held.IsEmpty) _held.Dispatch(IsBlocked, TryDispatch);
        if (partitions.Paused(PauseReason.Backpressure) == 0 || IsOverfull) return;
        foreach (var assignment in partitions.Current)
        {
            var partition = assignment.Partition;
            if (partitions.Reasons(partition).HasFlag(PauseReason.Backpressure) && !_held.Has(partition) && router.HasRoom)
                member.Resume(partition, PauseReason.Backpressure);
        }
    }

    private bool TryDispatch(ConsumedFrame frame)
    {
        var ledger = frame.Assignment.Ledger;
        // Before the frame is handed on: it may be done before this method goes on.
        ledger.Add(frame.Offset);
        if (frame.Error == FrameError.MissingCamera)
        {
            // No camera, so no detector and no result of its own: only the dead letter.
            publisher.DeadLetter(frame);
            ledger.MarkProcessed(frame.Offset);
            publisher.Complete(frame);
            return true;
        }
        if (router.TryWrite(frame)) return true;
        ledger.Undo(frame.Offset);
        return false;
    }

    private static partial class Log
    {
        [LoggerMessage(254, LogLevel.Information, "The group {Group} still has a member {Instance} that did not leave: it is taken out.")]
        public static partial void TakesOver(ILogger log, string instance, string group);

        [LoggerMessage(246, LogLevel.Warning, "Reading frames: {Reason}; trying again.")]
        public static partial void ConsumeError(ILogger log, string reason);
    }
}
