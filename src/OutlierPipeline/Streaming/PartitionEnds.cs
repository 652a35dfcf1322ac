using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Streaming;

/// <summary>
/// Asks the brokers again and again where the assigned partitions end. What the consumer's own fetches say of it stands still in an outage, and would take an outage for silence.
/// </summary>
internal sealed class PartitionEnds(KafkaOptions options, TimeProvider time, ILogger log)
{
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(5);

    /// <summary>When the brokers answered last; default before the first answer.</summary>
    public DateTimeOffset AnsweredAt { get; private set; }

    /// <summary>Measures until cancelled; what the broker does not answer is asked again.</summary>
    public async Task RunAsync(Func<IReadOnlyCollection<PartitionAssignment>> assignments, CancellationToken cancellation)
    {
        using var admin = KafkaClients.Admin(options, log);
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                var current = assignments();
                if (current.Count == 0) continue;
                try
                {
                    await MeasureAsync(admin, current, cancellation);
                }
                catch (KafkaException)
                {
                    // The clients log what they cannot reach; the next round asks again.
                }
            }
            while (await timer.WaitForNextTickAsync(cancellation));
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Stopping.
        }
    }

    private async Task MeasureAsync(IAdminClient admin, IReadOnlyCollection<PartitionAssignment> assignments, CancellationToken cancellation)
    {
        var asked = time.GetUtcNow();
        var query = assignments.Select(assignment => new TopicPartitionOffsetSpec { TopicPartition = assignment.Partition, OffsetSpec = OffsetSpec.Latest() });
        var result = await admin.ListOffsetsAsync(query, new ListOffsetsOptions { RequestTimeout = BrokerTimeout, IsolationLevel = IsolationLevel.ReadCommitted }).WaitAsync(cancellation);
        var ends = result.ResultInfos.Where(info => !info.TopicPartitionOffsetError.Error.IsError)
            .ToDictionary(info => info.TopicPartitionOffsetError.TopicPartition, info => info.TopicPartitionOffsetError.Offset.Value);
        AnsweredAt = time.GetUtcNow();
        foreach (var assignment in assignments)
        {
            if (ends.TryGetValue(assignment.Partition, out long end)) assignment.Watch.Measure(end, asked, assignment.Ledger.ProcessedFrontier);
        }
    }
}
