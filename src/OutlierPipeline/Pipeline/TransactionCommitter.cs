using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Commits partitions in transactions, one after the other, on a thread of its own: each carries the results since the one before, the
/// detectors' state and the offsets. Frames are decoded and scored meanwhile, and what they give waits for the next. What an aborted one
/// carried is kept and carried again; only a partition whose own record was refused is read again, or waits for its dead letter, and is
/// then tried alone, so that it holds up no other.
/// </summary>
internal sealed partial class TransactionCommitter(KafkaOptions options, ITransactionProducer producer, OutboxWriter writer,
    ResultPublisher publisher, TimeSpan forgetAfter, PipelineFailure failure, TimeProvider time, BrokerHealth health, ILogger log)
    : ICommitter
{
    /// <summary>While a partition is drained nobody waits for <see cref="KafkaOptions.CommitInterval"/>.</summary>
    private static readonly TimeSpan WhileDraining = TimeSpan.FromMilliseconds(20);

    private readonly Dictionary<PartitionAssignment, Part> _parts = [];

    /// <summary>Partitions that made a transaction fail: how often in a row, and when each may be tried again.</summary>
    private readonly Dictionary<TopicPartition, (int Times, DateTimeOffset NotBefore)> _suspects = [];
    private readonly Lock _gate = new();
    private TaskCompletionSource<ErrorCode?> _nextRound = New();
    private Task _running = Task.CompletedTask;
    private int _draining;
    private ErrorCode? _refusal;
    private volatile string? _fault;

    /// <inheritdoc/>
    public string? Fault => _fault;

    /// <inheritdoc/>
    public Task BeginAsync(CancellationToken cancellation) => Task.Run(() => producer.Begin(cancellation), cancellation);

    /// <inheritdoc/>
    public Task RunAsync(PartitionTable partitions, FrameConsumer consumer, CancellationToken cancellation) => _running =
        Task.Factory.StartNew(() => Run(partitions, consumer, cancellation), CancellationToken.None, TaskCreationOptions.LongRunning,
            TaskScheduler.Default);

    /// <inheritdoc/>
    public async Task DrainAsync(PartitionAssignment assignment, GroupMember member, CancellationToken deadline)
    {
        Interlocked.Increment(ref _draining);
        try
        {
            writer.Wake.Set();
            await Task.WhenAny(assignment.Ledger.WhenAcknowledged(assignment.Ledger.Next), assignment.Ended).WaitAsync(deadline);
            // What no frame gave: alerts of absent cameras, positions behind control records.
            do
            {
                if (!GroupMember.IsGivenUp(await NextRound().WaitAsync(deadline))) continue;
                Log.NotDrained(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed,
                    "the group went on without this member");
                return;
            }
            while (assignment.IsCurrent && !assignment.Outbox.IsSettled);
        }
        catch (OperationCanceledException)
        {
            Log.NotDrained(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed,
                $"it took longer than Kafka:DrainTimeout ({options.DrainTimeout})");
        }
        finally
        {
            Interlocked.Decrement(ref _draining);
        }
    }

    public void Dispose()
    {
        // The client may not go while a call of it runs; calls are short.
        _running.GetAwaiter().GetResult();
        producer.Dispose();
    }

    /// <summary>One round: a transaction of all partitions that are sound, and one for each of those that were not.</summary>
    internal void Round(IReadOnlyList<PartitionAssignment> current, Func<IConsumerGroupMetadata?> member, CancellationToken cancellation)
    {
        writer.Begin();
        _refusal = null;
        foreach (var (ended, part) in _parts.Where(pair => !pair.Key.IsCurrent).ToList())
        {
            _parts.Remove(ended);
            Outbox.Drop(part.Records);
        }
        // What was not restored is not known, and is neither written nor deleted.
        foreach (var assignment in current.Where(one => one is { IsCurrent: true, IsRestored: true, IsOfAnotherTopic: false }))
            Collect(assignment);
        // What could not be committed may have gone to another member.
        if (_parts.Count == 0) _fault = null;
        var sound = _parts.Values.Where(part => part.IsReady && !_suspects.ContainsKey(part.Assignment.Partition)).ToList();
        // Whoever made it fail is left out, and the others are not kept waiting for the next round.
        while (sound.Count > 0 && !TryCommit(sound, member, cancellation, out bool isBlamed) && isBlamed)
            sound.RemoveAll(part => !part.IsReady || _suspects.ContainsKey(part.Assignment.Partition));
        foreach (var part in _parts.Values.ToList())
        {
            if (part.IsReady && _suspects.TryGetValue(part.Assignment.Partition, out var suspect) && suspect.NotBefore <= time.GetUtcNow())
                TryCommit([part], member, cancellation, out _);
        }
    }

    private void Run(PartitionTable partitions, FrameConsumer consumer, CancellationToken cancellation)
    {
        try
        {
            WaitHandle[] handles = [writer.Wake, cancellation.WaitHandle];
            long begun = time.GetTimestamp();
            while (!cancellation.IsCancellationRequested)
            {
                var interval = Volatile.Read(ref _draining) > 0 ? WhileDraining : options.CommitEvery;
                var left = interval - time.GetElapsedTime(begun);
                if (left > TimeSpan.Zero) WaitHandle.WaitAny(handles, left);
                begun = time.GetTimestamp();
                TaskCompletionSource<ErrorCode?> round;
                lock (_gate) (round, _nextRound) = (_nextRound, New());
                Round(partitions.Current, () => consumer.Membership, cancellation);
                round.SetResult(_refusal);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // What is open is aborted by the brokers, or by the next start, and done again.
        }
        catch (Exception e)
        {
            failure.Report(e);
        }
    }

    /// <summary>The result of a round that has not begun.</summary>
    private Task<ErrorCode?> NextRound()
    {
        lock (_gate) return _nextRound.Task;
    }

    /// <summary>Adds to what waits of a partition what has come, up to one moment between two frames.</summary>
    private void Collect(PartitionAssignment assignment)
    {
        if (!_parts.TryGetValue(assignment, out var part)) part = new Part(assignment);
        lock (assignment.Gate)
        {
            if (assignment.Outbox.IsWithheld) return;
            var snapshot = PartitionSnapshot.Take(assignment, forgetAfter, time.GetUtcNow());
            assignment.Outbox.Take(snapshot.Offset, part.Records);
            part.Offset = snapshot.Offset;
            part.IsWhole = true;
            foreach (var (camera, state) in snapshot.States) part.States[camera] = state;
        }
        assignment.Outbox.IsSettled = !part.HasWork;
        if (part.HasWork) _parts[assignment] = part;
    }

    /// <param name="isBlamed">Whether some of the partitions, and not the brokers or the group, made it fail.</param>
    private bool TryCommit(List<Part> parts, Func<IConsumerGroupMetadata?> member, CancellationToken cancellation, out bool isBlamed)
    {
        isBlamed = false;
        // It has left the group: what is open is the next member's.
        if (member() is not { } membership) return false;
        var records = new List<OutgoingRecord>();
        foreach (var part in parts)
        {
            records.AddRange(part.Records);
            foreach (var (camera, state) in part.States) records.Add(StateOf(part.Assignment, camera, state));
        }
        var outcome = producer.Run(records, [.. parts.Select(part => new TopicPartitionOffset(part.Assignment.Partition, part.Offset))],
            membership, cancellation);
        if (outcome.Fault is { } fault)
        {
            isBlamed = outcome.Refused.Count > 0;
            _refusal = fault.Code;
            if (!isBlamed) _fault = $"results cannot be committed: {fault.Reason}";
            if (health.IsNews($"transaction {fault.Code}")) Log.Aborted(log, fault.Reason);
            foreach (var (record, error) in outcome.Refused) Blame(parts, record, error);
            return false;
        }
        _fault = null;
        foreach (var part in parts) Settle(part);
        return true;
    }

    private void Settle(Part part)
    {
        var assignment = part.Assignment;
        assignment.Committed = part.Offset;
        assignment.Outbox.IsSettled = true;
        _parts.Remove(assignment);
        _suspects.Remove(assignment.Partition);
        publisher.Faults.Remove(assignment.Partition);
        foreach (var record in part.Records) record.Delivered(new Error(ErrorCode.NoError));
    }

    /// <summary>Tells a record's owner that it was refused, which decides what becomes of its partition.</summary>
    private void Blame(List<Part> parts, OutgoingRecord record, Error error)
    {
        // A state record is made anew for each transaction, and is in no part.
        var part = parts.FirstOrDefault(part => part.Records.Remove(record))
            ?? parts.First(part => record.Target.Topic == options.StateTopic
                && part.Assignment.Partition.Partition == record.Target.Partition);
        if (part.IsWhole) Suspect(part.Assignment.Partition);
        part.IsWhole = false;
        record.Delivered(error);
    }

    /// <summary>A partition made a transaction fail, with however many records: it is tried alone, later each time.</summary>
    private void Suspect(TopicPartition guilty)
    {
        int times = _suspects.GetValueOrDefault(guilty).Times;
        _suspects[guilty] = (times + 1, time.GetUtcNow() + RewindBackoff.After(times));
    }

    private OutgoingRecord StateOf(PartitionAssignment assignment, string camera, byte[]? state) =>
        new(new TopicPartition(options.StateTopic, assignment.Partition.Partition),
            new Message<byte[], byte[]> { Key = Encoding.UTF8.GetBytes(camera), Value = state! },
            error => publisher.OnFailed(assignment, options.StateTopic, error));

    private static TaskCompletionSource<ErrorCode?> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What waits of a partition for a transaction that is committed.</summary>
    private sealed class Part(PartitionAssignment assignment)
    {
        public PartitionAssignment Assignment { get; } = assignment;

        public List<OutgoingRecord> Records { get; } = [];

        /// <summary>The latest state of each camera that has a new one; null deletes it.</summary>
        public Dictionary<string, byte[]?> States { get; } = [];

        public long Offset { get; set; }

        /// <summary>False once a record was refused: what takes its place comes with the next round, or nothing may be committed.</summary>
        public bool IsWhole { get; set; }

        public bool HasWork => Records.Count > 0 || States.Count > 0 || Offset > Assignment.Committed;

        public bool IsReady => HasWork && IsWhole && Assignment.IsCurrent && !Assignment.Outbox.IsWithheld;
    }

    private static partial class Log
    {
        [LoggerMessage(262, LogLevel.Warning, "A transaction was aborted ({Reason}): nothing of it is seen, and it is done again.")]
        public static partial void Aborted(ILogger log, string reason);

        [LoggerMessage(221, LogLevel.Warning, "{Topic}[{Partition}] is given back without a last commit, since {Reason}: whoever reads " +
            "it next repeats it from offset {Offset} on.")]
        public static partial void NotDrained(ILogger log, string topic, int partition, long offset, string reason);
    }
}
