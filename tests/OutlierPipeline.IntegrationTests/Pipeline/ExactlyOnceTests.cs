using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On Apache Kafka: whoever reads committed records sees each result once, whatever happens to the service.</summary>
[Collection(MeasuredTests.Name)]
public sealed class ExactlyOnceTests
{
    private const int Partitions = 4;
    private static readonly byte[][] Street = SmallFrames.FullDrive(1, 40);
    private static readonly byte[][] Fog = SmallFrames.FullDrive(1, 40, Trouble.Fog);
    private long _time = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;

    [Fact]
    public async Task A_service_that_is_killed_again_and_again_under_load_writes_every_result_once()
    {
        // In every run, ChaosTests kill it too.
        LongTests.Ask();
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(Partitions);
        using var cluster = new TestCluster(kafka, Partitions);
        const int Rounds = 400;
        var producing = Task.Run(async () =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                Send(cluster, i);
                await Task.Delay(50);
            }
        }, TestContext.Current.CancellationToken);
        const int Kills = 4;
        for (int life = 0; life <= Kills; life++)
        {
            long before = Done(cluster);
            var begun = Stopwatch.StartNew();
            await using var service = new ServiceProcess(cluster.BootstrapServers, "Kafka:Delivery=ExactlyOnce", "Kafka:InstanceId=one-0");
            await service.Until(() => Done(cluster) > before, $"life {life} committing something");
            if (life > 0) Assert.True(begun.Elapsed < TimeSpan.FromSeconds(10), $"life {life} scored nothing for {begun.Elapsed}");
            if (life == Kills)
            {
                await service.Until(() => producing.IsCompleted && Done(cluster) == Rounds * Partitions, "everything being committed");
                break;
            }
            await service.Until(() => Done(cluster) > before + 100, $"life {life} being under way");
            if (life != 1) continue;
            // One of them is asked to stop: it drains and commits what it has.
            service.Signal(Signals.Terminate);
            Assert.Equal(0, await service.EndAsync());
            Assert.DoesNotContain("without a last commit", service.Output, StringComparison.Ordinal);
        }
        AssertOnce(cluster, Rounds);
    }

    [Fact]
    public async Task A_dead_letter_that_cannot_be_written_holds_up_its_own_partition_and_no_other()
    {
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(2);
        // No dead letter is so small, whatever is left out of it.
        await kafka.SetAsync(TestCluster.DeadLetters, "max.message.bytes", "120");
        using var cluster = new TestCluster(kafka, 2);
        using var metrics = new MetricRecorder();
        await using var pipeline = new RunningPipeline(Exactly(cluster));
        for (int i = 0; i < 40; i++) cluster.Produce($"car-{i % 2}", i == 21 ? [1, 2, 3] : Street[i], i % 2);
        cluster.Flush();
        await pipeline.Until(() => cluster.Committed()[0] == 20, "the sound partition being committed");
        await pipeline.Until(() => pipeline.NotReady.Any(reason => reason.Contains(TestCluster.DeadLetters, StringComparison.Ordinal)),
            "the other partition being paused");
        Assert.True(cluster.Committed()[1] <= 10, "a frame was passed over that has no dead letter");
        var slowest = TimeSpan.Zero;
        for (int i = 20; i < 40; i++)
        {
            var begun = Stopwatch.StartNew();
            cluster.Produce("car-0", Street[i]);
            cluster.Flush();
            while (cluster.Committed()[0] <= i && begun.Elapsed < TimeSpan.FromSeconds(30))
                await Task.Delay(10, TestContext.Current.CancellationToken);
            slowest = begun.Elapsed > slowest ? begun.Elapsed : slowest;
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"the sound partition's slowest commit: {slowest.TotalMilliseconds:0} ms");
        Assert.True(slowest < TimeSpan.FromSeconds(2), $"a frame of the sound partition was committed after {slowest}");
        await kafka.SetAsync(TestCluster.DeadLetters, "max.message.bytes", "1000000");
        await pipeline.Until(() => cluster.Committed()[1] == 20, "the dead letter being written");
        await pipeline.Until(() => pipeline.NotReady.Count == 0, "the partition going on");
        Assert.Equal([10L], cluster.ReadAll(TestCluster.DeadLetters).Select(letter => Number(letter, "source.offset")));
        Assert.Equal(Enumerable.Range(0, 40).Select(i => (0, (long)i)).Concat(Enumerable.Range(0, 20).Where(i => i != 10)
            .Select(i => (1, (long)i))), cluster.Scored());
        Assert.True(cluster.ReadAll(IsolationLevel.ReadUncommitted, TestCluster.Scores).Count > 59,
            "no transaction with scores was aborted, so this test shows less than it should");
        Assert.InRange(metrics.Sum("outlier.stage.duration commit"), 2, 1000);
    }

    [Theory]
    [InlineData("classic")]
    [InlineData("consumer")]
    public async Task A_replica_that_joins_and_one_that_leaves_move_partitions_and_every_result_is_written_once(string protocol)
    {
        LongTests.AskUnless(protocol == "classic");
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(Partitions);
        using var cluster = new TestCluster(kafka, Partitions) { Protocol = protocol };
        const int Rounds = 300;
        var producing = Task.Run(async () =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                Send(cluster, i);
                await Task.Delay(40);
            }
        }, TestContext.Current.CancellationToken);
        await using var second = await JoinAsync();
        await second.Until(() => producing.IsCompleted && Done(cluster) == Rounds * Partitions, "everything being committed");
        Assert.DoesNotContain(second.Log.Messages, message => message.Contains("without a last commit", StringComparison.Ordinal));
        AssertOnce(cluster, Rounds);

        // The first is under way when the second joins, and leaves when the second has its share.
        async Task<RunningPipeline> JoinAsync()
        {
            await using var first = new RunningPipeline(Exactly(cluster));
            await first.Until(() => Done(cluster) > 100, "the first replica being under way");
            var joined = new RunningPipeline(Exactly(cluster));
            await joined.Until(() => joined.Log.Messages.Count(message => message.Contains("is restored", StringComparison.Ordinal)) >= 2,
                "the second replica having its share");
            long shared = Done(cluster);
            await joined.Until(() => Done(cluster) > shared + 100, "both being under way");
            await first.StopAsync();
            Assert.DoesNotContain(first.Log.Messages, message => message.Contains("without a last commit", StringComparison.Ordinal));
            Assert.False(producing.IsCompleted, "nothing was sent any more when the first left, so this test shows less than it should");
            return joined;
        }
    }

    [Theory]
    [InlineData("classic")]
    [InlineData("consumer")]
    public async Task A_replica_that_slept_beyond_its_session_publishes_nothing_when_it_wakes(string protocol)
    {
        LongTests.AskUnless(protocol == "consumer");
        string[] settings = ["Kafka:Delivery=ExactlyOnce", $"Kafka:Client:group.protocol={protocol}"];
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(Partitions);
        using var cluster = new TestCluster(kafka, Partitions);
        const int Rounds = 500;
        var producing = Task.Run(async () =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                Send(cluster, i);
                await Task.Delay(50);
            }
        }, TestContext.Current.CancellationToken);
        await using var sleeper = new ServiceProcess(cluster.BootstrapServers, settings);
        await sleeper.Until(() => Done(cluster) > 100, "the first commits");
        sleeper.Signal(Signals.Stop);
        long asleep = Done(cluster);
        await using var other = new ServiceProcess(cluster.BootstrapServers, settings);
        await other.Until(() => Done(cluster) > asleep + 400, "the other replica taking over");
        sleeper.Signal(Signals.Continue);
        await other.Until(() => producing.IsCompleted && Done(cluster) == Rounds * Partitions, "everything being committed");
        // It ends for a stated reason, or is a member again; what it had open is not seen in either case.
        await other.Until(() => sleeper.ExitCode is not null || sleeper.Output.Contains("was lost to another member",
            StringComparison.Ordinal), "the sleeper knowing that it slept");
        AssertOnce(cluster, Rounds);
        TestContext.Current.TestOutputHelper?.WriteLine($"the sleeper ended with {sleeper.ExitCode}: {sleeper.Output}");
    }

    /// <summary>What a member that was killed had open is decided by the brokers, after its transaction's time.</summary>
    [Theory]
    [InlineData("offsets", "the brokers have not told yet where to read 1 partitions from")]
    [InlineData("state", "1 partitions are being restored")]
    public async Task A_partition_that_waits_for_a_dead_members_transaction_holds_up_no_other(string open, string reason)
    {
        const int Frames = 10, More = 5, Read = 3;
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(2);
        using var cluster = new TestCluster(kafka, 2);
        for (int i = 0; i < 2 * Frames; i++) cluster.Produce($"car-{i % 2}", Street[i], i % 2);
        cluster.Flush();
        using var dead = new ProducerBuilder<string, byte[]>(new ProducerConfig
        {
            BootstrapServers = cluster.BootstrapServers,
            TransactionalId = "dead",
            TransactionTimeoutMs = 300_000
        }).Build();
        using var member = new ConsumerBuilder<byte[], byte[]>(new ConsumerConfig
        {
            BootstrapServers = cluster.BootstrapServers,
            GroupId = cluster.Group
        }).Build();
        dead.InitTransactions(TimeSpan.FromSeconds(30));
        dead.BeginTransaction();
        if (open == "offsets") dead.SendOffsetsToTransaction([new TopicPartitionOffset(TestCluster.Frames, 1, Read)],
            member.ConsumerGroupMetadata, TimeSpan.FromSeconds(30));
        else dead.Produce(new TopicPartition(TestCluster.State, 1), new Message<string, byte[]> { Key = "car-1", Value = [] });
        dead.Flush(TimeSpan.FromSeconds(30));

        await using (var stopped = new RunningPipeline(Exactly(cluster)))
        {
            await stopped.Until(() => cluster.Scored().Count == Frames, "the other partition being committed");
            await stopped.Until(() => stopped.NotReady.SequenceEqual([reason]), "the reason being told");
            for (int i = 0; i < 2 * More; i++) cluster.Produce($"car-{i % 2}", Street[2 * Frames + i], i % 2);
            cluster.Flush();
            await stopped.Until(() => cluster.Scored().Count == Frames + More, "the other partition being read on");
            // It can be stopped meanwhile, and the partition is taken back unread.
        }
        await using var pipeline = new RunningPipeline(Exactly(cluster));
        await pipeline.Until(() => pipeline.NotReady.SequenceEqual([reason]), "all but the partition being ready");
        dead.CommitTransaction();
        await pipeline.Until(() => pipeline.NotReady.Count == 0 && cluster.Committed()[1] == Frames + More, "the partition being read");
        int from = open == "offsets" ? Read : 0;
        Assert.Equal(Enumerable.Range(0, Frames + More).Select(i => (0, (long)i))
            .Concat(Enumerable.Range(from, Frames + More - from).Select(i => (1, (long)i))), cluster.Scored());
    }

    /// <summary>One frame for each partition: normal; some cannot be decoded or name no camera; one camera drives into fog.</summary>
    private void Send(TestCluster cluster, int round)
    {
        _time += 100_000_000;
        for (int partition = 0; partition < Partitions; partition++)
        {
            bool isFoggy = partition == 0 && round is > 40 and < 100;
            byte[] frame = round % 25 == 24 ? Encoding.UTF8.GetBytes($"no picture {round}") : (isFoggy ? Fog : Street)[round % 40];
            cluster.Produce(round % 25 == 12 ? null : $"car-{partition}", frame, partition,
                ("frame-timestamp", _time.ToString(CultureInfo.InvariantCulture)));
        }
        cluster.Flush();
    }

    private static long Done(TestCluster cluster) => cluster.Committed().Values.Sum(offset => Math.Max(0, offset));

    private static void AssertOnce(TestCluster cluster, int rounds)
    {
        var letters = cluster.ReadAll(TestCluster.DeadLetters)
            .Select(letter => ((int)Number(letter, "source.partition"), Number(letter, "source.offset"))).ToList();
        var expected = Enumerable.Range(0, Partitions).SelectMany(partition =>
            Enumerable.Range(0, rounds).Select(round => (partition, (long)round))).ToList();
        Assert.Equal(expected.Where(frame => frame.Item2 % 25 is not (12 or 24)), cluster.Scored());
        Assert.Equal(expected.Where(frame => frame.Item2 % 25 is 12 or 24), letters.Order());
        var alerts = cluster.ReadAll(TestCluster.Alerts)
            .Select(record => JsonDocument.Parse(record.Message.Value).RootElement.GetProperty("id").GetString()).ToList();
        Assert.NotEmpty(alerts);
        Assert.Distinct(alerts);
    }

    private static PipelineOptions Exactly(TestCluster cluster)
    {
        var options = cluster.Options();
        return options with { Kafka = options.Kafka with { Delivery = Delivery.ExactlyOnce } };
    }

    private static long Number(ConsumeResult<string, byte[]> record, string header) =>
        long.Parse(Encoding.UTF8.GetString(record.Message.Headers.GetLastBytes(header)), CultureInfo.InvariantCulture);
}
