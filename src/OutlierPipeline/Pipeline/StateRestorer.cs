using System.Text;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>Reads the state records of a partition to their end, while the partition is paused.</summary>
internal sealed partial class StateRestorer(KafkaOptions options, BrokerHealth health, TopicIdentity identity, WriteFaults faults,
    TimeProvider time, ILogger log)
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Partitions that are read at the same time, each on a thread and with clients of its own.</summary>
    private static readonly SemaphoreSlim Turns = new(16);

    /// <summary>
    /// Fills <see cref="PartitionAssignment.Restored"/> with the latest record of every camera. Tries again while the broker cannot be
    /// reached or a result topic lacks the partition, until the assignment ends.
    /// </summary>
    /// <param name="insists">The topic's id matters, so that it is asked for again.</param>
    public async Task RestoreAsync(PartitionAssignment assignment, bool insists, CancellationToken cancellation)
    {
        bool told = false;
        bool isFaulty = false;
        var delay = RetryAfter;
        while (assignment.IsCurrent && !cancellation.IsCancellationRequested)
        {
            try
            {
                assignment.TopicId = await identity.AskNowAsync(insists, cancellation);
                await Turns.WaitAsync(cancellation);
                try
                {
                    // Not on the pool, which would begin them one after the other: they wait for brokers, and are not waited for at a stop.
                    if (await Task.Factory.StartNew(() => TryRestore(assignment, ref told, cancellation), cancellation,
                        TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(cancellation))
                    {
                        if (isFaulty) faults.Remove(assignment.Partition);
                        assignment.CompleteRestore();
                        return;
                    }
                }
                finally
                {
                    Turns.Release();
                }
            }
            catch (TopicException e)
            {
                isFaulty |= faults.Add(assignment.Partition, e.Topic, e.Error, isRead: e.IsRead);
                delay = TimeSpan.FromTicks(Math.Min(LongestRetry.Ticks, delay.Ticks * 2));
            }
            catch (KafkaException e)
            {
                if (health.IsNews($"restore {assignment.Partition}"))
                    Log.Retry(log, options.StateTopic, assignment.Partition.Partition.Value, e.Error.Reason);
            }
            await Task.Delay(delay, time, cancellation);
        }
    }

    /// <summary>Whether the frames' topic is the one that a partition was read as; null where the brokers do not say now.</summary>
    public Task<bool?> IsSameTopicAsync(PartitionAssignment assignment, CancellationToken cancellation) =>
        identity.IsAsync(assignment.KnownTopicId, cancellation);

    private bool TryRestore(PartitionAssignment assignment, ref bool told, CancellationToken cancellation)
    {
        using var admin = KafkaClients.Admin(options, health);
        if (MissingPartition(admin, assignment.Partition.Partition.Value) is { } topic)
        {
            if (!told) Log.TooFewPartitions(log, topic, assignment.Partition.Partition.Value, options.FramesTopic);
            told = true;
            return false;
        }
        using var reader = KafkaClients.Reader(options, health, readsToEnd: true);
        var partition = new TopicPartition(options.StateTopic, assignment.Partition.Partition);
        var low = reader.QueryWatermarkOffsets(partition, BrokerTimeout).Low;
        // The end with what is not committed yet: a predecessor's last transaction may be decided for its offsets, and not here.
        long end = End(admin, partition);
        if (end <= low.Value) return true;
        reader.Assign(new TopicPartitionOffset(partition, low));
        assignment.Restored.Clear();
        assignment.Reserved.Clear();
        while (true)
        {
            // What is half read must never pass for the whole: cameras that are missing from it would be forgotten.
            if (!assignment.IsCurrent || cancellation.IsCancellationRequested) return false;
            if (Read(reader) is not { } record) continue;
            // The end of the partition, and not the last record's offset: a compacted log has holes, also at its end.
            if (record.IsPartitionEOF)
            {
                if (record.Offset.Value >= end) break;
                // The log was cut back, or is another's of the same name: what was read of it counts no more.
                if (End(admin, partition) < end) return false;
                continue;
            }
            string camera = Encoding.UTF8.GetString(record.Message.Key ?? []);
            if (record.Message.Value is not { Length: > 0 } state)
                _ = assignment.Restored.Remove(camera) || assignment.Reserved.Remove(camera);
            else if (camera.StartsWith('\0')) assignment.Reserved[camera] = (state, true);
            else assignment.Restored[camera] = state;
        }
        reader.Close();
        Log.Restored(log, faults.Has(assignment.Partition) ? LogLevel.Debug : LogLevel.Information, assignment.Partition.Topic,
            assignment.Partition.Partition.Value, assignment.Restored.Count);
        return true;
    }

    /// <exception cref="TopicException">This user may not read the topic.</exception>
    private ConsumeResult<byte[], byte[]>? Read(IConsumer<byte[], byte[]> reader)
    {
        try
        {
            return reader.Consume(TimeSpan.FromMilliseconds(100));
        }
        catch (ConsumeException e) when (e.Error.Code == ErrorCode.TopicAuthorizationFailed)
        {
            throw new TopicException(options.StateTopic, e.Error, isRead: true);
        }
    }

    private static long End(IAdminClient admin, TopicPartition partition)
    {
        var query = new TopicPartitionOffsetSpec { TopicPartition = partition, OffsetSpec = OffsetSpec.Latest() };
        var found = admin.ListOffsetsAsync([query], new ListOffsetsOptions
        {
            RequestTimeout = BrokerTimeout,
            IsolationLevel = IsolationLevel.ReadUncommitted
        }).GetAwaiter().GetResult().ResultInfos.Single().TopicPartitionOffsetError;
        return found.Error.IsError ? throw new KafkaException(found.Error) : found.Offset.Value;
    }

    private string? MissingPartition(IAdminClient admin, int partition)
    {
        foreach (string topic in new[] { options.ScoresTopic, options.AlertsTopic, options.StateTopic })
        {
            var found = admin.GetMetadata(topic, BrokerTimeout).Topics.Single();
            // Not missing, but not to be seen.
            if (found.Error.Code == ErrorCode.TopicAuthorizationFailed) throw new TopicException(topic, found.Error);
            if (found.Partitions.All(known => known.PartitionId != partition)) return topic;
        }
        return null;
    }

    /// <summary>A topic that results go to refuses this user.</summary>
    private sealed class TopicException(string topic, Error error, bool isRead = false) : KafkaException(error)
    {
        public string Topic { get; } = topic;

        /// <summary>Whether it refuses to be read.</summary>
        public bool IsRead { get; } = isRead;
    }

    private static partial class Log
    {
        [LoggerMessage(230, LogLevel.Warning, "The state of {Topic}[{Partition}] cannot be read ({Reason}); trying again.")]
        public static partial void Retry(ILogger log, string topic, int partition, string reason);

        [LoggerMessage(231, LogLevel.Error, "{Topic} has no partition {Partition}, which {Frames} has; the partition pauses until it has " +
            "('outlier check --create' adds it).")]
        public static partial void TooFewPartitions(ILogger log, string topic, int partition, string frames);

        [LoggerMessage(EventId = 232, Message = "{Topic}[{Partition}] is restored: the state of {Cameras} cameras was read.")]
        public static partial void Restored(ILogger log, LogLevel level, string topic, int partition, int cameras);
    }
}
