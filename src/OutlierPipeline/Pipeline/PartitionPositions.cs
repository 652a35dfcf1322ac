using System.Collections.Concurrent;
using System.Diagnostics;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Where a partition's log begins and ends, and where this group reads it; asked of the brokers until they answer. For the consumer's
/// thread.
/// </summary>
internal sealed partial class PartitionPositions(KafkaOptions options, IConsumer<CameraKey, RentedPayload> consumer,
    PartitionTable partitions, PipelineFailure failure, BrokerHealth health, ILogger log, CancellationToken stopping)
{
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(200);

    /// <summary>For so long all partitions are waited for; then one that is not told holds up no other.</summary>
    private static readonly TimeSpan Together = TimeSpan.FromMilliseconds(500);

    /// <summary>For so long the client may need to begin what was assigned.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Partitions whose positions are asked for, and in which question.</summary>
    private readonly ConcurrentDictionary<TopicPartition, object> _open = [];
    private readonly ConcurrentQueue<(object Question, PartitionStart Start, long At)> _found = [];

    /// <summary>Asks where partitions that are assigned now are to be read.</summary>
    /// <returns>
    /// Those that are told at once. The others are asked for on, and nothing waits for it: the offsets of a member that was killed are not
    /// told before the brokers have ended its transaction, and those of a log not before it has a leader.
    /// </returns>
    public List<PartitionStart> Ask(List<TopicPartition> assigned)
    {
        if (assigned.Count == 0) return [];
        // A client of its own: the consumer's may go while it is asked. Of this one each call has ended when it goes.
        var admin = KafkaClients.Admin(options, health);
        var told = StartsAsync(admin, assigned, Together).GetAwaiter().GetResult();
        object question = new();
        List<TopicPartition> left = [.. assigned.Except(told.Select(start => start.Partition))];
        foreach (var partition in left) _open[partition] = question;
        partitions.Awaited = _open.Count;
        _ = Task.Run(() => AnswerAsync(admin, question, left), CancellationToken.None);
        return told;
    }

    /// <summary>What has been answered since and is still awaited.</summary>
    /// <param name="begin">Begins a partition, at its last attempt in any case; false if there must be another.</param>
    public void Begin(Func<PartitionStart, bool, bool> begin)
    {
        for (int left = _found.Count; left > 0 && _found.TryDequeue(out var found); left--)
        {
            if (!IsOpen(found.Start.Partition, found.Question)) continue;
            if (begin(found.Start, Stopwatch.GetElapsedTime(found.At) > Patience)) Forget(found.Start.Partition);
            else _found.Enqueue(found);
        }
    }

    /// <summary>A partition is no longer awaited.</summary>
    public void Forget(TopicPartition partition)
    {
        _open.TryRemove(partition, out _);
        partitions.Awaited = _open.Count;
    }

    /// <summary>The first offset of a partition's log, and the one that its next record will have.</summary>
    public (long Low, long High) Range(TopicPartition partition)
    {
        while (true)
        {
            try
            {
                var watermarks = consumer.QueryWatermarkOffsets(partition, BrokerTimeout);
                return (Math.Max(0, watermarks.Low.Value), watermarks.High.Value);
            }
            catch (KafkaException e) when (!e.Error.IsFatal && !stopping.IsCancellationRequested)
            {
                Report(e);
                Thread.Sleep(RetryAfter);
            }
        }
    }

    /// <summary>Not taken back meanwhile, nor assigned and asked for again.</summary>
    private bool IsOpen(TopicPartition partition, object question) => _open.GetValueOrDefault(partition) == question;

    private async Task AnswerAsync(IAdminClient client, object question, List<TopicPartition> left)
    {
        using var admin = client;
        try
        {
            await Task.WhenAll(left.Select(PersistAsync));
        }
        catch (Exception e)
        {
            failure.Report(e);
        }

        async Task PersistAsync(TopicPartition partition)
        {
            while (IsOpen(partition, question) && !stopping.IsCancellationRequested)
            {
                if (await StartsAsync(admin, [partition], BrokerTimeout) is [var start])
                {
                    _found.Enqueue((question, start, Stopwatch.GetTimestamp()));
                    return;
                }
                await Task.Delay(RetryAfter, CancellationToken.None);
            }
        }
    }

    /// <summary>Where partitions are to be read; of those whose position is not told in time, nothing.</summary>
    private async Task<List<PartitionStart>> StartsAsync(IAdminClient admin, List<TopicPartition> asked, TimeSpan timeout)
    {
        try
        {
            var stored = await CommittedAsync(admin, asked, timeout);
            if (stored.Count == 0) return [];
            var ranges = await Task.WhenAll(OffsetsAsync(admin, stored.Keys, OffsetSpec.Earliest(), timeout),
                OffsetsAsync(admin, stored.Keys, OffsetSpec.Latest(), timeout));
            var (lows, highs) = (ranges[0], ranges[1]);
            return [.. stored.Where(pair => lows.ContainsKey(pair.Key) && highs.ContainsKey(pair.Key))
                .Select(pair => Start(pair.Key, pair.Value, lows[pair.Key], highs[pair.Key]))];
        }
        catch (KafkaException e)
        {
            if (!stopping.IsCancellationRequested) Report(e);
            return [];
        }
    }

    private PartitionStart Start(TopicPartition partition, long stored, long low, long high)
    {
        high = Math.Max(low, high);
        long start = stored switch
        {
            < 0 => options.StartFrom == StartFrom.Earliest ? low : high,
            _ => Math.Max(stored, low),
        };
        return new PartitionStart(partition, stored, start, high);
    }

    /// <summary>What the group has committed, negative for nothing; without partitions of which it is not decided yet.</summary>
    private async Task<Dictionary<TopicPartition, long>> CommittedAsync(IAdminClient admin, List<TopicPartition> asked, TimeSpan timeout)
    {
        List<TopicPartitionOffsetError> found;
        try
        {
            var results = await admin.ListConsumerGroupOffsetsAsync([new ConsumerGroupTopicPartitions(options.GroupId, asked)],
                new ListConsumerGroupOffsetsOptions { RequireStableOffsets = true, RequestTimeout = timeout });
            return results.Single().Partitions.ToDictionary(one => one.TopicPartition, one => one.Offset.Value);
        }
        catch (ListConsumerGroupOffsetsException e)
        {
            var report = e.Results.Single();
            if (report.Error.IsError) throw new KafkaException(report.Error);
            found = report.Partitions;
        }
        return found.Where(one => !one.Error.IsError).ToDictionary(one => one.TopicPartition, one => one.Offset.Value);
    }

    /// <summary>Offsets of logs' beginnings or ends; without those that are not told.</summary>
    private static async Task<Dictionary<TopicPartition, long>> OffsetsAsync(IAdminClient admin, IEnumerable<TopicPartition> asked,
        OffsetSpec which, TimeSpan timeout)
    {
        List<ListOffsetsResultInfo> found;
        try
        {
            found = (await admin.ListOffsetsAsync(asked.Select(partition =>
                new TopicPartitionOffsetSpec { TopicPartition = partition, OffsetSpec = which }),
                new ListOffsetsOptions { RequestTimeout = timeout, IsolationLevel = IsolationLevel.ReadCommitted })).ResultInfos;
        }
        catch (ListOffsetsException e)
        {
            found = e.Result.ResultInfos;
        }
        return found.Select(info => info.TopicPartitionOffsetError).Where(one => !one.Error.IsError)
            .ToDictionary(one => one.TopicPartition, one => Math.Max(0, one.Offset.Value));
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
