using Confluent.Kafka;
using OutlierPipeline.Detection;
using OutlierPipeline.Inference;
using OutlierPipeline.Simulation;
using OutlierPipeline.Streaming;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>A broker in the process with the pipeline's topics, and clients to look at them from outside.</summary>
internal sealed class TestCluster : IDisposable
{
    public const string Frames = "camera.frames";
    public const string Scores = "ood.scores";
    public const string Alerts = "ood.alerts";
    public const string State = "ood.state";
    public const string DeadLetters = "camera.frames.dlq";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private readonly IProducer<byte[]?, byte[]?> _producer;
    private readonly int _partitions;

    public TestCluster(int partitions = 4)
    {
        _partitions = partitions;
        foreach (string topic in new[] { Frames, Scores, Alerts, State, DeadLetters }) Broker.CreateTopic(topic, partitions);
        _producer = new ProducerBuilder<byte[]?, byte[]?>(new ProducerConfig { BootstrapServers = Broker.BootstrapServers, LingerMs = 1 }).SetLogHandler((_, _) => { }).Build();
    }

    public MockBroker Broker { get; } = new();

    public PipelineOptions Options() => new()
    {
        Kafka = new KafkaOptions { BootstrapServers = Broker.BootstrapServers, CommitInterval = TimeSpan.FromMilliseconds(100), Client = Client() },
        Model = new ModelOptions { Path = Repository.StreetDemo },
        Inference = new InferenceOptions { Accelerator = Accelerator.Cpu },
        Detection = new DetectionOptions(),
    };

    /// <summary>What this broker needs: it wakes no waiting fetch, and finishes a rebalance only when a session has timed out.</summary>
    private static Dictionary<string, string> Client() => new() { ["fetch.wait.max.ms"] = "5", ["session.timeout.ms"] = "3000", ["heartbeat.interval.ms"] = "300" };

    public void Produce(string? camera, byte[]? frame, int partition = 0, params (string Name, string Value)[] headers) =>
        Produce(camera is null ? null : System.Text.Encoding.UTF8.GetBytes(camera), frame, partition, headers);

    public void Produce(byte[]? key, byte[]? frame, int partition, params (string Name, string Value)[] headers)
    {
        var message = new Message<byte[]?, byte[]?> { Key = key, Value = frame, Headers = [.. headers.Select(header => new Header(header.Name, System.Text.Encoding.UTF8.GetBytes(header.Value)))] };
        while (true)
        {
            try
            {
                _producer.Produce(new TopicPartition(Frames, partition), message);
                return;
            }
            catch (ProduceException<byte[]?, byte[]?> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
            {
                _producer.Flush(TimeSpan.FromSeconds(1));
            }
        }
    }

    /// <summary>Produces an alert's record, as another replica would.</summary>
    public void ProduceAlert(byte[]? record, int partition = 0) =>
        _producer.Produce(new TopicPartition(Alerts, partition), new Message<byte[]?, byte[]?> { Value = record });

    /// <summary>Produces a record of any topic.</summary>
    public void Produce(string topic, string key, byte[]? value, int partition = 0) =>
        _producer.Produce(new TopicPartition(topic, partition), new Message<byte[]?,
            byte[]?> { Key = System.Text.Encoding.UTF8.GetBytes(key), Value = value });

    public void Flush() => _producer.Flush(TimeSpan.FromSeconds(30));

    /// <summary>Everything on some topics, in the order read, as soon as it satisfies a condition.</summary>
    /// <exception cref="TimeoutException">It does not, for a minute and a half.</exception>
    public List<ConsumeResult<string, byte[]>> Read(Func<List<ConsumeResult<string, byte[]>>, bool> until, params string[] topics)
    {
        using var consumer = Consumer("a reader outside");
        consumer.Assign(topics.SelectMany(topic => Enumerable.Range(0, _partitions).Select(partition => new TopicPartitionOffset(topic, partition, Offset.Beginning))));
        var records = new List<ConsumeResult<string, byte[]>>();
        var begun = DateTime.UtcNow;
        while (!until(records))
        {
            if (DateTime.UtcNow - begun > Patience) throw new TimeoutException($"{records.Count} records on {string.Join(", ", topics)} are not what was waited for");
            if (consumer.Consume(TimeSpan.FromMilliseconds(100)) is { } record) records.Add(record);
        }
        return records;
    }

    /// <summary>Everything that is on some topics now.</summary>
    public List<ConsumeResult<string, byte[]>> ReadAll(params string[] topics)
    {
        using var consumer = Consumer("a reader outside");
        var ends = topics.SelectMany(topic => Enumerable.Range(0, _partitions).Select(partition => new TopicPartition(topic, partition)))
            .Select(partition => (Partition: partition, Marks: consumer.QueryWatermarkOffsets(partition, TimeSpan.FromSeconds(10))))
            .Where(end => end.Marks.High > end.Marks.Low).ToDictionary(end => end.Partition, end => end.Marks.High.Value);
        return Read(records =>
        {
            // Each partition by itself: while one is read to its end, others may have grown.
            if (records.Count > 0 && ends.TryGetValue(records[^1].TopicPartition, out long end) && records[^1].Offset >= end - 1) ends.Remove(records[^1].TopicPartition);
            return ends.Count == 0;
        }, topics);
    }

    /// <summary>The group's committed offset of each partition of the frames; -1001 where there is none.</summary>
    public Dictionary<int, long> Committed()
    {
        using var consumer = Consumer(Options().Kafka.GroupId);
        return consumer.Committed(Enumerable.Range(0, _partitions).Select(partition => new TopicPartition(Frames, partition)), TimeSpan.FromSeconds(10)).ToDictionary(offset => offset.Partition.Value, offset => offset.Offset.Value);
    }

    public void Commit(int partition, long offset)
    {
        using var consumer = Consumer(Options().Kafka.GroupId);
        consumer.Commit([new TopicPartitionOffset(Frames, partition, offset)]);
    }

    public void Dispose()
    {
        _producer.Dispose();
        Broker.Dispose();
    }

    private IConsumer<string, byte[]> Consumer(string group)
    {
        var config = new ConsumerConfig { BootstrapServers = Broker.BootstrapServers, GroupId = group, EnableAutoCommit = false, AutoOffsetReset = AutoOffsetReset.Earliest };
        config.Set("fetch.wait.max.ms", "5");
        // Keys that are no text are part of some tests.
        return new ConsumerBuilder<string, byte[]>(config).SetKeyDeserializer(Latin1Keys.Instance).Build();
    }

    private sealed class Latin1Keys : IDeserializer<string>
    {
        public static readonly Latin1Keys Instance = new();

        public string Deserialize(ReadOnlySpan<byte> data, bool isNull, SerializationContext context) => isNull ? "" : System.Text.Encoding.Latin1.GetString(data);
    }
}
