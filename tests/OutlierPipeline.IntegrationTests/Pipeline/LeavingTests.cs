using System.Diagnostics;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>
/// On Apache Kafka: who leaves the group at a stop and who does not. The sessions are five minutes, longer than a test waits for anything:
/// whoever only waited for one to end would be too late, however busy the machine is.
/// </summary>
[Collection(MeasuredTests.Name)]
public sealed class LeavingTests(SharedKafkaWithLongSessions shared) : IClassFixture<SharedKafkaWithLongSessions>
{
    private const int Partitions = 4;

    private const string Session = "300000";
    private static readonly byte[] Frame = SmallFrames.Drive(1, 1)[0];

    [Theory]
    [InlineData("classic", false)]
    [InlineData("classic", true)]
    [InlineData("consumer", false)]
    [InlineData("consumer", true)]
    public async Task A_replica_that_is_stopped_for_good_gives_its_partitions_to_the_others_at_once(string protocol, bool isStatic)
    {
        LongTests.AskUnless(protocol == "classic" == isStatic);
        using var cluster = await ClusterAsync($"leaving-{protocol}-{isStatic}", protocol);
        await using var first = new RunningPipeline(Options(cluster, isStatic ? "one-0" : null));
        await using var second = new RunningPipeline(Options(cluster, isStatic ? "one-1" : null));
        await SharedAsync(first, second);
        await second.StopAsync(forGood: true);
        var stopped = Stopwatch.StartNew();
        Send(cluster);
        await first.Until(() => cluster.Committed().Values.All(offset => offset == 1), "every partition being read by the other");
        Tell($"{protocol}, {(isStatic ? "static" : "dynamic")}: read and committed {stopped.Elapsed.TotalSeconds:0.0} s after the stop");
    }

    [Theory]
    [InlineData("classic")]
    [InlineData("consumer")]
    public async Task A_static_replica_that_is_restarted_keeps_its_partitions(string protocol)
    {
        LongTests.AskUnless(protocol == "classic");
        using var cluster = await ClusterAsync($"staying-{protocol}", protocol);
        await using var first = new RunningPipeline(Options(cluster, "one-0"));
        await using (var second = new RunningPipeline(Options(cluster, "one-1")))
        {
            await SharedAsync(first, second);
            await second.StopAsync();
        }
        int told = first.Log.Messages.Count();
        Send(cluster);
        await using var again = new RunningPipeline(Options(cluster, "one-1"));
        await again.Until(() => cluster.Committed().Values.All(offset => offset == 1), "every partition being read");
        Assert.Equal(2, again.Partitions);
        Assert.Equal(2, first.Partitions);
        Assert.DoesNotContain(first.Log.Messages.Skip(told), message => message.Contains("is assigned", StringComparison.Ordinal)
            || message.Contains("is given back", StringComparison.Ordinal));
    }

    /// <summary>With the consumer protocol the brokers keep its name for a session, and the next start takes it over.</summary>
    [Theory]
    [InlineData("classic")]
    [InlineData("consumer")]
    public async Task A_static_replica_that_was_killed_reads_again_as_soon_as_it_is_back(string protocol)
    {
        LongTests.AskUnless(protocol == "consumer");
        using var cluster = await ClusterAsync("killed-" + protocol, protocol);
        string[] settings = ["Kafka:InstanceId=one-0", $"Kafka:GroupId={cluster.Group}",
            protocol == "classic" ? $"Kafka:Client:session.timeout.ms={Session}" : $"Kafka:Client:group.protocol={protocol}"];
        await using (var first = new ServiceProcess(cluster.BootstrapServers, settings))
        {
            Send(cluster);
            await first.Until(() => cluster.Committed().Values.All(offset => offset == 1), "the first frames");
        }
        Send(cluster);
        var killed = Stopwatch.StartNew();
        await using var again = new ServiceProcess(cluster.BootstrapServers, settings);
        await again.Until(() => cluster.Committed().Values.All(offset => offset == 2), "the frames after the kill");
        Tell($"{protocol}: read and committed {killed.Elapsed.TotalSeconds:0.0} s after the kill");
    }

    /// <summary>SIGTERM comes with every restart; SIGUSR1 says that the replica is needed no more.</summary>
    [Theory]
    [InlineData(Signals.Terminate, "stays")]
    [InlineData(Signals.User1, "leaves")]
    [InlineData(Signals.Terminate, "is taken out")]
    public async Task A_static_replica_stays_at_SIGTERM_and_leaves_at_SIGUSR1_and_the_tool_takes_one_out(int signal, string what)
    {
        LongTests.AskUnless(what == "leaves");
        using var cluster = await ClusterAsync("signals-" + what.Replace(' ', '-'), "classic");
        await using var first = new RunningPipeline(Options(cluster, "one-0"));
        await using var second = new ServiceProcess(cluster.BootstrapServers, "Kafka:InstanceId=one-1", $"Kafka:GroupId={cluster.Group}",
            $"Kafka:Client:session.timeout.ms={Session}");
        await first.Until(() => first.Partitions == 2 && second.Output.Contains("is restored", StringComparison.Ordinal), "both reading");
        second.Signal(signal);
        Assert.Equal(0, await second.EndAsync());
        if (what == "is taken out")
        {
            string[] leave = ["leave", "--bootstrap", cluster.BootstrapServers, "--group", cluster.Group, "--instance"];
            var wrong = await Tool.OutlierAsync([.. leave, "one-7"]);
            Assert.Equal(1, wrong.Code);
            Assert.Contains($"the group {cluster.Group} has no member one-7; it has one-0, one-1", wrong.Error, StringComparison.Ordinal);
            var right = await Tool.OutlierAsync([.. leave, "one-1"]);
            Assert.True(right.Code == 0, right.Error);
        }
        Send(cluster);
        if (what != "stays")
        {
            await first.Until(() => cluster.Committed().Values.All(offset => offset == 1), "every partition being read");
            Assert.Equal(4, first.Partitions);
            return;
        }
        await first.Until(() => cluster.Committed().Values.Count(offset => offset == 1) == 2, "its own partitions being read");
        await Task.Delay(TimeSpan.FromSeconds(3), TestContext.Current.CancellationToken);
        Assert.Equal(2, first.Partitions);
    }

    private async Task<TestCluster> ClusterAsync(string group, string protocol) =>
        new(await shared.WithTopicsAsync(Partitions), Partitions) { Group = group, Protocol = protocol };

    private static PipelineOptions Options(TestCluster cluster, string? instance)
    {
        var options = cluster.Options();
        options.Kafka.Client.Remove("heartbeat.interval.ms");
        if (options.Kafka.Client.ContainsKey("session.timeout.ms")) options.Kafka.Client["session.timeout.ms"] = Session;
        return options with { Kafka = options.Kafka with { InstanceId = instance } };
    }

    private static Task SharedAsync(RunningPipeline first, RunningPipeline second) => second.Until(() =>
        first.Partitions == 2 && second.Partitions == 2 && first.NotReady.Count == 0 && second.NotReady.Count == 0, "both reading two");

    private static void Send(TestCluster cluster)
    {
        for (int partition = 0; partition < Partitions; partition++) cluster.Produce($"car-{partition}", Frame, partition);
        cluster.Flush();
    }

    private static void Tell(string line) => TestContext.Current.TestOutputHelper?.WriteLine(line);
}
