using System.Diagnostics;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// Apache Kafka on this machine, where one is to be found: retention, compaction and recreated topics are shown on it, since the broker in
/// the process has none of these.
/// </summary>
internal sealed class KafkaServer : IAsyncDisposable
{
    private const string ClusterId = "MkU3OEVBNTcwNTJENDM2Qk";
    private readonly TestDirectory _directory = new();
    private readonly Dictionary<string, string> _client;
    private readonly int _port = Ports.Free();
    private Process? _process;

    private KafkaServer(Dictionary<string, string> client) => _client = client;

    /// <summary>Why there is no Kafka here; null where there is one.</summary>
    public static string? Missing =>
        Home is null ? $"no Apache Kafka here (KAFKA_HOME, a folder with libs/, or {Path.Combine("..", "shared", "kafka")})"
        : Repository.Has("java") ? null : "java is not on this machine, which Apache Kafka needs";

    public string BootstrapServers => $"127.0.0.1:{_port}";

    private static string? Home =>
        new[] { Environment.GetEnvironmentVariable("KAFKA_HOME"), Path.Combine(Repository.Root, "..", "shared", "kafka") }
        .FirstOrDefault(directory => directory is not null && Directory.Exists(Path.Combine(directory, "libs")));

    /// <summary>Sends the broker a signal.</summary>
    public void Signal(int signal) => Signals.Send(_process!.Id, signal);

    /// <summary>Starts a broker; the test is skipped where there is no Kafka or no Java.</summary>
    public static Task<KafkaServer> StartAsync()
    {
        Assert.SkipWhen(Missing is not null, Missing ?? "");
        return LaunchAsync([], [], []);
    }

    /// <summary>Starts a broker that must be there.</summary>
    /// <param name="properties">Further server properties, which win; @PORT@ and @CPORT@ stand for the broker's and the controller's
    /// port.</param>
    /// <param name="format">Further arguments of the storage tool.</param>
    /// <param name="client">librdkafka's properties of a user who may everything.</param>
    public static async Task<KafkaServer> LaunchAsync(string[] properties, string[] format, Dictionary<string, string> client)
    {
        var server = new KafkaServer(client);
        int controller = Ports.Free();
        string[] lines =
        [
            "process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@127.0.0.1:@CPORT@",
            "controller.listener.names=CONTROLLER",
            "listeners=PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CPORT@",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            $"log.dirs={server._directory.File("data")}", "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=2",
                "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=1", "auto.create.topics.enable=false",
                "group.initial.rebalance.delay.ms=0",
            "log.retention.check.interval.ms=500", "log.initial.task.delay.ms=500", .. properties,
        ];
        string file = server._directory.File("server.properties");
        await File.WriteAllLinesAsync(file, lines.Select(line =>
            line.Replace("@PORT@", $"{server._port}", StringComparison.Ordinal)
            .Replace("@CPORT@", $"{controller}", StringComparison.Ordinal)));
        using (var formatting = server.Java(["kafka.tools.StorageTool", "format", "-t", ClusterId, "-c", file, .. format]))
            await formatting.WaitForExitAsync();
        await server.ReviveAsync();
        return server;
    }

    /// <summary>Ends the broker at once, as a lost machine does.</summary>
    public async Task KillAsync()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    public async Task ReviveAsync()
    {
        _process = Java("kafka.Kafka", _directory.File("server.properties"));
        await UntilAnsweredAsync();
    }

    public IAdminClient Admin() => new AdminClientBuilder(new AdminClientConfig(_client) { BootstrapServers = BootstrapServers })
        .SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();

    /// <summary>The pipeline's topics.</summary>
    public async Task CreateTopicsAsync(int partitions)
    {
        foreach (string topic in new[] { TestCluster.Frames, TestCluster.Scores, TestCluster.Alerts, TestCluster.State,
            TestCluster.DeadLetters }) await CreateTopicAsync(topic, partitions);
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
                    ReplicationFactor = 1,
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

    /// <summary>Removes the records of a partition below an offset, as retention does.</summary>
    public async Task ExpireAsync(int partition, long below)
    {
        using var admin = Admin();
        await admin.DeleteRecordsAsync([new TopicPartitionOffset(TestCluster.Frames, partition, below)]);
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

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false }) await KillAsync();
        _directory.Dispose();
    }

    private async Task UntilAnsweredAsync()
    {
        using var admin = Admin();
        var begun = Stopwatch.StartNew();
        while (true)
        {
            if (_process!.HasExited)
                throw new InvalidOperationException($"Kafka did not start: {await _process.StandardError.ReadToEndAsync()}");
            try
            {
                if (admin.GetMetadata(TimeSpan.FromSeconds(1)).Brokers.Count > 0) return;
            }
            catch (KafkaException) when (begun.Elapsed < TimeSpan.FromSeconds(60))
            {
                await Task.Delay(100);
            }
        }
    }

    private Process Java(params string[] arguments)
    {
        var start = new ProcessStartInfo("java") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])["-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            $"-Dkafka.logs.dir={_directory.File("logs")}", "-cp", Path.Combine(Home!, "libs", "*"),
            .. arguments]) start.ArgumentList.Add(argument);
        var process = Process.Start(start)!;
        // What it prints is read, or it would wait for a reader.
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        return process;
    }
}
