using System.Globalization;
using System.Text.Json;
using Confluent.Kafka;
using OutlierPipeline.Detection;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// Brokers with the pipeline's topics, and clients to look at them from outside. They are in the process; or, where
/// OUTLIER_TESTS_BROKER is <c>kafka</c> or <c>container</c>, an Apache Kafka that is started for the test and ends with it.
/// </summary>
internal sealed class TestCluster : IDisposable
{
    public const string Frames = "camera.frames";
    public const string Scores = "ood.scores";
    public const string Alerts = "ood.alerts";
    public const string State = "ood.state";
    public const string DeadLetters = "camera.frames.dlq";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private readonly IProducer<byte[]?, byte[]?> _producer;
    private readonly ClientUse _use = new();
    private readonly int _partitions;
    private readonly MockBroker? _broker;
    private KafkaServer? _server;

    /// <summary>The brokers that the run is on.</summary>
    public TestCluster(int partitions = 4, int brokers = 1)
        : this(IsOnKafka ? null : new MockBroker(brokers), IsOnKafka ? Launch(partitions, brokers) : null, partitions)
    {
        if (_broker is null) return;
        foreach (string topic in new[] { Frames, Scores, Alerts, State, DeadLetters }) CreateTopic(topic, partitions);
    }

    /// <summary>A broker that runs, with the pipeline's topics.</summary>
    public TestCluster(KafkaServer server, int partitions)
        : this(server.BootstrapServers, partitions)
    {
    }

    /// <summary>A cluster on the broker in the process, or on an Apache Kafka that is started for it and ends with it.</summary>
    public static async Task<TestCluster> StartAsync(bool onKafka, int partitions, int brokers = 1)
    {
        if (!onKafka) return new TestCluster(partitions, brokers);
        var server = await KafkaServer.StartAsync(brokers);
        await server.CreateTopicsAsync(partitions);
        return new TestCluster(server, partitions) { _server = server };
    }

    private TestCluster(MockBroker? broker, KafkaServer? server, int partitions)
        : this(broker?.BootstrapServers ?? server!.BootstrapServers, partitions) => (_broker, _server) = (broker, server);

    /// <summary>Removes a partition's frames below an offset, as retention does; the broker in the process does so by itself.</summary>
    public Task ExpireAsync(int partition, long below) => _server?.ExpireAsync(partition, below) ?? Task.CompletedTask;

    private static KafkaServer Launch(int partitions, int nodes)
    {
        Assert.SkipWhen(IsInContainer && nodes > 1, "there is one broker in a container");
        // Tests say so short sessions to the broker in the process.
        const string Sessions = "group.min.session.timeout.ms=1000";
        var server = Task.Run(() => IsInContainer ? KafkaServer.InContainerAsync(Sessions) : KafkaServer.StartAsync(nodes, Sessions))
            .GetAwaiter().GetResult();
        Task.Run(CreateAsync).GetAwaiter().GetResult();
        return server;

        async Task CreateAsync()
        {
            // As a deployment has them: frames may be large, and states are compacted soon.
            var settings = new Dictionary<string, Dictionary<string, string>>
            {
                [Frames] = new() { ["max.message.bytes"] = "20000000" },
                [State] = new()
                {
                    ["cleanup.policy"] = "compact",
                    ["segment.bytes"] = "33554432",
                    ["segment.ms"] = "600000",
                    ["min.cleanable.dirty.ratio"] = "0.1"
                },
            };
            foreach (string topic in new[] { Frames, Scores, Alerts, State, DeadLetters })
                await server.CreateTopicAsync(topic, partitions, settings.GetValueOrDefault(topic));
        }
    }

    private TestCluster(string bootstrapServers, int partitions)
    {
        BootstrapServers = bootstrapServers;
        _partitions = partitions;
        _producer = new ProducerBuilder<byte[]?, byte[]?>(new ProducerConfig
        {
            BootstrapServers = bootstrapServers,
            LingerMs = 1,
            MessageMaxBytes = 20_000_000
        }).SetLogHandler((_, _) => { }).Build();
    }

    public string BootstrapServers { get; }

    /// <summary>The pipeline's group: by default that of <see cref="KafkaOptions"/>.</summary>
    public string Group { get; init; } = new KafkaOptions().GroupId;

    /// <summary>Who shares the partitions out: a member (<c>classic</c>) or the brokers (<c>consumer</c>).</summary>
    public string Protocol { get; init; } = "classic";

    /// <summary>The brokers in the process, which can be told to fail; skips the test on others.</summary>
    public MockBroker Broker
    {
        get
        {
            Assert.SkipWhen(_broker is null, "Apache Kafka cannot be told to fail so");
            return _broker;
        }
    }

    private static bool IsOnKafka => Environment.GetEnvironmentVariable("OUTLIER_TESTS_BROKER") is "kafka" or "container";

    private static bool IsInContainer => Environment.GetEnvironmentVariable("OUTLIER_TESTS_BROKER") == "container";

    public void CreateTopic(string topic, int partitions)
    {
        if (_broker is null) _server!.CreateTopicAsync(topic, partitions).GetAwaiter().GetResult();
        else _broker.CreateTopic(topic, partitions);
    }

    /// <summary>Takes a node away, or brings it back.</summary>
    /// <param name="node">From 1.</param>
    public async Task SetReachableAsync(int node, bool isReachable)
    {
        if (_broker is not null) _broker.SetReachable(node, isReachable);
        else if (isReachable) await _server!.ReviveAsync(node);
        else await _server!.KillAsync(node);
    }

    public PipelineOptions Options() => new()
    {
        Kafka = new KafkaOptions
        {
            BootstrapServers = BootstrapServers,
            GroupId = Group,
            CommitInterval = TimeSpan.FromMilliseconds(100),
            Client = Client()
        },
        Model = new ModelOptions { Path = Repository.StreetDemo },
        Inference = new InferenceOptions { Accelerator = Accelerator.Cpu },
        Detection = new DetectionOptions(),
    };

    /// <summary>
    /// What the broker in the process needs: it wakes no waiting fetch, and finishes a rebalance only when a session has timed out.
    /// </summary>
    private Dictionary<string, string> Client() =>
        Protocol == "consumer" ? new() { ["topic.metadata.refresh.interval.ms"] = "1000", ["group.protocol"] = Protocol }
        : _broker is null
        ? new() { ["topic.metadata.refresh.interval.ms"] = "1000", ["session.timeout.ms"] = "6000", ["heartbeat.interval.ms"] = "500" }
        : new() { ["fetch.wait.max.ms"] = "5", ["session.timeout.ms"] = "3000", ["heartbeat.interval.ms"] = "300" };

    public void Produce(string? camera, byte[]? frame, int partition = 0, params (string Name, string Value)[] headers) =>
        Produce(camera is null ? null : System.Text.Encoding.UTF8.GetBytes(camera), frame, partition, headers);

    /// <summary>Produces a camera's frames, of which ten were taken a second.</summary>
    public void ProduceDrive(string camera, IEnumerable<byte[]> frames, int partition = 0)
    {
        long time = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;
        foreach (byte[] frame in frames)
            Produce(camera, frame, partition, ("frame-timestamp", (time += 100_000_000).ToString(CultureInfo.InvariantCulture)));
        Flush();
    }

    /// <summary>The same with the record's own timestamp.</summary>
    public void ProduceAt(DateTimeOffset time, string camera, byte[] frame, int partition = 0,
        params (string Name, string Value)[] headers) =>
        Produce(System.Text.Encoding.UTF8.GetBytes(camera), frame, partition, headers, new Timestamp(time));

    public void Produce(byte[]? key, byte[]? frame, int partition, params (string Name, string Value)[] headers) =>
        Produce(key, frame, partition, headers, Timestamp.Default);

    private void Produce(byte[]? key, byte[]? frame, int partition, (string Name, string Value)[] headers, Timestamp time)
    {
        var message = new Message<byte[]?, byte[]?>
        {
            Timestamp = time,
            Key = key,
            Value = frame,
            Headers = [.. headers.Select(header => new Header(header.Name, System.Text.Encoding.UTF8.GetBytes(header.Value)))]
        };
        Send(Frames, partition, message);
    }

    /// <summary>A test that has failed may leave a thread behind that still produces.</summary>
    private void Send(string topic, int partition, Message<byte[]?, byte[]?> message)
    {
        ObjectDisposedException.ThrowIf(!_use.TryEnter(), this);
        try
        {
            while (true)
            {
                try
                {
                    _producer.Produce(new TopicPartition(topic, partition), message);
                    return;
                }
                catch (ProduceException<byte[]?, byte[]?> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
                {
                    _producer.Flush(TimeSpan.FromSeconds(1));
                }
            }
        }
        finally
        {
            _use.Exit();
        }
    }

    /// <summary>Produces an alert's record, as another replica would.</summary>
    public void ProduceAlert(byte[]? record, int partition = 0) =>
        Send(Alerts, partition, new Message<byte[]?, byte[]?> { Value = record });

    /// <summary>Produces a record of any topic.</summary>
    public void Produce(string topic, string key, byte[]? value, int partition = 0) =>
        Send(topic, partition, new Message<byte[]?, byte[]?> { Key = System.Text.Encoding.UTF8.GetBytes(key), Value = value });

    public void Flush() => _producer.Flush(TimeSpan.FromSeconds(30));

    /// <summary>Everything on some topics, in the order read, as soon as it satisfies a condition.</summary>
    /// <exception cref="TimeoutException">It does not, for a minute and a half.</exception>
    public List<ConsumeResult<string, byte[]>> Read(Func<List<ConsumeResult<string, byte[]>>, bool> until, params string[] topics)
    {
        using var consumer = Consumer("a reader outside");
        consumer.Assign(topics.SelectMany(topic =>
            Enumerable.Range(0, _partitions).Select(partition => new TopicPartitionOffset(topic, partition, Offset.Beginning))));
        var records = new List<ConsumeResult<string, byte[]>>();
        var begun = DateTime.UtcNow;
        while (!until(records))
        {
            if (DateTime.UtcNow - begun > Patience)
                throw new TimeoutException($"{records.Count} records on {string.Join(", ", topics)} are not what was waited for");
            if (consumer.Consume(TimeSpan.FromMilliseconds(100)) is { } record) records.Add(record);
        }
        return records;
    }

    /// <summary>Everything that is on some topics now, as far as it is committed.</summary>
    public List<ConsumeResult<string, byte[]>> ReadAll(params string[] topics) => ReadAll(IsolationLevel.ReadCommitted, topics);

    /// <summary>The same, with what was aborted where that is asked for.</summary>
    public List<ConsumeResult<string, byte[]>> ReadAll(IsolationLevel isolation, params string[] topics)
    {
        using var consumer = Consumer("a reader outside", tellsEnds: true, isolation);
        var left = topics.SelectMany(topic => Enumerable.Range(0, _partitions).Select(partition => new TopicPartition(topic, partition)))
            .ToDictionary(partition => partition, partition =>
                consumer.QueryWatermarkOffsets(partition, TimeSpan.FromSeconds(10)).High.Value);
        consumer.Assign(left.Keys.Select(partition => new TopicPartitionOffset(partition, Offset.Beginning)));
        var records = new List<ConsumeResult<string, byte[]>>();
        var begun = DateTime.UtcNow;
        while (left.Count > 0)
        {
            if (DateTime.UtcNow - begun > Patience) throw new TimeoutException($"no end of {string.Join(", ", left.Keys)}");
            if (consumer.Consume(TimeSpan.FromMilliseconds(100)) is not { } record) continue;
            if (!record.IsPartitionEOF) begun = DateTime.UtcNow;
            // Not the last record's offset: behind it lie the marks of transactions.
            if (!record.IsPartitionEOF) records.Add(record);
            else if (left.TryGetValue(record.TopicPartition, out long end) && record.Offset.Value >= end)
                left.Remove(record.TopicPartition);
        }
        return records;
    }

    /// <summary>
    /// A group's committed offset of each partition of the frames; -1001 where there is none. While a transaction of a process that was
    /// killed is open the coordinator tells nothing.
    /// </summary>
    /// <param name="group">The pipeline's, unless it is given.</param>
    public Dictionary<int, long> Committed(string? group = null) => Asked(group ?? Group, consumer =>
        consumer.Committed(Enumerable.Range(0, _partitions).Select(partition => new TopicPartition(Frames, partition)),
            // Asked for longer, it would answer late.
            TimeSpan.FromSeconds(1)).ToDictionary(offset => offset.Partition.Value, offset => offset.Offset.Value));

    /// <summary>Where each partition of the frames ends, behind the marks of transactions.</summary>
    public Dictionary<int, long> Ends() => Asked("a reader outside", consumer =>
        Enumerable.Range(0, _partitions).ToDictionary(partition => partition, partition =>
            consumer.QueryWatermarkOffsets(new TopicPartition(Frames, partition), TimeSpan.FromSeconds(10)).High.Value));

    /// <summary>Which frames have a score, as often as they have one, in order of partition and offset.</summary>
    public List<(int Partition, long Offset)> Scored() =>
        [.. ReadAll(Scores).Select(record => JsonDocument.Parse(record.Message.Value).RootElement)
            .Select(score => (score.GetProperty("partition").GetInt32(), score.GetProperty("offset").GetInt64())).Order()];

    private T Asked<T>(string group, Func<IConsumer<string, byte[]>, T> question)
    {
        using var consumer = Consumer(group);
        var begun = DateTime.UtcNow;
        while (true)
        {
            try
            {
                return question(consumer);
            }
            catch (KafkaException) when (DateTime.UtcNow - begun < Patience)
            {
                // A broker that has just started leads nothing yet, and is nobody's coordinator.
                Thread.Sleep(100);
            }
        }
    }

    public void Commit(int partition, long offset)
    {
        using var consumer = Consumer(Group);
        consumer.Commit([new TopicPartitionOffset(Frames, partition, offset)]);
    }

    public void Dispose()
    {
        if (_use.HasEnded(TimeSpan.FromSeconds(5))) _producer.Dispose();
        _broker?.Dispose();
        _server?.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private IConsumer<string, byte[]> Consumer(string group, bool tellsEnds = false,
        IsolationLevel isolation = IsolationLevel.ReadCommitted)
    {
        var config = new ConsumerConfig
        {
            BootstrapServers = BootstrapServers,
            GroupId = group,
            EnableAutoCommit = false,
            AutoOffsetReset = AutoOffsetReset.Earliest,
            EnablePartitionEof = tellsEnds,
            IsolationLevel = isolation
        };
        config.Set("fetch.wait.max.ms", "5");
        // Keys that are no text are part of some tests.
        return new ConsumerBuilder<string, byte[]>(config).SetKeyDeserializer(Latin1Keys.Instance).Build();
    }

    private sealed class Latin1Keys : IDeserializer<string>
    {
        public static readonly Latin1Keys Instance = new();

        public string Deserialize(ReadOnlySpan<byte> data, bool isNull, SerializationContext context) =>
            isNull ? "" : System.Text.Encoding.Latin1.GetString(data);
    }
}
