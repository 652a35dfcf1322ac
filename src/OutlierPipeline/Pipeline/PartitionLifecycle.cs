using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Begins and ends assignments: by rebalances, rewinds, recreated topics and retention. A partition is read only once its cameras' state is
/// restored. For the consumer's thread.
/// </summary>
/// <param name="stopping">Nothing is begun any more.</param>
/// <param name="abandoned">What is drained is waited for no longer.</param>
internal sealed partial class PartitionLifecycle(GroupMember member, PartitionTable partitions, HeldFrames held, StateRestorer restorer,
    ICommitter committer, ResultPublisher publisher, PipelineFailure failure, TimeSpan drainTimeout, TimeProvider time, ILogger log,
    CancellationToken stopping, CancellationToken abandoned)
{
    /// <summary>For so long a leader may be the wrong one, or wait for copies on nodes that are away.</summary>
    private static readonly TimeSpan CutBackAfter = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromSeconds(1);
    private readonly RewindBackoff _backoff = new();
    private volatile bool _hasJoined;

    /// <summary>The group has given this member its share, be it nothing. For any thread.</summary>
    public bool HasJoined => _hasJoined;

    /// <summary>Does what another stage asked for.</summary>
    public void Do(PartitionRequest request)
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
            case PartitionAction.CutBack:
                CutBack(assignment);
                break;
            case PartitionAction.Pause:
                member.Pause(assignment.Partition, request.Reason);
                break;
            case PartitionAction.Resume:
                member.Resume(assignment.Partition, request.Reason);
                break;
            case PartitionAction.Fetch:
                member.Fetch(assignment, request.Offset);
                break;
        }
    }

    /// <summary>Begins what the group has assigned; <see cref="BeginFound"/> what is not known yet where to read.</summary>
    /// <returns>Where it is read from.</returns>
    public List<TopicPartitionOffset> OnAssigned(List<TopicPartition> assigned)
    {
        // What is not known yet is begun by the client itself, where the group has read to; what it reads before we know is dropped.
        var from = assigned.ToDictionary(partition => partition, _ => Offset.Unset);
        foreach (var start in member.Positions.Ask(assigned))
        {
            Begin(start);
            from[start.Partition] = start.Start;
        }
        _hasJoined = true;
        return [.. from.Select(pair => new TopicPartitionOffset(pair.Key, pair.Value))];
    }

    /// <summary>Begins what was assigned before its position was known, and is known by now.</summary>
    public void BeginFound() => member.Positions.Begin((start, isLast) =>
    {
        bool isPlaced = member.TrySeek(start.Partition, start.Start);
        if (!isPlaced && !isLast) return false;
        var assignment = Begin(start);
        // The client has stopped it: the group has no position, or one that the log does not hold.
        if (!isPlaced) member.Fetch(assignment, start.Start);
        return true;
    });

    /// <summary>Drains what the group takes back.</summary>
    public void OnRevoked(List<TopicPartitionOffset> revoked)
    {
        foreach (var partition in revoked) member.Positions.Forget(partition.TopicPartition);
        var assignments = revoked.Select(partition => partitions.Of(partition.TopicPartition)).OfType<PartitionAssignment>().ToArray();
        Drain(assignments);
        foreach (var assignment in assignments)
        {
            publisher.Faults.Forget(assignment.Partition);
            Log.Revoked(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed);
        }
    }

    /// <summary>Drops what is another member's already.</summary>
    public void OnLost(List<TopicPartitionOffset> lost)
    {
        foreach (var partition in lost)
        {
            member.Positions.Forget(partition.TopicPartition);
            if (partitions.Of(partition.TopicPartition) is not { } assignment) continue;
            Log.Lost(log, partition.Topic, partition.Partition.Value);
            publisher.Faults.Forget(partition.TopicPartition);
            End(assignment);
        }
    }

    /// <summary>The log does not hold the position: retention was faster than the service, or the topic was recreated.</summary>
    public void OnOutOfRange(PartitionAssignment assignment)
    {
        var (low, high) = member.Positions.Range(assignment.Partition);
        long next = held.Next(assignment);
        if (next > high)
        {
            OnBeyondEnd(assignment, next, high);
            return;
        }
        if (next < low) ReportLost(assignment, next, low);
        member.Fetch(assignment, Math.Max(next, low));
    }

    /// <summary>
    /// The leader's log is shorter than what was read. Another leader may know better; if it does not come, the topic is another one, or an
    /// election that allowed it has cut the log back, and what is written from there on was never read. The topic's id tells.
    /// </summary>
    private void OnBeyondEnd(PartitionAssignment assignment, long next, long end)
    {
        var now = time.GetUtcNow();
        var since = now;
        // Not one that has been read on meanwhile.
        if (assignment.BeyondEnd is { } earlier && earlier.Next == next && now - earlier.Last < CutBackAfter)
            (since, end) = (earlier.Since, Math.Min(earlier.End, end));
        assignment.BeyondEnd = (since, now, next, end);
        if (now - since > CutBackAfter && assignment.IsRestored) _ = AskTopicAsync(assignment);
        member.Fetch(assignment, next);
        member.Pause(assignment.Partition, PauseReason.Retry);
        _ = ResumeAfterAsync(assignment, AskAgainAfter);
    }

    /// <summary>Finishes what was handed on, commits, and ends the assignments; what was held goes back unread.</summary>
    public void Drain(IReadOnlyList<PartitionAssignment> assignments)
    {
        foreach (var assignment in assignments) DropHeld(assignment.Partition);
        using var timeout = new CancellationTokenSource(drainTimeout, time);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, abandoned);
        Task.WhenAll(assignments.Select(assignment => committer.DrainAsync(assignment, member, deadline.Token)))
            .GetAwaiter().GetResult();
        foreach (var assignment in assignments) End(assignment);
    }

    /// <summary>Ends an assignment; what is in flight of it is dropped when it comes back.</summary>
    public void End(PartitionAssignment assignment)
    {
        partitions.End(assignment);
        DropHeld(assignment.Partition);
    }

    /// <summary>A new epoch from the last commit on, restored detectors, and everything in flight dropped.</summary>
    private void Rewind(PartitionAssignment assignment)
    {
        var delay = _backoff.Next(assignment.Partition, assignment.Committed);
        // One line a change of state: attempts that follow the first are those of the same fault.
        bool isRepeated = delay > TimeSpan.Zero;
        Log.Rewound(log, isRepeated ? LogLevel.Debug : LogLevel.Warning, assignment.Partition.Topic, assignment.Partition.Partition.Value,
            assignment.Committed, delay.TotalSeconds);
        var next = Restart(assignment, assignment.Committed, isReset: assignment.IsReset);
        if (!isRepeated) return;
        member.Pause(assignment.Partition, PauseReason.Retry);
        _ = ResumeAfterAsync(next, delay);
    }

    private async Task ResumeAfterAsync(PartitionAssignment assignment, TimeSpan delay)
    {
        await Task.Delay(delay, time);
        partitions.Post(assignment, PartitionAction.Resume, PauseReason.Retry);
    }

    /// <summary>
    /// The topic was recreated under a partition: what was known of its offsets counts no more, and it is read from its start.
    /// </summary>
    private void ResetLog(PartitionAssignment assignment)
    {
        var (low, _) = member.Positions.Range(assignment.Partition);
        Log.LogWasReset(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Ledger.Next, low);
        Restart(assignment, low, isReset: true);
    }

    private async Task AskTopicAsync(PartitionAssignment assignment)
    {
        try
        {
            // Without an answer it is asked again: it is still beyond the end then, or all is well.
            if (await restorer.IsSameTopicAsync(assignment, stopping) is { } isSame)
                partitions.Post(assignment, isSame ? PartitionAction.CutBack : PartitionAction.Reset);
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    /// <summary>What was read at the end of a log is no longer in it: what has been written in its place meanwhile is read.</summary>
    private void CutBack(PartitionAssignment assignment)
    {
        var (low, high) = member.Positions.Range(assignment.Partition);
        long next = held.Next(assignment);
        // Another leader knows better.
        if (high >= next || assignment.BeyondEnd is not { } beyond) return;
        long from = Math.Clamp(beyond.End, low, high);
        Log.LogWasCutBack(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, next, from);
        Restart(assignment, from, isReset: true);
    }

    /// <summary>Ends an assignment and begins another of the same partition.</summary>
    private PartitionAssignment Restart(PartitionAssignment assignment, long offset, bool isReset)
    {
        End(assignment);
        var next = Begin(assignment.Partition, offset, assignment.Watch.End.Offset, lostFrom: null, isReset);
        member.Fetch(next, offset);
        return next;
    }

    private PartitionAssignment Begin(in PartitionStart start) =>
        Begin(start.Partition, start.Start, start.End, start.LostFrom, isBeyondEnd: start.IsBeyondEnd);

    private PartitionAssignment Begin(TopicPartition partition, long start, long end, long? lostFrom, bool isReset = false,
        bool isBeyondEnd = false)
    {
        var assignment = partitions.Begin(partition, start, end, time.GetUtcNow(), isReset, isBeyondEnd);
        if (lostFrom is { } from) ReportLost(assignment, from, start);
        member.PauseAgain(partition);
        Log.Assigned(log, publisher.Faults.Has(partition) ? LogLevel.Debug : LogLevel.Information, partition.Topic,
            partition.Partition.Value, start, assignment.Epoch);
        _ = RestoreAsync(assignment, isBeyondEnd);
        return assignment;
    }

    private async Task RestoreAsync(PartitionAssignment assignment, bool isBeyondEnd)
    {
        try
        {
            await restorer.RestoreAsync(assignment, insists: isBeyondEnd, stopping);
            if (assignment.IsOfAnotherTopic) partitions.Post(assignment, PartitionAction.Reset);
            else partitions.Post(assignment, PartitionAction.Resume, PauseReason.Restore);
        }
        catch (OperationCanceledException)
        {
            // Stopping: the partition stays paused until it is given back.
        }
        catch (Exception e)
        {
            failure.Report(e);
        }
    }

    private void ReportLost(PartitionAssignment assignment, long from, long to)
    {
        Log.LostBeforeRead(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, from, to);
        PipelineTelemetry.CountLostBeforeRead(to - from);
        // The detectors learn it in the frames' order, when they have seen what was read before.
        lock (assignment.Gate) assignment.Lost = (from, to);
        if (!held.Has(assignment.Partition)) assignment.Ledger.SkipTo(to);
    }

    private void DropHeld(TopicPartition partition)
    {
        foreach (var frame in held.Drop(partition)) publisher.Discard(frame);
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 240, Message = "{Topic}[{Partition}] is assigned from offset {Start} on (epoch {Epoch}).")]
        public static partial void Assigned(ILogger log, LogLevel level, string topic, int partition, long start, int epoch);

        [LoggerMessage(241, LogLevel.Information, "{Topic}[{Partition}] is given back, committed up to {Offset}.")]
        public static partial void Revoked(ILogger log, string topic, int partition, long offset);

        [LoggerMessage(242, LogLevel.Warning, "{Topic}[{Partition}] was lost to another member; what was in flight is dropped.")]
        public static partial void Lost(ILogger log, string topic, int partition);

        [LoggerMessage(243, LogLevel.Error, "{Topic}[{Partition}]: offsets {From} to {To} expired before they were read (lostBeforeRead).")]
        public static partial void LostBeforeRead(ILogger log, string topic, int partition, long from, long to);

        [LoggerMessage(244, LogLevel.Error, "{Topic}[{Partition}]: the topic was recreated, since what was read up to offset {Offset} is " +
            "no longer in it. It is read from offset {Start} on, and its cameras' evidence starts afresh.")]
        public static partial void LogWasReset(ILogger log, string topic, int partition, long offset, long start);

        [LoggerMessage(252, LogLevel.Error, "{Topic}[{Partition}]: the brokers have lost what was read up to offset {Offset} " +
            "(unclean.leader.election.enable). It is read from offset {From} on, where it ended, and its cameras' evidence starts afresh.")]
        public static partial void LogWasCutBack(ILogger log, string topic, int partition, long offset, long from);

        [LoggerMessage(EventId = 245, Message = "{Topic}[{Partition}] is read again from offset {Offset} in {Seconds:0.##} s.")]
        public static partial void Rewound(ILogger log, LogLevel level, string topic, int partition, long offset, double seconds);
    }
}
