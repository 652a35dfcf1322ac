using System.Collections.Concurrent;
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
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(10);

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
    private readonly ConcurrentDictionary<TopicPartition, PartitionAssignment> _assignments = new();
    private readonly Dictionary<TopicPartition, int> _epochs = [];
    private readonly Dictionary<TopicPartition, Queue<ConsumedFrame>> _held = [];
    private readonly ConcurrentQueue<Action> _requests = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _abandoned = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly PartitionPauses _pauses;
    private readonly RewindBackoff _backoff = new();
    private IConsumer<CameraKey, RentedPayload>? _consumer;
    private volatile bool _drains = true;

    public FrameConsumer(KafkaOptions options, FramesOptions frames, OverloadOptions overload, FrameRouter router, PayloadBudget budget,
        StateRestorer restorer, OffsetCommitter committer, ResultPublisher publisher, BrokerHealth health, TimeProvider time, ILogger log)
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
        _pauses = new PartitionPauses(Pause, partition => _consumer!.Resume([partition]));
    }

    /// <summary>The partitions read at present.</summary>
    public ICollection<PartitionAssignment> Assignments => _assignments.Values;

    /// <summary>Completes when the thread has ended; with an error if it could not go on.</summary>
    public Task Completion => _stopped.Task;

    /// <summary>The group has given this member its share, be it nothing.</summary>
    public bool HasJoined { get; private set; }

    public int Paused(PauseReason reason) => _pauses.Count(reason);

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

    /// <summary>
    /// Reads the partitions again from their last commit: a new epoch, restored detectors, and everything in flight dropped.
    /// </summary>
    public void Rewind(params PartitionAssignment[] assignments) => _requests.Enqueue(() =>
    {
        foreach (var assignment in assignments)
        {
            if (!IsRead(assignment)) continue;
            var delay = _backoff.Next(assignment.Partition, assignment.Committed);
            Log.Rewound(_log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed, delay.TotalSeconds);
            Restart(assignment, assignment.Committed, isReset: assignment.IsReset);
            if (delay == TimeSpan.Zero || !_assignments.TryGetValue(assignment.Partition, out var next)) continue;
            _pauses.Add(assignment.Partition, PauseReason.Retry);
            _ = ResumeAfterAsync(next, delay);
        }
    });

    private async Task ResumeAfterAsync(PartitionAssignment assignment, TimeSpan delay)
    {
        await Task.Delay(delay, _time);
        SetPaused(assignment, PauseReason.Retry, paused: false);
    }

    /// <summary>
    /// The topic was recreated under a partition: what was known of its offsets counts no more, and it is read from its start.
    /// </summary>
    public void Reset(PartitionAssignment assignment) => _requests.Enqueue(() =>
    {
        if (IsRead(assignment)) ResetLog(assignment);
    });

    /// <summary>Pauses a partition for a reason, or takes the reason back; from any thread.</summary>
    public void SetPaused(PartitionAssignment assignment, PauseReason reason, bool paused) => _requests.Enqueue(() =>
    {
        if (!assignment.IsCurrent) return;
        if (paused) _pauses.Add(assignment.Partition, reason);
        else _pauses.Remove(assignment.Partition, reason);
    });

    private bool IsRead(PartitionAssignment assignment) => assignment.IsCurrent && _assignments.ContainsKey(assignment.Partition);

    private void ResetLog(PartitionAssignment assignment)
    {
        var watermarks = Retried(() => _consumer!.QueryWatermarkOffsets(assignment.Partition, BrokerTimeout));
        long low = Math.Max(0, watermarks.Low.Value);
        Log.LogWasReset(_log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Ledger.Next, low);
        Restart(assignment, low, isReset: true);
    }

    /// <summary>Ends an assignment and begins another of the same partition.</summary>
    private void Restart(PartitionAssignment assignment, long offset, bool isReset)
    {
        End(assignment);
        Begin(assignment.Partition, offset, assignment.Watch.End.Offset, lostFrom: null, isReset);
        Fetch(assignment.Partition, offset);
    }

    /// <summary>
    /// Fetches a partition from an offset on. A seek would not do: librdkafka has stopped a partition whose position was out of range, and
    /// then refuses to seek ("Erroneous state").
    /// </summary>
    private void Fetch(TopicPartition partition, long offset)
    {
        try
        {
            _consumer!.IncrementalUnassign([partition]);
            _consumer.IncrementalAssign([new TopicPartitionOffset(partition, offset)]);
            _pauses.Reapply(partition);
        }
        catch (KafkaException e) when (!e.Error.IsFatal)
        {
            // A rebalance is under way: either it takes the partition away, or it is tried again afterwards.
            Log.Retried(_log, e.Error.Reason);
            _requests.Enqueue(() =>
            {
                if (_assignments.ContainsKey(partition)) Fetch(partition, offset);
            });
        }
    }

    private void Run()
    {
        try
        {
            using var consumer = KafkaClients.FrameConsumer(_options, _keys, _budget, _health, OnAssigned, OnRevoked, OnLost);
            _consumer = consumer;
            _committer.Commit = offset => consumer.Commit([offset]);
            consumer.Subscribe(_options.FramesTopic);
            while (!_stopping.IsCancellationRequested) Step(consumer);
            foreach (var assignment in _assignments.Values) Pause(assignment.Partition);
            if (_drains) Drain([.. _assignments.Values]);
            else foreach (var assignment in _assignments.Values) End(assignment);
            // Leaving revokes what is assigned: it is drained and ended by now.
            consumer.Close();
            _stopped.TrySetResult();
        }
        catch (Exception e)
        {
            foreach (var assignment in _assignments.Values) assignment.End();
            _stopped.TrySetException(e);
        }
    }

    private void Step(IConsumer<CameraKey, RentedPayload> consumer)
    {
        // What is asked for while these are done waits for the next step.
        for (int left = _requests.Count; left > 0 && _requests.TryDequeue(out var request); left--) request();
        DispatchHeld();
        ConsumeResult<CameraKey, RentedPayload>? record;
        try
        {
            record = consumer.Consume(_held.Count > 0 ? PollWhileHolding : Poll);
        }
        catch (ConsumeException e)
        {
            OnConsumeError(consumer, e);
            return;
        }
        if (record is null) return;
        if (record.IsPartitionEOF)
        {
            // Nothing is left but what was handed on: what lies between the last record and here are control records and holes.
            if (_assignments.TryGetValue(record.TopicPartition, out var ended) && !_held.ContainsKey(record.TopicPartition))
                ended.Ledger.SkipTo(record.Offset.Value);
            return;
        }
        if (_assignments.TryGetValue(record.TopicPartition, out var assignment) && record.Offset.Value >= Expected(assignment))
        {
            Accept(_reader.Read(record, assignment));
            return;
        }
        _budget.Return(record.Message.Value);
    }

    /// <summary>The offset that comes next, held frames included.</summary>
    private long Expected(PartitionAssignment assignment) =>
        _held.TryGetValue(assignment.Partition, out var queue) && queue.Count > 0 ? queue.Last().Offset + 1 : assignment.Ledger.Next;

    private void Accept(ConsumedFrame frame)
    {
        PipelineTelemetry.CountConsumed();
        frame.IsSkipped = _overload.Policy == OverloadPolicy.SkipStale && frame.Kind == FrameKind.Picture
            && _ages.AgeOf(frame, frame.Assignment.Watch.End, _time.GetUtcNow()) > _overload.MaxFrameAge;
        var partition = frame.Assignment.Partition;
        if (_held.TryGetValue(partition, out var queue))
        {
            queue.Enqueue(frame);
            return;
        }
        if ((_pauses[partition] & (PauseReason.Restore | PauseReason.Retry)) == 0)
        {
            long begun = _time.GetTimestamp();
            while (!TryDispatch(frame))
            {
                if (_time.GetElapsedTime(begun) > Patience || _stopping.IsCancellationRequested)
                {
                    Hold(frame, PauseReason.Backpressure);
                    return;
                }
                Thread.Sleep(1);
            }
            if (IsOverfull) _pauses.Add(partition, PauseReason.Backpressure);
            return;
        }
        // An assignment may deliver before its pause takes effect.
        Hold(frame, PauseReason.Restore);
    }

    private bool IsOverfull => _budget.IsExceeded || _assignments.Values.Sum(assignment => assignment.Ledger.InFlight) > MaxUnacknowledged;

    private void Hold(ConsumedFrame frame, PauseReason reason)
    {
        _held.Add(frame.Assignment.Partition, new Queue<ConsumedFrame>([frame]));
        _pauses.Add(frame.Assignment.Partition, reason);
        _pauses.Reapply(frame.Assignment.Partition);
    }

    private void DispatchHeld()
    {
        foreach (var (partition, queue) in _held)
        {
            if ((_pauses[partition] & (PauseReason.Restore | PauseReason.Retry)) != 0) continue;
            while (queue.TryPeek(out var frame) && TryDispatch(frame)) queue.Dequeue();
            if (queue.Count == 0) _held.Remove(partition);
        }
        if (_pauses.Count(PauseReason.Backpressure) == 0 || IsOverfull) return;
        foreach (var partition in _assignments.Keys)
        {
            if (_pauses[partition].HasFlag(PauseReason.Backpressure) && !_held.ContainsKey(partition) && _router.HasRoom)
                _pauses.Remove(partition, PauseReason.Backpressure);
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
        var committed = Retried(() => consumer.Committed(partitions, BrokerTimeout));
        foreach (var position in committed)
        {
            var watermarks = Retried(() => consumer.QueryWatermarkOffsets(position.TopicPartition, BrokerTimeout));
            long low = Math.Max(0, watermarks.Low.Value);
            long high = Math.Max(low, watermarks.High.Value);
            long stored = position.Offset.Value;
            long start = stored switch
            {
                < 0 => _options.StartFrom == StartFrom.Earliest ? low : high,
                _ when stored > high => low,
                _ => Math.Max(stored, low),
            };
            if (stored > high) Log.LogWasReset(_log, position.Topic, position.Partition.Value, stored, low);
            Begin(position.TopicPartition, start, high, lostFrom: stored >= 0 && stored < low ? stored : null, isReset: stored > high);
            starts.Add(new TopicPartitionOffset(position.TopicPartition, start));
        }
        return starts;
    }

    private void Begin(TopicPartition partition, long start, long end, long? lostFrom, bool isReset)
    {
        int epoch = _epochs[partition] = _epochs.GetValueOrDefault(partition) + 1;
        var assignment = new PartitionAssignment(partition, epoch, start, end, _time.GetUtcNow()) { IsReset = isReset };
        if (lostFrom is { } from) ReportLost(assignment, from, start);
        _assignments[partition] = assignment;
        _pauses.Add(partition, PauseReason.Restore);
        Log.Assigned(_log, partition.Topic, partition.Partition.Value, start, epoch);
        _ = RestoreAsync(assignment);
    }

    private async Task RestoreAsync(PartitionAssignment assignment)
    {
        try
        {
            await _restorer.RestoreAsync(assignment, _stopping.Token);
            if (assignment.IsOfAnotherTopic) Reset(assignment);
            else SetPaused(assignment, PauseReason.Restore, paused: false);
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
        var revoked = partitions.Select(partition => _assignments.GetValueOrDefault(partition.TopicPartition))
            .OfType<PartitionAssignment>().ToArray();
        Drain(revoked);
        foreach (var assignment in revoked)
            Log.Revoked(_log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed);
    }

    private void OnLost(IConsumer<CameraKey, RentedPayload> consumer, List<TopicPartitionOffset> partitions)
    {
        foreach (var partition in partitions)
        {
            if (!_assignments.TryGetValue(partition.TopicPartition, out var assignment)) continue;
            Log.Lost(_log, partition.Topic, partition.Partition.Value);
            End(assignment);
        }
    }

    /// <summary>Finishes what was handed on, commits, and ends the assignments; what was held goes back unread.</summary>
    private void Drain(PartitionAssignment[] assignments)
    {
        foreach (var assignment in assignments) DropHeld(assignment.Partition);
        using var timeout = new CancellationTokenSource(_options.DrainTimeout, _time);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _abandoned.Token);
        Task.WhenAll(assignments.Select(assignment => _committer.DrainAsync(assignment, deadline.Token))).GetAwaiter().GetResult();
        foreach (var assignment in assignments) End(assignment);
    }

    private void End(PartitionAssignment assignment)
    {
        assignment.End();
        DropHeld(assignment.Partition);
        _assignments.TryRemove(assignment.Partition, out _);
        _pauses.Forget(assignment.Partition);
    }

    private void DropHeld(TopicPartition partition)
    {
        if (!_held.Remove(partition, out var queue)) return;
        foreach (var frame in queue) _publisher.Discard(frame);
    }

    private void OnConsumeError(IConsumer<CameraKey, RentedPayload> consumer, ConsumeException e)
    {
        if (e.Error.IsFatal) throw e;
        if (e.Error.Code is not (ErrorCode.Local_AutoOffsetReset or ErrorCode.OffsetOutOfRange))
        {
            if (_health.IsNews("consume " + e.Error.Code)) Log.ConsumeError(_log, e.Error.Reason);
            return;
        }
        var partition = e.ConsumerRecord?.TopicPartition;
        if (partition is null || !_assignments.TryGetValue(partition, out var assignment)) return;
        var watermarks = Retried(() => consumer.QueryWatermarkOffsets(partition, BrokerTimeout));
        long next = Expected(assignment);
        long low = Math.Max(0, watermarks.Low.Value);
        if (next > watermarks.High.Value)
        {
            ResetLog(assignment);
            return;
        }
        // The log no longer holds the position: retention was faster than the service.
        if (next < low) ReportLost(assignment, next, low);
        Fetch(partition, Math.Max(next, low));
    }

    private void ReportLost(PartitionAssignment assignment, long from, long to)
    {
        Log.LostBeforeRead(_log, assignment.Partition.Topic, assignment.Partition.Partition.Value, from, to);
        PipelineTelemetry.CountLostBeforeRead(to - from);
        // The detectors learn it in the frames' order, when they have seen what was read before.
        lock (assignment.Gate) assignment.Lost = (from, to);
        if (!_held.ContainsKey(assignment.Partition)) assignment.Ledger.SkipTo(to);
    }

    private T Retried<T>(Func<T> request)
    {
        while (true)
        {
            try
            {
                return request();
            }
            catch (KafkaException e) when (!e.Error.IsFatal && !_stopping.IsCancellationRequested)
            {
                if (_health.IsNews("positions " + e.Error.Code)) Log.Retried(_log, e.Error.Reason);
                Thread.Sleep(200);
            }
        }
    }

    private void Pause(TopicPartition partition)
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

        [LoggerMessage(247, LogLevel.Warning, "Asking Kafka for positions: {Reason}; trying again.")]
        public static partial void Retried(ILogger log, string reason);
    }
}
