using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Commits a partition: snapshot of its detectors, then the acknowledgement of every result below the snapshot, then the state records,
/// then
/// the offset. Whatever is cut off in between is repeated from the last commit, and a detector ignores what it had seen.
/// </summary>
internal sealed partial class OffsetCommitter(KafkaOptions options, ResultPublisher publisher, TimeSpan forgetAfter, TimeProvider time,
    BrokerHealth health, ILogger log) : ICommitter
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(50);

    private volatile string? _fault;

    /// <inheritdoc/>
    public string? Fault => _fault;

    /// <inheritdoc/>
    public Task BeginAsync(CancellationToken cancellation) => Task.CompletedTask;

    /// <summary>
    /// Commits every current assignment again and again until cancelled. None waits for another: a partition whose dead letter cannot be
    /// written is not committed for as long, the others are.
    /// </summary>
    public async Task RunAsync(PartitionTable partitions, FrameConsumer consumer, CancellationToken cancellation)
    {
        var running = new Dictionary<PartitionAssignment, Task<ErrorCode?>>();
        using var timer = new PeriodicTimer(options.CommitEvery, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellation))
            {
                foreach (var (assignment, last) in running.Where(pair => pair.Value.IsCompleted).ToList())
                {
                    await last;
                    running.Remove(assignment);
                }
                foreach (var assignment in partitions.Current.Where(assignment => !running.ContainsKey(assignment)))
                    running[assignment] = CommitAsync(assignment, consumer.Commit, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The last commit of each partition is the consumer's, when it has drained them.
            await Task.WhenAll(running.Values.Cast<Task>()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <inheritdoc/>
    public async Task DrainAsync(PartitionAssignment assignment, GroupMember member, CancellationToken deadline)
    {
        try
        {
            await Task.WhenAny(assignment.Ledger.WhenAcknowledged(assignment.Ledger.Next), assignment.Ended).WaitAsync(deadline);
            // A group that is still agreeing on who reads what refuses commits for a moment; whoever comes next would repeat what is not
            // committed.
            while (await CommitAsync(assignment, member.Commit, deadline) is { } refusal)
            {
                if (GroupMember.IsGivenUp(refusal))
                {
                    Log.NotDrained(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed,
                        "the group went on without this member");
                    return;
                }
                await Task.Delay(RetryAfter, time, deadline);
            }
        }
        catch (OperationCanceledException)
        {
            Log.NotDrained(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, assignment.Committed,
                $"it took longer than Kafka:DrainTimeout ({options.DrainTimeout})");
        }
    }

    public void Dispose()
    {
        // Its clients are the consumer's and the publisher's.
    }

    /// <summary>One commit of one partition. An error of the broker's is logged, returned, and left to the next one.</summary>
    private async Task<ErrorCode?> CommitAsync(PartitionAssignment assignment, Action<TopicPartitionOffset> commit,
        CancellationToken cancellation)
    {
        if (!await assignment.CommitTurn.WaitAsync(0, CancellationToken.None)) await assignment.CommitTurn.WaitAsync(cancellation);
        bool isStateWritten = false;
        try
        {
            // What was not restored is not known, and is neither written nor deleted.
            if (!assignment.IsCurrent || !assignment.IsRestored || assignment.IsOfAnotherTopic) return null;
            var (offset, below, states, alone) = PartitionSnapshot.Take(assignment, forgetAfter, time.GetUtcNow());
            if (offset <= assignment.Committed && states.Count == 0) return null;
            // A rewind ends the assignment, and its results may never be acknowledged: the other partitions must not wait for that.
            await Task.WhenAny(assignment.Ledger.WhenAcknowledged(below), assignment.Ended).WaitAsync(cancellation);
            await Task.WhenAny(alone, assignment.Ended).WaitAsync(cancellation);
            if (!assignment.IsCurrent) return null;
            await Task.WhenAll(states.Select(state => publisher.PublishStateAsync(assignment, state.Camera, state.Record)))
                .WaitAsync(cancellation);
            isStateWritten = true;
            if (!assignment.IsCurrent) return null;
            publisher.Faults.Remove(assignment.Partition);
            if (offset <= assignment.Committed) return null;
            // The client waits for the broker's answer, however long: a deadline must not.
            await Task.Run(() => commit(new TopicPartitionOffset(assignment.Partition, offset)), cancellation).WaitAsync(cancellation);
            assignment.Committed = offset;
            _fault = null;
            return null;
        }
        catch (KafkaException e)
        {
            PartitionSnapshot.MarkChanged(assignment);
            if (!isStateWritten && e.Error.Code == ErrorCode.TopicAuthorizationFailed)
            {
                publisher.Faults.Add(assignment.Partition, options.StateTopic, e.Error);
                return e.Error.Code;
            }
            if (e.Error.Code is ErrorCode.GroupAuthorizationFailed or ErrorCode.TopicAuthorizationFailed)
                _fault = $"offsets cannot be committed: not authorized ({e.Error.Reason})";
            if (health.IsNews($"commit {assignment.Partition} {e.Error.Code}"))
                Log.NotCommitted(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, e.Error.Reason);
            return e.Error.Code;
        }
        finally
        {
            assignment.CommitTurn.Release();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(220, LogLevel.Warning,
            "The offset of {Topic}[{Partition}] could not be committed ({Reason}); trying again with the next commit.")]
        public static partial void NotCommitted(ILogger log, string topic, int partition, string reason);

        [LoggerMessage(221, LogLevel.Warning, "{Topic}[{Partition}] is given back without a last commit, since {Reason}: whoever reads " +
            "it next repeats it from offset {Offset} on.")]
        public static partial void NotDrained(ILogger log, string topic, int partition, long offset, string reason);
    }
}
