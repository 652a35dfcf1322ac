using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>Builds the librdkafka clients from <see cref="KafkaOptions"/>, with the settings on which the promises rest.</summary>
internal static partial class KafkaClients
{
    /// <summary>How long whoever reads committed records waits, in milliseconds, for what a crash left open; unless it is set.</summary>
    public const string TransactionTimeout = "10000";

    public static IConsumer<CameraKey, RentedPayload> FrameConsumer(
        KafkaOptions options,
        CameraKeys keys,
        PayloadBudget budget,
        BrokerHealth health,
        Func<IConsumer<CameraKey, RentedPayload>, List<TopicPartition>, IEnumerable<TopicPartitionOffset>> assigned,
        Action<IConsumer<CameraKey, RentedPayload>, List<TopicPartitionOffset>> revoked,
        Action<IConsumer<CameraKey, RentedPayload>, List<TopicPartitionOffset>> lost,
        Action<Error> failed)
    {
        var config = new ConsumerConfig(Common(options))
        {
            GroupId = options.GroupId,
            GroupInstanceId = options.Instance,
            EnableAutoCommit = false,
            EnableAutoOffsetStore = false,
            // Positions are chosen in the assign handler; one that the log no longer holds is an outcome, never a silent reset.
            AutoOffsetReset = AutoOffsetReset.Error,
            // Tells when a partition is read to its end, behind control records and holes.
            EnablePartitionEof = true,
            IsolationLevel = IsolationLevel.ReadCommitted,
        };
        // librdkafka's own queue counts into the memory bound: 64 MiB by default there, for every consumer.
        SetDefault(config, options, "queued.max.messages.kbytes", "16384");
        // Partitions that are added to the topic are seen so soon; librdkafka's own is five minutes.
        SetDefault(config, options, "topic.metadata.refresh.interval.ms", "10000");
        if (!options.HasBrokersGroups)
        {
            config.PartitionAssignmentStrategy = PartitionAssignmentStrategy.CooperativeSticky;
            // A process that was killed is waited for by its successor for so long; the least that brokers allow by default.
            if (options.Instance is null) SetDefault(config, options, "session.timeout.ms", "6000");
            // The others hear so soon that a member has left.
            SetDefault(config, options, "heartbeat.interval.ms", "1000");
        }
        return Built(new ConsumerBuilder<CameraKey, RentedPayload>(config)
            .SetKeyDeserializer(keys)
            .SetValueDeserializer(budget)
            .SetLogHandler((_, message) => Forward(health, message))
            .SetErrorHandler((_, error) =>
            {
                if (error.IsFatal) failed(error);
                health.NoteError(error);
            })
            .SetPartitionsAssignedHandler(assigned)
            .SetPartitionsRevokedHandler(revoked)
            .SetPartitionsLostHandler(lost)
            .Build);
    }

    /// <summary>A member of the classic protocol in the place of a static one.</summary>
    /// <param name="joined">The group has given it its share.</param>
    public static IConsumer<byte[], byte[]> StandIn(KafkaOptions options, string instance, BrokerHealth health, Action joined)
    {
        var common = Common(options);
        common.Remove(KafkaOptions.GroupProtocol);
        var config = new ConsumerConfig(common)
        {
            GroupId = options.GroupId,
            GroupInstanceId = instance,
            PartitionAssignmentStrategy = PartitionAssignmentStrategy.CooperativeSticky,
            EnableAutoCommit = false,
        };
        return Built(new ConsumerBuilder<byte[], byte[]>(config)
            .SetLogHandler((_, message) => Forward(health, message))
            .SetErrorHandler((_, error) => health.NoteError(error))
            .SetPartitionsAssignedHandler((_, assigned) =>
            {
                joined();
                // It reads nothing.
                return assigned.Select(partition => new TopicPartitionOffset(partition, Offset.End));
            })
            .Build);
    }

    /// <summary>A consumer outside the group.</summary>
    /// <param name="readsToEnd">It ends there, and does not wait for more.</param>
    public static IConsumer<byte[], byte[]> Reader(KafkaOptions options, BrokerHealth health, bool readsToEnd = false)
    {
        var config = new ConsumerConfig(Common(options))
        {
            GroupId = options.GroupId,
            EnableAutoCommit = false,
            EnableAutoOffsetStore = false,
            AutoOffsetReset = AutoOffsetReset.Earliest,
            IsolationLevel = IsolationLevel.ReadCommitted,
            EnablePartitionEof = true,
        };
        // The broker tells of a log's end when it has waited so long for more, half a second by default.
        if (readsToEnd) SetDefault(config, options, "fetch.wait.max.ms", "10");
        return Built(new ConsumerBuilder<byte[], byte[]>(config)
            .SetLogHandler((_, message) => Forward(health, message))
            .SetErrorHandler((_, error) => health.NoteError(error))
            .Build);
    }

    public static IProducer<byte[], byte[]> Producer(KafkaOptions options, BrokerHealth health)
    {
        var config = new ProducerConfig(Common(options)) { EnableIdempotence = true, Acks = Acks.All };
        // A millisecond joins the results of one batch in one request and costs little of the latency.
        SetDefault(config, options, "linger.ms", "1");
        SetDefault(config, options, "compression.type", "lz4");
        return Built(new ProducerBuilder<byte[], byte[]>(config)
            .SetLogHandler((_, message) => Forward(health, message))
            .SetErrorHandler((_, error) => health.NoteError(error))
            .Build);
    }

    /// <summary>A producer whose records are seen, by who reads committed ones, when their transaction is.</summary>
    /// <param name="id">Fences whoever had it before.</param>
    public static IProducer<byte[], byte[]> Transactional(KafkaOptions options, string id, BrokerHealth health)
    {
        var config = new ProducerConfig(Common(options)) { TransactionalId = id };
        SetDefault(config, options, "linger.ms", "1");
        SetDefault(config, options, "compression.type", "lz4");
        SetDefault(config, options, "transaction.timeout.ms", TransactionTimeout);
        // A topic that is gone is said so soon: the records of other partitions wait in the same transaction.
        SetDefault(config, options, "topic.metadata.propagation.max.ms", "1000");
        return Built(new ProducerBuilder<byte[], byte[]>(config)
            .SetLogHandler((_, message) => Forward(health, message))
            .SetErrorHandler((_, error) => health.NoteError(error))
            .Build);
    }

    /// <param name="errors">Hears what the client says, beside the log.</param>
    public static IAdminClient Admin(KafkaOptions options, BrokerHealth health, Action<Error>? errors = null) =>
        Built(new AdminClientBuilder(new AdminClientConfig(Common(options)))
            .SetLogHandler((_, message) => Forward(health, message))
            .SetErrorHandler((_, error) =>
            {
                errors?.Invoke(error);
                health.NoteError(error);
            })
            .Build);

    /// <summary>The cluster's own id; null if it does not tell one in time.</summary>
    public static string? ClusterId(KafkaOptions options, TimeSpan patience) => Librdkafka.ClusterId(Common(options), patience);

    private static Dictionary<string, string> Common(KafkaOptions options)
    {
        var config = new Dictionary<string, string>(options.Client)
        {
            ["bootstrap.servers"] = options.BootstrapServers,
        };
        config.TryAdd("client.id", "outlier-pipeline");
        // librdkafka takes it in lower case alone.
        if (options.HasBrokersGroups) config[KafkaOptions.GroupProtocol] = "consumer";
        return config;
    }

    /// <exception cref="PipelineException">librdkafka knows no such property, or the value is not one of its.</exception>
    private static T Built<T>(Func<T> build)
    {
        try
        {
            return build();
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            throw new PipelineException($"Kafka:Client cannot be used: {e.Message}");
        }
    }

    private static void SetDefault(ClientConfig config, KafkaOptions options, string key, string value)
    {
        if (!options.Client.ContainsKey(key)) config.Set(key, value);
    }

    /// <remarks>What each attempt at something would say again is told once.</remarks>
    private static void Forward(BrokerHealth health, LogMessage message) =>
        Log.Librdkafka(health.Log, message.Level <= SyslogLevel.Critical && health.IsNews("librdkafka " + message.Message)
            ? LogLevel.Error : LogLevel.Debug, message.Facility, message.Message);

    private static partial class Log
    {
        [LoggerMessage(EventId = 201, Message = "librdkafka {Facility}: {Message}")]
        public static partial void Librdkafka(ILogger log, LogLevel level, string facility, string message);
    }
}
