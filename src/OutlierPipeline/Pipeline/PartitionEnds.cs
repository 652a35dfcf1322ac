using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Asks the brokers again and again where the assigned partitions end. What the consumer's own fetches say of it stands still in an outage,
/// and would take an outage for silence.
/// </summary>
/// <param name="partitions">Told of a partition whose topic was recreated while it was read.</param>
internal sealed class PartitionEnds(KafkaOptions options, PartitionTable partitions, BrokerHealth health,
    TopicIdentity identity, AddedPartitions added, TimeProvider time)
{
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Every so many rounds the topic's id is asked for.</summary>
    private const int IdentityRounds = 10;

    /// <summary>Every so many rounds the topic's partitions are counted.</summary>
    private const int CountingRounds = 4;

    private int _round;

    /// <summary>Measures until cancelled; what the broker does not answer is asked again.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var admin = KafkaClients.Admin(options, health);
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                var current = partitions.Current;
                try
                {
                    await MeasureAsync(admin, current, cancellation);
                }
                catch (ListOffsetsException e) when (e.Result.ResultInfos.Any(info => info.TopicPartitionOffsetError.Error.IsBrokerError))
                {
                    // Such as that this user may not see the topic: whoever reads it says so.
                    health.NoteAnswer();
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

    private async Task MeasureAsync(IAdminClient admin, IReadOnlyCollection<PartitionAssignment> assignments,
        CancellationToken cancellation)
    {
        var asked = time.GetUtcNow();
        if (assignments.Count == 0)
        {
            // A replica that has no share, and hears of the brokers all the same.
            if (++_round % CountingRounds != 0) return;
            await added.LookAsync(admin, cancellation);
            health.NoteAnswer();
            return;
        }
        var query = assignments.Select(assignment =>
            new TopicPartitionOffsetSpec { TopicPartition = assignment.Partition, OffsetSpec = OffsetSpec.Latest() });
        var result = await admin.ListOffsetsAsync(query, new ListOffsetsOptions
        {
            RequestTimeout = BrokerTimeout,
            IsolationLevel = IsolationLevel.ReadCommitted
        });
        // Not sooner: the client may not go while it is asked.
        cancellation.ThrowIfCancellationRequested();
        var ends = result.ResultInfos.Where(info => !info.TopicPartitionOffsetError.Error.IsError)
            .ToDictionary(info => info.TopicPartitionOffsetError.TopicPartition, info => info.TopicPartitionOffsetError.Offset.Value);
        health.NoteAnswer();
        foreach (var assignment in assignments)
        {
            if (!ends.TryGetValue(assignment.Partition, out long end)) continue;
            // An end before what was read says nothing of the topic: a new leader, or one with too few copies, may lag behind. But a topic
            // that was not known when reading began is that of the id only where it holds what was read.
            if (end >= assignment.Ledger.Next) assignment.TopicId ??= identity.Id;
            assignment.Watch.Measure(end, asked, assignment.Ledger.ProcessedFrontier);
        }
        if (++_round % CountingRounds == 0) await added.LookAsync(admin, cancellation);
        if (_round % IdentityRounds != 0) return;
        identity.AskAgain();
        foreach (var assignment in assignments.Where(assignment => assignment.IsRestored && identity.Id is not null))
        {
            if (assignment.IsOfAnotherTopic || (assignment.KnownTopicId is { } known && known != identity.Id))
                partitions.Post(assignment, PartitionAction.Reset);
        }
    }
}
