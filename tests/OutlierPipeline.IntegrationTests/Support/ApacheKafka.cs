using System.Diagnostics;
using System.Net.Sockets;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// A broker of Apache Kafka with SCRAM and ACLs: found through KAFKA_HOME, or beside the repository; its tests are skipped where there is none, or no Java. 'admin' may
/// everything, 'nobody' nothing that a test has not allowed.
/// </summary>
public sealed class ApacheKafka : IAsyncLifetime
{
    private const string ClusterId = "MkU3OEVBNTcwNTJENDM2Qk";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private readonly string _directory = Directory.CreateTempSubdirectory("kafka-test-").FullName;
    private readonly int _port = Ports.Free();
    private string? _missing;
    private Process? _broker;

    public string Servers => $"127.0.0.1:{_port}";

    /// <summary>librdkafka's properties of a user, as <c>--client</c> takes them.</summary>
    public static string[] Login(string user, string? password = null) =>
        ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=SCRAM-SHA-512", $"sasl.username={user}", $"sasl.password={password ?? Password(user)}"];

    /// <summary>The same as the parameters of an address.</summary>
    public static string Query(string user, string? password = null) => string.Join('&', Login(user, password));

    public async ValueTask InitializeAsync()
    {
        string? home = new[] { Environment.GetEnvironmentVariable("KAFKA_HOME"), Path.Combine(Repository.Root, "..", "shared", "kafka") }.FirstOrDefault(directory => directory is not null && Directory.Exists(Path.Combine(directory, "libs")));
        if (home is null) _missing = "no Apache Kafka here (KAFKA_HOME, a folder with libs/)";
        else if (!Repository.Has("java")) _missing = "java is not on this machine, which Apache Kafka needs";
        if (_missing is not null) return;
        string libraries = Path.Combine(home!, "libs", "*");
        string properties = Path.Combine(_directory, "server.properties");
        await File.WriteAllTextAsync(properties, Properties(Ports.Free()));
        var formatted = await Tool.RunAsync("java", ["-cp", libraries, "kafka.tools.StorageTool", "format", "-t", ClusterId, "-c", properties, .. new[] { "admin", "nobody" }.SelectMany(user => new[] { "--add-scram", $"SCRAM-SHA-512=[name={user},password={Password(user)}]" })]);
        Assert.True(formatted.Code == 0, formatted.Output + formatted.Error);
        var start = new ProcessStartInfo("java", ["-Xmx512m", "-XX:+UseSerialGC", "-cp", libraries, "kafka.Kafka", properties]) { WorkingDirectory = _directory, RedirectStandardOutput = true, RedirectStandardError = true };
        _broker = Process.Start(start)!;
        _broker.OutputDataReceived += (_, _) => { };
        _broker.ErrorDataReceived += (_, _) => { };
        _broker.BeginOutputReadLine();
        _broker.BeginErrorReadLine();
        await UntilItAnswersAsync();
    }

    /// <summary>Skips the test where there is no broker.</summary>
    public void Needed() => Assert.SkipWhen(_missing is not null, _missing ?? "");

    public IAdminClient Admin()
    {
        var config = new AdminClientConfig(Login("admin").Select(pair => pair.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1])) { BootstrapServers = Servers };
        return new AdminClientBuilder(config).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
    }

    /// <summary>Lets 'nobody' do something.</summary>
    public async Task AllowAsync(ResourceType type, string name, ResourcePatternType pattern, params AclOperation[] operations)
    {
        using var admin = Admin();
        await admin.CreateAclsAsync(operations.Select(operation => new AclBinding
        {
            Pattern = new ResourcePattern { Type = type, Name = name, ResourcePatternType = pattern },
            Entry = new AccessControlEntry { Principal = "User:nobody", Host = "*", Operation = operation, PermissionType = AclPermissionType.Allow },
        }));
    }

    public ValueTask DisposeAsync()
    {
        if (_broker is not null)
        {
            _broker.Kill();
            _broker.WaitForExit();
            _broker.Dispose();
        }
        Directory.Delete(_directory, recursive: true);
        return ValueTask.CompletedTask;
    }

    private static string Password(string user) => user + "-password";

    private string Properties(int controller) => $"""
        process.roles=broker,controller
        node.id=1
        controller.quorum.voters=1@127.0.0.1:{controller}
        controller.listener.names=CONTROLLER
        listeners=CLIENTS://127.0.0.1:{_port},CONTROLLER://127.0.0.1:{controller}
        listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
        inter.broker.listener.name=CLIENTS
        sasl.enabled.mechanisms=SCRAM-SHA-512
        sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
        listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="{Password("admin")}";
        authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
        super.users=User:admin;User:ANONYMOUS
        log.dirs={Path.Combine(_directory, "data")}
        offsets.topic.replication.factor=1
        offsets.topic.num.partitions=1
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        transaction.state.log.num.partitions=1
        group.initial.rebalance.delay.ms=0
        auto.create.topics.enable=false
        """;

    private async Task UntilItAnswersAsync()
    {
        var begun = Stopwatch.StartNew();
        while (true)
        {
            Assert.False(_broker!.HasExited, "Apache Kafka ended");
            Assert.True(begun.Elapsed < Patience, "Apache Kafka does not answer");
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync("127.0.0.1", _port);
                using var admin = Admin();
                if (admin.GetMetadata(TimeSpan.FromSeconds(5)).Brokers.Count > 0) return;
            }
            catch (Exception e) when (e is SocketException or KafkaException)
            {
                await Task.Delay(100);
            }
        }
    }
}
