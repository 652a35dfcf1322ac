using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>Where a partition's log begins and ends, and where this group reads it; asked of the brokers until they answer.</summary>
internal sealed partial class PartitionPositions(IConsumer<CameraKey, RentedPayload> consumer, StartFrom startFrom, BrokerHealth health,
    ILogger log, CancellationToken stopping)
{
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(200);

    /// <summary>Where partitions that are assigned now are to be read.</summary>
    public IEnumerable<PartitionStart> Starts(List<TopicPartition> partitions)
    {
        foreach (var position in Retried(() => consumer.Committed(partitions, BrokerTimeout)))
        {
            var (low, high) = Range(position.TopicPartition);
            high = Math.Max(low, high);
            long stored = position.Offset.Value;
            long start = stored switch
            {
                < 0 => startFrom == StartFrom.Earliest ? low : high,
                _ => Math.Max(stored, low),
            };
            yield return new PartitionStart(position.TopicPartition, stored, start, high);
        }
    }

    /// <summary>The first offset of a partition's log, and the one that its next record will have.</summary>
    public (long Low, long High) Range(TopicPartition partition)
    {
        var watermarks = Retried(() => consumer.QueryWatermarkOffsets(partition, BrokerTimeout));
        return (Math.Max(0, watermarks.Low.Value), watermarks.High.Value);
    }

    private T Retried<T>(Func<T> request)
    {
        while (true)
        {
            try
            {
                return request();
            }
            catch (KafkaException e) when (!e.Error.IsFatal && !stopping.IsCancellationRequested)
            {
                if (health.IsNews("positions " + e.Error.Code)) Log.Retried(log, e.Error.Reason);
                Thread.Sleep(RetryAfter);
            }
        }
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
