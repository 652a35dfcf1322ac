using System.Buffers;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Commits a partition: snapshot of its detectors, then the acknowledgement of every result below the snapshot, then the state records,
/// then
/// the offset. Whatever is cut off in between is repeated from the last commit, and a detector ignores what it had seen.
/// </summary>
internal sealed partial class OffsetCommitter(KafkaOptions options, ResultPublisher publisher, TimeSpan forgetAfter, TimeProvider time,
    BrokerHealth health, ILogger log)
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// Commits every current assignment again and again until cancelled. None waits for another: a partition whose dead letter cannot be
    /// written is not committed for as long, the others are.
    /// </summary>
    public async Task RunAsync(PartitionTable partitions, Action<TopicPartitionOffset> commit, CancellationToken cancellation)
    {
        var running = new Dictionary<PartitionAssignment, Task<ErrorCode?>>();
        using var timer = new PeriodicTimer(options.CommitInterval, time);
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
                    running[assignment] = CommitAsync(assignment, commit, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The last commit of each partition is the consumer's, when it has drained them.
            await Task.WhenAll(running.Values.Cast<Task>()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>
    /// Waits until every frame handed on is done, then commits. Where the deadline passes first, or the group takes no commit of this
    /// member any more, what was not committed is repeated elsewhere, and the log says so.
    /// </summary>
    public async Task DrainAsync(PartitionAssignment assignment, Action<TopicPartitionOffset> commit, CancellationToken deadline)
    {
        try
        {
            await Task.WhenAny(assignment.Ledger.WhenAcknowledged(assignment.Ledger.Next), assignment.Ended).WaitAsync(deadline);
            // A group that is still agreeing on who reads what refuses commits for a moment; whoever comes next would repeat what is not
            // committed.
            while (await CommitAsync(assignment, commit, deadline) is { } refusal)
            {
                if (refusal is ErrorCode.UnknownMemberId or ErrorCode.IllegalGeneration or ErrorCode.FencedInstanceId)
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

    /// <summary>One commit of one partition. An error of the broker's is logged, returned, and left to the next one.</summary>
    private async Task<ErrorCode?> CommitAsync(PartitionAssignment assignment, Action<TopicPartitionOffset> commit,
        CancellationToken cancellation)
    {
        if (!await assignment.CommitTurn.WaitAsync(0, CancellationToken.None)) await assignment.CommitTurn.WaitAsync(cancellation);
        try
        {
            // What was not restored is not known, and is neither written nor deleted.
            if (!assignment.IsCurrent || !assignment.IsRestored || assignment.IsOfAnotherTopic) return null;
            var (offset, below, states, alone) = Snapshot(assignment);
            if (offset <= assignment.Committed && states.Count == 0) return null;
            // A rewind ends the assignment, and its results may never be acknowledged: the other partitions must not wait for that.
            await Task.WhenAny(assignment.Ledger.WhenAcknowledged(below), assignment.Ended).WaitAsync(cancellation);
            await Task.WhenAny(alone, assignment.Ended).WaitAsync(cancellation);
            if (!assignment.IsCurrent) return null;
            await Task.WhenAll(states.Select(state => publisher.PublishStateAsync(assignment, state.Camera, state.Record)))
                .WaitAsync(cancellation);
            if (!assignment.IsCurrent || offset <= assignment.Committed) return null;
            // The client waits for the broker's answer, however long: a deadline must not.
            await Task.Run(() => commit(new TopicPartitionOffset(assignment.Partition, offset)), cancellation).WaitAsync(cancellation);
            assignment.Committed = offset;
            return null;
        }
        catch (KafkaException e)
        {
            MarkChanged(assignment);
            if (health.IsNews($"commit {assignment.Partition} {e.Error.Code}"))
                Log.NotCommitted(log, assignment.Partition.Topic, assignment.Partition.Partition.Value, e.Error.Reason);
            return e.Error.Code;
        }
        finally
        {
            assignment.CommitTurn.Release();
        }
    }

    private (long Offset, long Below, List<(string Camera, byte[]? Record)> States, Task Alone) Snapshot(PartitionAssignment assignment)
    {
        var states = new List<(string, byte[]?)>();
        lock (assignment.Gate)
        {
            long offset = assignment.Ledger.ProcessedFrontier;
            long below = offset;
            List<string>? gone = null;
            var now = time.GetUtcNow();
            var forget = now - forgetAfter;
            foreach (var (camera, detector) in assignment.Detectors)
            {
                if (detector.IsForgotten || assignment.Watch.HasCaughtUp && detector.WrittenAt < forget && !detector.HasOpenIncident
                    && !detector.Changed)
                {
                    (gone ??= []).Add(camera);
                    continue;
                }
                if (!detector.Changed) continue;
                var record = new ArrayBufferWriter<byte>(1024);
                detector.WriteState(record, now);
                states.Add((camera, record.WrittenSpan.ToArray()));
                below = Math.Max(below, detector.NextOffset);
            }
            foreach (string camera in gone ?? [])
            {
                assignment.Detectors.Remove(camera);
                states.Add((camera, null));
            }
            foreach (string camera in assignment.Evicted.Where(camera => !assignment.Detectors.ContainsKey(camera)
                && !assignment.Restored.ContainsKey(camera))) states.Add((camera, null));
            assignment.Evicted.Clear();
            // After a reset every camera's state goes with it: a crash in between must not leave the new id beside old offsets.
            if (assignment.TopicId is { } id && (!assignment.IsReset || assignment.IsAwake))
                assignment.Reserve(TopicIdentity.Key, TopicIdentity.Write(id));
            foreach (var (key, (value, isWritten)) in assignment.Reserved.ToArray())
            {
                if (isWritten) continue;
                states.Add((key, value));
                assignment.Reserved[key] = (value, true);
            }
            if (assignment.Watch.HasCaughtUp)
            {
                foreach (string camera in assignment.TakeForgotten(forget)) states.Add((camera, null));
            }
            return (offset, below, states, assignment.Alone);
        }
    }

    private static void MarkChanged(PartitionAssignment assignment)
    {
        lock (assignment.Gate)
        {
            foreach (var detector in assignment.Detectors.Values) detector.MarkChanged();
            foreach (var (key, (value, _)) in assignment.Reserved.ToArray()) assignment.Reserved[key] = (value, false);
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
