using System.Collections.Concurrent;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Where a partition's log begins and ends, and where this group reads it; asked of the brokers until they answer. For the consumer's thread,
/// except <see cref="Awaited"/>.
/// </summary>
/// <param name="calls">The consumer's calls on other threads.</param>
internal sealed partial class PartitionPositions(IConsumer<CameraKey, RentedPayload> consumer, ClientUse calls, StartFrom startFrom,
    BrokerHealth health, ILogger log, CancellationToken stopping)
{
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(200);

    /// <summary>For all partitions together, and for one; so short that a stop, and the partitions behind one, do not wait.</summary>
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ShortSlice = TimeSpan.FromMilliseconds(100);

    /// <summary>Partitions whose positions are asked for, and in which question.</summary>
    private readonly Dictionary<TopicPartition, object> _open = [];
    private readonly ConcurrentQueue<(object Question, PartitionStart Start)> _found = [];
    private volatile int _awaited;

    /// <summary>Partitions whose positions are not known yet. For any thread.</summary>
    public int Awaited => _awaited;

    /// <summary>
    /// Asks where partitions that are assigned now are to be read. It is done on a thread of its own: the offsets of a member that was killed
    /// are not told before the brokers have ended its transaction, and nobody else's partitions wait for that.
    /// </summary>
    public void Ask(List<TopicPartition> partitions)
    {
        if (partitions.Count == 0) return;
        object question = new();
        foreach (var partition in partitions) _open[partition] = question;
        _awaited = _open.Count;
        _ = Task.Factory.StartNew(() => Answer(question, partitions), CancellationToken.None, TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
    }

    /// <summary>What has been answered and is still awaited; each is no longer when the next is taken.</summary>
    public IEnumerable<PartitionStart> Found()
    {
        while (_found.TryDequeue(out var found))
        {
            var partition = found.Start.Partition;
            // Taken back, and perhaps assigned and asked for again.
            if (_open.GetValueOrDefault(partition) != found.Question) continue;
            yield return found.Start;
            Forget(partition);
        }
    }

    /// <summary>A partition was taken back before its position was known.</summary>
    public void Forget(TopicPartition partition)
    {
        _open.Remove(partition);
        _awaited = _open.Count;
    }

    /// <summary>The first offset of a partition's log, and the one that its next record will have.</summary>
    public (long Low, long High) Range(TopicPartition partition)
    {
        while (true)
        {
            try
            {
                return Range(partition, BrokerTimeout);
            }
            catch (KafkaException e) when (!e.Error.IsFatal && !stopping.IsCancellationRequested)
            {
                Report(e);
                Thread.Sleep(RetryAfter);
            }
        }
    }

    private void Answer(object question, List<TopicPartition> left)
    {
        while (true)
        {
            // As a rule all are told at once. Where they are not, one that is not told keeps no other waiting.
            left = Without(left, Starts(left, Slice));
            foreach (var partition in left.ToArray()) left = Without(left, Starts([partition], ShortSlice));
            if (left.Count == 0 || stopping.IsCancellationRequested || calls.IsOver) return;
            Thread.Sleep(RetryAfter);
        }

        List<TopicPartition> Without(List<TopicPartition> asked, IReadOnlyList<PartitionStart> starts)
        {
            foreach (var start in starts) _found.Enqueue((question, start));
            return [.. asked.Except(starts.Select(start => start.Partition))];
        }
    }

    /// <summary>Where partitions are to be read; of those whose position is not told in time, nothing.</summary>
    private List<PartitionStart> Starts(List<TopicPartition> partitions, TimeSpan timeout)
    {
        var starts = new List<PartitionStart>();
        if (partitions.Count == 0 || stopping.IsCancellationRequested || !calls.TryEnter()) return starts;
        try
        {
            foreach (var position in consumer.Committed(partitions, timeout))
            {
                if (stopping.IsCancellationRequested) break;
                var (low, high) = Range(position.TopicPartition, Slice);
                high = Math.Max(low, high);
                long stored = position.Offset.Value;
                long start = stored switch
                {
                    < 0 => startFrom == StartFrom.Earliest ? low : high,
                    _ => Math.Max(stored, low),
                };
                starts.Add(new PartitionStart(position.TopicPartition, stored, start, high));
            }
        }
        catch (KafkaException e)
        {
            // What is fatal is told to the consumer's thread too.
            if (!stopping.IsCancellationRequested) Report(e);
        }
        finally
        {
            calls.Exit();
        }
        return starts;
    }

    private (long Low, long High) Range(TopicPartition partition, TimeSpan timeout)
    {
        var watermarks = consumer.QueryWatermarkOffsets(partition, timeout);
        return (Math.Max(0, watermarks.Low.Value), watermarks.High.Value);
    }

    private void Report(KafkaException e)
    {
        if (health.IsNews("positions " + e.Error.Code)) Log.Retried(log, e.Error.Reason);
    }

    private static partial class Log
    {
        [LoggerMessage(247, LogLevel.Warning, "Asking Kafka for positions: {Reason}; trying again.")]
        public static partial void Retried(ILogger log, string reason);
    }
}

/// <summary>Where a partition is to be read from.</summary>
/// <param name="Stored">What the group has committed; negative if nothing.</param>
/// <param name="Start">The first offset to be read.</param>
/// <param name="End">The partition's end now.</param>
internal readonly record struct PartitionStart(TopicPartition Partition, long Stored, long Start, long End)
{
    /// <summary>
    /// The log ends before what was committed: the topic was recreated, or its leader is a new one that does not know yet how much of its
    /// log is committed.
    /// </summary>
    public bool IsBeyondEnd => Stored > End;

    /// <summary>The first offset that expired before it was read; null if none did.</summary>
    public long? LostFrom => Stored >= 0 && Stored < Start ? Stored : null;
}
