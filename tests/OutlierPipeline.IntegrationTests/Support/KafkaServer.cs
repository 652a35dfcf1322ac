using System.Diagnostics;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using DotNet.Testcontainers.Builders;
using Testcontainers.Kafka;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// Apache Kafka on this machine, where one is to be found: retention, compaction, transactions, rights and recreated topics are shown on
/// it, since the broker in the process has none of these. One node or three; each is a broker and a controller. Or one in a container,
/// which tests cannot kill.
/// </summary>
internal sealed class KafkaServer : IAsyncDisposable
{
    private const string ClusterId = "MkU3OEVBNTcwNTJENDM2Qk";
    private static readonly string[] Topics =
        [TestCluster.Frames, TestCluster.Scores, TestCluster.Alerts, TestCluster.State, TestCluster.DeadLetters];
    private readonly TestDirectory _directory = new();
    private readonly Dictionary<string, string> _client;
    private readonly Node[] _nodes;
    private readonly string[] _java;
    private readonly KafkaContainer? _container;

    private KafkaServer(int nodes, Dictionary<string, string> client, string[] java) =>
        (_client, _java, _nodes) = (client, java, [.. Enumerable.Range(1, nodes).Select(id => new Node(id, Ports.Free(), Ports.Free()))]);

    private KafkaServer(KafkaContainer container)
        : this(0, [], []) => _container = container;

    /// <summary>Why there is no Kafka here; null where there is one.</summary>
    public static string? Missing =>
        Home is null ? $"no Apache Kafka here (KAFKA_HOME, a folder with libs/, or {Path.Combine("..", "shared", "kafka")})"
        : Repository.Has("java") ? null : "java is not on this machine, which Apache Kafka needs";

    public string BootstrapServers => _container?.GetBootstrapAddress() ?? string.Join(',', _nodes.Select(node => node.Address));

    public int Nodes => Math.Max(1, _nodes.Length);

    private static string? Home =>
        new[] { Environment.GetEnvironmentVariable("KAFKA_HOME"), Path.Combine(Repository.Root, "..", "shared", "kafka") }
        .FirstOrDefault(directory => directory is not null && Directory.Exists(Path.Combine(directory, "libs")));

    /// <summary>Sends a node a signal.</summary>
    public void Signal(int signal, int node = 1) => Signals.Send(Of(node).Process!.Id, signal);

    /// <summary>Starts one node, or several; the test is skipped where there is no Kafka or no Java.</summary>
    /// <param name="properties">Further server properties.</param>
    public static Task<KafkaServer> StartAsync(int nodes = 1, params string[] properties)
    {
        Assert.SkipWhen(Missing is not null, Missing ?? "");
        return LaunchAsync(properties, [], [], nodes);
    }

    /// <summary>Starts one in a container; the test is skipped where no container engine answers.</summary>
    public static async Task<KafkaServer> InContainerAsync(params string[] properties)
    {
        string[] all =
        [
            "auto.create.topics.enable=false", "group.initial.rebalance.delay.ms=0", "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", .. properties,
        ];
        try
        {
            var container = new KafkaBuilder("apache/kafka:4.1.0").WithEnvironment(all.Select(line => line.Split('=', 2)).ToDictionary(
                pair => "KAFKA_" + pair[0].Replace('.', '_').ToUpperInvariant(), pair => pair[1])).Build();
            await container.StartAsync(TestContext.Current.CancellationToken);
            return new KafkaServer(container);
        }
        catch (DockerUnavailableException)
        {
            Assert.Skip("no container engine answers on this machine");
            throw;
        }
    }

    /// <summary>Starts a Kafka that must be there.</summary>
    /// <param name="properties">Further server properties, which win; @PORT@ and @CPORT@ stand for the node's port as a broker and as a
    /// controller.</param>
    /// <param name="format">Further arguments of the storage tool.</param>
    /// <param name="client">librdkafka's properties of a user who may everything.</param>
    /// <param name="java">Further arguments of Java.</param>
    public static async Task<KafkaServer> LaunchAsync(string[] properties, string[] format, Dictionary<string, string> client,
        int nodes = 1, string[]? java = null)
    {
        var server = new KafkaServer(nodes, client, java ?? []);
        await Task.WhenAll(server._nodes.Select(node => server.FormatAsync(node, properties, format)));
        foreach (var node in server._nodes) server.Run(node);
        foreach (var node in server._nodes) await server.UntilAnsweredAsync(node);
        return server;
    }

    /// <summary>Ends a node at once, as a lost machine does.</summary>
    public async Task KillAsync(int node = 1)
    {
        using var process = Of(node).Process!;
        process.Kill();
        await process.WaitForExitAsync();
        Of(node).Process = null;
    }

    /// <summary>Starts a node that was killed.</summary>
    /// <returns>When it answers; of several, a majority must run for that.</returns>
    public Task ReviveAsync(int node = 1)
    {
        Run(Of(node));
        return UntilAnsweredAsync(Of(node));
    }

    public IAdminClient Admin() => Admin(BootstrapServers);

    /// <summary>The pipeline's topics.</summary>
    public async Task CreateTopicsAsync(int partitions)
    {
        foreach (string topic in Topics) await CreateTopicAsync(topic, partitions);
    }

    /// <param name="settings">The topic's own, such as <c>max.message.bytes</c>.</param>
    public async Task CreateTopicAsync(string topic, int partitions, Dictionary<string, string>? settings = null)
    {
        using var admin = Admin();
        for (int tries = 0; ; tries++)
        {
            try
            {
                await admin.CreateTopicsAsync([new TopicSpecification
                {
                    Name = topic,
                    NumPartitions = partitions,
                    ReplicationFactor = (short)Nodes,
                    Configs = settings
                }]);
                return;
            }
            catch (CreateTopicsException) when (tries < 100)
            {
                // One of the same name is still being deleted.
                await Task.Delay(100);
            }
        }
    }

    /// <summary>Changes one setting of a topic.</summary>
    public async Task SetAsync(string topic, string name, string value)
    {
        using var admin = Admin();
        await admin.IncrementalAlterConfigsAsync(new Dictionary<ConfigResource, List<ConfigEntry>>
        {
            [new ConfigResource { Type = ResourceType.Topic, Name = topic }] =
                [new ConfigEntry { Name = name, Value = value, IncrementalOperation = AlterConfigOpType.Set }]
        });
    }

    public async Task DeleteTopicAsync(string topic)
    {
        using var admin = Admin();
        await admin.DeleteTopicsAsync([topic]);
    }

    /// <summary>Deletes the pipeline's topics, as far as they are there.</summary>
    public async Task DeleteTopicsAsync()
    {
        using var admin = Admin();
        string[] there = [.. admin.GetMetadata(TimeSpan.FromSeconds(30)).Topics.Select(topic => topic.Topic).Intersect(Topics)];
        if (there.Length > 0) await admin.DeleteTopicsAsync(there);
    }

    /// <summary>Removes the records of a partition below an offset, as retention does.</summary>
    public async Task ExpireAsync(int partition, long below)
    {
        using var admin = Admin();
        await admin.DeleteRecordsAsync([new TopicPartitionOffset(TestCluster.Frames, partition, below)]);
    }

    /// <summary>A topic's records on the first node's disk, in bytes; not its indices, which are made of a fixed size.</summary>
    public long BytesOf(string topic) => Directory.EnumerateDirectories(_directory.File("data-1"), $"{topic}-*")
        .SelectMany(partition => new DirectoryInfo(partition).EnumerateFiles("*.log")).Sum(file => file.Exists ? file.Length : 0);

    /// <summary>
    /// Cuts the first node's log of a topic's first partition back, as an unclean election does; the node must not run. It finds out by
    /// itself what is left.
    /// </summary>
    public void CutBack(string topic, long bytes)
    {
        string log = Path.Combine(_directory.File("data-1"), $"{topic}-0");
        foreach (string file in Directory.EnumerateFiles(log, "0*"))
        {
            if (!file.EndsWith(".log", StringComparison.Ordinal)) File.Delete(file);
            else using (var segment = File.OpenWrite(file)) segment.SetLength(bytes);
        }
    }

    /// <summary>Waits until a group has no member: those it had were not heard of for their session.</summary>
    public async Task UntilGroupIsEmptyAsync(string group)
    {
        using var admin = Admin();
        var begun = Stopwatch.StartNew();
        while ((await admin.DescribeConsumerGroupsAsync([group])).ConsumerGroupDescriptions.Single().Members.Count > 0)
        {
            Assert.True(begun.Elapsed < TimeSpan.FromSeconds(60), $"the group {group} still has a member");
            await Task.Delay(200);
        }
    }

    /// <summary>Waits until every node has a copy of every partition, so that any of them may be lost.</summary>
    public async Task UntilInSyncAsync()
    {
        using var admin = Admin();
        var begun = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                var topics = admin.GetMetadata(TimeSpan.FromSeconds(5)).Topics;
                if (topics.All(topic => topic.Partitions.All(partition => partition.InSyncReplicas.Length == Nodes))) return;
            }
            catch (KafkaException)
            {
                // The node that was asked is on its way.
            }
            Assert.True(begun.Elapsed < TimeSpan.FromMinutes(3), "the nodes' copies are not in sync");
            await Task.Delay(200);
        }
    }

    /// <summary>Makes the nodes that partitions prefer their leaders again.</summary>
    public async Task ElectAsync()
    {
        using var admin = Admin();
        try
        {
            await admin.ElectLeadersAsync(ElectionType.Preferred, null, new ElectLeadersOptions());
        }
        catch (ElectLeadersException)
        {
            // Some were led by them already.
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes.Where(node => node.Process is { HasExited: false })) await KillAsync(node.Id);
        if (_container is not null) await _container.DisposeAsync();
        _directory.Dispose();
    }

    private Node Of(int node)
    {
        Assert.SkipWhen(_container is not null, "a broker in a container is not killed or halted");
        return _nodes[node - 1];
    }

    private IAdminClient Admin(string servers) => new AdminClientBuilder(new AdminClientConfig(_client)
    {
        BootstrapServers = servers,
        // A node that is on its way is asked again soon.
        ReconnectBackoffMaxMs = 500
    }).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();

    private string PropertiesOf(Node node) => _directory.File($"server-{node.Id}.properties");

    private async Task FormatAsync(Node node, string[] properties, string[] format)
    {
        // One copy on each node, and one node may be away.
        int copies = _nodes.Length, least = Math.Max(1, copies - 1);
        string[] lines =
        [
            "process.roles=broker,controller", $"node.id={node.Id}",
            $"controller.quorum.voters={string.Join(',', _nodes.Select(voter => $"{voter.Id}@127.0.0.1:{voter.ControllerPort}"))}",
            "controller.listener.names=CONTROLLER",
            "listeners=PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CPORT@",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            $"log.dirs={_directory.File($"data-{node.Id}")}", "auto.create.topics.enable=false", "group.initial.rebalance.delay.ms=0",
            $"default.replication.factor={copies}", $"min.insync.replicas={least}", $"offsets.topic.replication.factor={copies}",
            $"offsets.topic.num.partitions={2 * copies}", $"transaction.state.log.replication.factor={copies}",
            $"transaction.state.log.min.isr={least}", $"transaction.state.log.num.partitions={copies}", "broker.session.timeout.ms=6000",
            // Groups that the brokers share out: as quick as the others.
            "group.consumer.min.session.timeout.ms=3000", "group.consumer.session.timeout.ms=6000",
            "group.consumer.min.heartbeat.interval.ms=500", "group.consumer.heartbeat.interval.ms=1000",
            "log.retention.check.interval.ms=500", "log.initial.task.delay.ms=500", "log.cleaner.backoff.ms=500", .. properties,
        ];
        await File.WriteAllLinesAsync(PropertiesOf(node), lines.Select(line =>
            line.Replace("@PORT@", $"{node.Port}", StringComparison.Ordinal)
            .Replace("@CPORT@", $"{node.ControllerPort}", StringComparison.Ordinal)));
        using var formatting = Java(["kafka.tools.StorageTool", "format", "-t", ClusterId, "-c", PropertiesOf(node), .. format]);
        await formatting.WaitForExitAsync();
    }

    private void Run(Node node) => node.Process = Java("kafka.Kafka", PropertiesOf(node));

    private async Task UntilAnsweredAsync(Node node)
    {
        using var admin = Admin(node.Address);
        var begun = Stopwatch.StartNew();
        while (true)
        {
            if (node.Process!.HasExited)
                throw new InvalidOperationException($"Kafka did not start: {await node.Process.StandardError.ReadToEndAsync()}");
            try
            {
                if (admin.GetMetadata(TimeSpan.FromSeconds(1)).Brokers.Any(broker => broker.BrokerId == node.Id)) return;
            }
            catch (KafkaException) when (begun.Elapsed < TimeSpan.FromMinutes(3))
            {
                // It is still on its way.
            }
            await Task.Delay(100);
        }
    }

    private Process Java(params string[] arguments)
    {
        var start = new ProcessStartInfo("java") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])["-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            $"-Dkafka.logs.dir={_directory.File("logs")}", .. _java, "-cp", Path.Combine(Home!, "libs", "*"),
            .. arguments]) start.ArgumentList.Add(argument);
        var process = Process.Start(start)!;
        // What it prints is read, or it would wait for a reader.
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        return process;
    }

    private sealed record Node(int Id, int Port, int ControllerPort)
    {
        public string Address => $"127.0.0.1:{Port}";

        public Process? Process { get; set; }
    }
}
