using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Reads <c>camera.frames</c> as a member of the consumer group, on one thread of its own that also pauses, resumes, seeks and rebalances.
/// A partition is read only once its cameras' state is restored; a frame for which there is no room is held and its partition paused.
/// </summary>
internal sealed partial class FrameConsumer : IDisposable
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan PollWhileHolding = TimeSpan.FromMilliseconds(2);

    /// <summary>A short stall is waited out: pausing makes librdkafka throw away what it has fetched.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    /// <summary>Frames whose results the broker has not acknowledged, over all partitions, beyond which reading pauses.</summary>
    private const int MaxUnacknowledged = 10_000;

    private readonly KafkaOptions _options;
    private readonly OverloadOptions _overload;
    private readonly FrameRouter _router;
    private readonly FrameReader _reader;
    private readonly FrameAges _ages;
    private readonly PayloadBudget _budget;
    private readonly CameraKeys _keys;
    private readonly StateRestorer _restorer;
    private readonly OffsetCommitter _committer;
    private readonly ResultPublisher _publisher;
    private readonly BrokerHealth _health;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly PartitionTable _partitions;
    private readonly HeldFrames _held = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _abandoned = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RewindBackoff _backoff = new();
    private IConsumer<CameraKey, RentedPayload>? _consumer;
    private PartitionPositions? _positions;
    private volatile bool _drains = true;

    public FrameConsumer(KafkaOptions options, FramesOptions frames, OverloadOptions overload, FrameRouter router, PayloadBudget budget,
        PartitionTable partitions, StateRestorer restorer, OffsetCommitter committer, ResultPublisher publisher, BrokerHealth health,
        TimeProvider time, ILogger log)
    {
        _options = options;
        _overload = overload;
        _router = router;
        _budget = budget;
        _keys = new CameraKeys();
        _reader = new FrameReader(frames, new CameraKeys(), time);
        _ages = new FrameAges(frames.MaxClockSkew);
        _restorer = restorer;
        _committer = committer;
        _publisher = publisher;
        _health = health;
        _time = time;
        _log = log;
        _partitions = partitions;
    }

    /// <summary>Completes when the thread has ended; with an error if it could not go on.</summary>
    public Task Completion => _stopped.Task;

    /// <summary>The group has given this member its share, be it nothing.</summary>
    public bool HasJoined { get; private set; }

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
    public void Commit(TopicPartitionOffset offset) => _consumer!.Commit([offset]);

    private void Do(PartitionRequest request)
    {
        var assignment = request.Assignment;
        switch (request.Action)
        {
            case PartitionAction.Rewind:
                Rewind(assignment);
                break;
            case PartitionAction.Reset:
                ResetLog(assignment);
                break;
            case PartitionAction.Pause:
                Pause(assignment.Partition, request.Reason);
                break;
            case PartitionAction.Resume:
                Resume(assignment.Partition, request.Reason);
                break;
            case PartitionAction.Fetch:
                Fetch(assignment, request.Offset);
                break;
        }
    }

    /// <summary>A new epoch from the last commit on, restored detectors, and everything in flight dropped.</summary>
    private void Rewind(PartitionAssignment assignment)
    {
        var delay = _backoff.Next(assignment.Partition, assignment.Committed);
        Log.Rewound(_log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed, delay.TotalSeconds);
        var next = Restart(assignment, assignment.Committed, isReset: assignment.IsReset);
        if (delay == TimeSpan.Zero) return;
        Pause(assignment.Partition, PauseReason.Retry);
        _ = ResumeAfterAsync(next, delay);
    }

    private async Task ResumeAfterAsync(PartitionAssignment assignment, TimeSpan delay)
    {
        await Task.Delay(delay, _time);
        _partitions.Post(assignment, PartitionAction.Resume, PauseReason.Retry);
    }

    /// <summary>
    /// The topic was recreated under a partition: what was known of its offsets counts no more, and it is read from its start.
    /// </summary>
    private void ResetLog(PartitionAssignment assignment)
    {
        var (low, _) = _positions!.Range(assignment.Partition);
        Log.LogWasReset(_log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Ledger.Next, low);
        Restart(assignment, low, isReset: true);
    }

    /// <summary>Ends an assignment and begins another of the same partition.</summary>
    private PartitionAssignment Restart(PartitionAssignment assignment, long offset, bool isReset)
    {
        End(assignment);
        var next = Begin(assignment.Partition, offset, assignment.Watch.End.Offset, lostFrom: null, isReset);
        Fetch(next, offset);
        return next;
    }

    /// <summary>
    /// Fetches a partition from an offset on. A seek would not do: librdkafka has stopped a partition whose position was out of range, and
    /// then refuses to seek ("Erroneous state").
    /// </summary>
    private void Fetch(PartitionAssignment assignment, long offset)
    {
        try
        {
            _consumer!.IncrementalUnassign([assignment.Partition]);
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

    private void Run()
    {
        try
        {
            using var consumer = KafkaClients.FrameConsumer(_options, _keys, _budget, _health, OnAssigned, OnRevoked, OnLost);
            _consumer = consumer;
            _positions = new PartitionPositions(consumer, _options.StartFrom, _health, _log, _stopping.Token);
            consumer.Subscribe(_options.FramesTopic);
            while (!_stopping.IsCancellationRequested) Step(consumer);
            foreach (var assignment in _partitions.Current) PauseClient(assignment.Partition);
            if (_drains) Drain(_partitions.Current);
            else foreach (var assignment in _partitions.Current) End(assignment);
            // Leaving revokes what is assigned: it is drained and ended by now.
            consumer.Close();
            _stopped.TrySetResult();
        }
        catch (Exception e)
        {
            foreach (var assignment in _partitions.Current) assignment.End();
            _stopped.TrySetException(e);
        }
    }

    private void Step(IConsumer<CameraKey, RentedPayload> consumer)
    {
        // What is asked for while these are done waits for the next step.
        foreach (var request in _partitions.Take()) Do(request);
        DispatchHeld();
        ConsumeResult<CameraKey, RentedPayload>? record;
        try
        {
            record = consumer.Consume(_held.IsEmpty ? Poll : PollWhileHolding);
        }
        catch (ConsumeException e)
        {
            OnConsumeError(e);
            return;
        }
        if (record is null) return;
        if (record.IsPartitionEOF)
        {
            // Nothing is left but what was handed on: what lies between the last record and here are control records and holes.
            if (_partitions.Of(record.TopicPartition) is { } ended && !_held.Has(record.TopicPartition))
                ended.Ledger.SkipTo(record.Offset.Value);
            return;
        }
        if (_partitions.Of(record.TopicPartition) is { } assignment && record.Offset.Value >= Expected(assignment))
        {
            Accept(_reader.Read(record, assignment));
            return;
        }
        _budget.Return(record.Message.Value);
    }

    /// <summary>The offset that comes next, held frames included.</summary>
    private long Expected(PartitionAssignment assignment) =>
        _held.LastOffset(assignment.Partition) is { } last ? last + 1 : assignment.Ledger.Next;

    private void Accept(ConsumedFrame frame)
    {
        PipelineTelemetry.CountConsumed();
        frame.IsSkipped = _overload.Policy == OverloadPolicy.SkipStale && frame.Kind == FrameKind.Picture
            && _ages.AgeOf(frame, frame.Assignment.Watch.End, _time.GetUtcNow()) > _overload.MaxFrameAge;
        var partition = frame.Assignment.Partition;
        if (_held.Has(partition))
        {
            _held.Add(frame);
            return;
        }
        if (!IsBlocked(partition))
        {
            long begun = _time.GetTimestamp();
            while (!TryDispatch(frame))
            {
                if (_time.GetElapsedTime(begun) > Patience || _stopping.IsCancellationRequested)
                {
                    Hold(frame);
                    return;
                }
                Thread.Sleep(1);
            }
            if (IsOverfull) Pause(partition, PauseReason.Backpressure);
            return;
        }
        // An assignment may deliver before its pause takes effect. It has its reason already, and no other that nobody would take back.
        _held.Add(frame);
        PauseAgain(partition);
    }

    private bool IsOverfull => _budget.IsExceeded || _partitions.InFlight > MaxUnacknowledged;

    /// <summary>Whether nothing of a partition may be handed on, however much room there is.</summary>
    private bool IsBlocked(TopicPartition partition) => (_partitions.Reasons(partition) & (PauseReason.Restore | PauseReason.Retry)) != 0;

    private void Hold(ConsumedFrame frame)
    {
        _held.Add(frame);
        Pause(frame.Assignment.Partition, PauseReason.Backpressure);
        PauseAgain(frame.Assignment.Partition);
    }

    private void DispatchHeld()
    {
        if (!_held.IsEmpty) _held.Dispatch(IsBlocked, TryDispatch);
        if (_partitions.Paused(PauseReason.Backpressure) == 0 || IsOverfull) return;
        foreach (var assignment in _partitions.Current)
        {
            var partition = assignment.Partition;
            if (_partitions.Reasons(partition).HasFlag(PauseReason.Backpressure) && !_held.Has(partition) && _router.HasRoom)
                Resume(partition, PauseReason.Backpressure);
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
            _publisher.DeadLetter(frame);
            ledger.MarkProcessed(frame.Offset);
            _publisher.Complete(frame);
            return true;
        }
        if (_router.TryWrite(frame)) return true;
        ledger.Undo(frame.Offset);
        return false;
    }

    private IEnumerable<TopicPartitionOffset> OnAssigned(IConsumer<CameraKey, RentedPayload> consumer, List<TopicPartition> partitions)
    {
        HasJoined = true;
        var starts = new List<TopicPartitionOffset>();
        foreach (var start in _positions!.Starts(partitions))
        {
            var partition = start.Partition;
            if (start.IsReset) Log.LogWasReset(_log, partition.Topic, partition.Partition.Value, start.Stored, start.Start);
            Begin(partition, start.Start, start.End, start.LostFrom, start.IsReset);
            starts.Add(new TopicPartitionOffset(partition, start.Start));
        }
        return starts;
    }

    private PartitionAssignment Begin(TopicPartition partition, long start, long end, long? lostFrom, bool isReset)
    {
        var assignment = _partitions.Begin(partition, start, end, _time.GetUtcNow(), isReset);
        if (lostFrom is { } from) ReportLost(assignment, from, start);
        PauseAgain(partition);
        Log.Assigned(_log, partition.Topic, partition.Partition.Value, start, assignment.Epoch);
        _ = RestoreAsync(assignment);
        return assignment;
    }

    private async Task RestoreAsync(PartitionAssignment assignment)
    {
        try
        {
            await _restorer.RestoreAsync(assignment, _stopping.Token);
            if (assignment.IsOfAnotherTopic) _partitions.Post(assignment, PartitionAction.Reset);
            else _partitions.Post(assignment, PartitionAction.Resume, PauseReason.Restore);
        }
        catch (OperationCanceledException)
        {
            // Stopping: the partition stays paused until it is given back.
        }
        catch (Exception e)
        {
            _stopped.TrySetException(e);
            _stopping.Cancel();
        }
    }

    private void OnRevoked(IConsumer<CameraKey, RentedPayload> consumer, List<TopicPartitionOffset> partitions)
    {
        var revoked = partitions.Select(partition => _partitions.Of(partition.TopicPartition)).OfType<PartitionAssignment>().ToArray();
        Drain(revoked);
        foreach (var assignment in revoked)
            Log.Revoked(_log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed);
    }

    private void OnLost(IConsumer<CameraKey, RentedPayload> consumer, List<TopicPartitionOffset> partitions)
    {
        foreach (var partition in partitions)
        {
            if (_partitions.Of(partition.TopicPartition) is not { } assignment) continue;
            Log.Lost(_log, partition.Topic, partition.Partition.Value);
            End(assignment);
        }
    }

    /// <summary>Finishes what was handed on, commits, and ends the assignments; what was held goes back unread.</summary>
    private void Drain(IReadOnlyList<PartitionAssignment> assignments)
    {
        foreach (var assignment in assignments) DropHeld(assignment.Partition);
        using var timeout = new CancellationTokenSource(_options.DrainTimeout, _time);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _abandoned.Token);
        Task.WhenAll(assignments.Select(assignment => _committer.DrainAsync(assignment, Commit, deadline.Token))).GetAwaiter().GetResult();
        foreach (var assignment in assignments) End(assignment);
    }

    private void End(PartitionAssignment assignment)
    {
        _partitions.End(assignment);
        DropHeld(assignment.Partition);
    }

    private void DropHeld(TopicPartition partition)
    {
        foreach (var frame in _held.Drop(partition)) _publisher.Discard(frame);
    }

    private void OnConsumeError(ConsumeException e)
    {
        if (e.Error.IsFatal) throw e;
        if (e.Error.Code is not (ErrorCode.Local_AutoOffsetReset or ErrorCode.OffsetOutOfRange))
        {
            if (_health.IsNews("consume " + e.Error.Code)) Log.ConsumeError(_log, e.Error.Reason);
            return;
        }
        var partition = e.ConsumerRecord?.TopicPartition;
        if (partition is null || _partitions.Of(partition) is not { } assignment) return;
        var (low, high) = _positions!.Range(partition);
        long next = Expected(assignment);
        if (next > high)
        {
            ResetLog(assignment);
            return;
        }
        // The log no longer holds the position: retention was faster than the service.
        if (next < low) ReportLost(assignment, next, low);
        Fetch(assignment, Math.Max(next, low));
    }

    private void ReportLost(PartitionAssignment assignment, long from, long to)
    {
        Log.LostBeforeRead(_log, assignment.Partition.Topic, assignment.Partition.Partition.Value, from, to);
        PipelineTelemetry.CountLostBeforeRead(to - from);
        // The detectors learn it in the frames' order, when they have seen what was read before.
        lock (assignment.Gate) assignment.Lost = (from, to);
        if (!_held.Has(assignment.Partition)) assignment.Ledger.SkipTo(to);
    }

    private void Pause(TopicPartition partition, PauseReason reason)
    {
        if (_partitions.Pause(partition, reason)) PauseClient(partition);
    }

    private void Resume(TopicPartition partition, PauseReason reason)
    {
        if (_partitions.Resume(partition, reason)) _consumer!.Resume([partition]);
    }

    /// <summary>Pauses what should be: an assignment may have undone it.</summary>
    private void PauseAgain(TopicPartition partition)
    {
        if (_partitions.Reasons(partition) != PauseReason.None) PauseClient(partition);
    }

    private void PauseClient(TopicPartition partition)
    {
        try
        {
            _consumer!.Pause([partition]);
        }
        catch (KafkaException)
        {
            // Not assigned yet, as in the assign handler: frames that come before the pause are held, and the hold pauses again.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(240, LogLevel.Information, "{Topic}[{Partition}] is assigned from offset {Start} on (epoch {Epoch}).")]
        public static partial void Assigned(ILogger log, string topic, int partition, long start, int epoch);

        [LoggerMessage(241, LogLevel.Information, "{Topic}[{Partition}] is given back, committed up to {Offset}.")]
        public static partial void Revoked(ILogger log, string topic, int partition, long offset);

        [LoggerMessage(242, LogLevel.Warning, "{Topic}[{Partition}] was lost to another member; what was in flight is dropped.")]
        public static partial void Lost(ILogger log, string topic, int partition);

        [LoggerMessage(243, LogLevel.Error, "{Topic}[{Partition}]: offsets {From} to {To} expired before they were read (lostBeforeRead).")]
        public static partial void LostBeforeRead(ILogger log, string topic, int partition, long from, long to);

        [LoggerMessage(244, LogLevel.Error, "{Topic}[{Partition}]: the topic was recreated, since what was read up to offset {Offset} is " +
            "no longer in it. It is read from offset {Start} on, and its cameras' evidence starts afresh.")]
        public static partial void LogWasReset(ILogger log, string topic, int partition, long offset, long start);

        [LoggerMessage(245, LogLevel.Warning, "{Topic}[{Partition}] is read again from offset {Offset} in {Seconds:0.##} s.")]
        public static partial void Rewound(ILogger log, string topic, int partition, long offset, double seconds);

        [LoggerMessage(246, LogLevel.Warning, "Reading frames: {Reason}; trying again.")]
        public static partial void ConsumeError(ILogger log, string reason);

        [LoggerMessage(248, LogLevel.Warning, "Fetching again: {Reason}; trying again.")]
        public static partial void Retried(ILogger log, string reason);
    }
}
