using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>Brokers that refuse, that hang, and one of several that is away.</summary>
[Collection(MeasuredTests.Name)]
public sealed class OutageTests
{
    private static readonly byte[] Frame = SmallFrames.Drive(1, 1)[0];

    [Fact]
    public async Task A_broker_that_refuses_or_hangs_is_not_ready_soon_and_a_stop_ends_in_its_time()
    {
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(4);
        using var cluster = new TestCluster(kafka, 4);
        var options = cluster.Options();
        options = options with { Kafka = options.Kafka with { DrainTimeout = TimeSpan.FromSeconds(2) } };
        await using var pipeline = new RunningPipeline(options);
        cluster.Produce("car-1", Frame);
        cluster.Flush();
        await pipeline.Until(() => cluster.Committed()[0] == 1 && pipeline.NotReady.Count == 0, "being ready");

        int lines = pipeline.Log.Messages.Count();
        var since = Stopwatch.StartNew();
        await kafka.KillAsync();
        await pipeline.Until(() => pipeline.NotReady.Any(reason => reason.Contains("cannot be reached", StringComparison.Ordinal)),
            "the refusal being said");
        // Two seconds are promised, and met in a tenth of one; the bound is for a machine under load.
        Assert.True(since.Elapsed < TimeSpan.FromSeconds(4), $"a refusal was said after {since.Elapsed}");
        await pipeline.Until(() => since.Elapsed > TimeSpan.FromSeconds(12), "some seconds without a broker");
        int told = pipeline.Log.Messages.Count() - lines;
        Assert.True(told <= 8, $"{told} lines in 12 s: {string.Join(Environment.NewLine, pipeline.Log.Messages.Skip(lines))}");
        await kafka.ReviveAsync();
        await pipeline.Until(() => pipeline.NotReady.Count == 0, "being ready again");

        since.Restart();
        kafka.Signal(Signals.Stop);
        await pipeline.Until(() => pipeline.NotReady.Any(reason => reason.Contains("has not answered", StringComparison.Ordinal)),
            "the silence being said");
        Assert.True(since.Elapsed < TimeSpan.FromSeconds(15), $"a broker that hangs was said after {since.Elapsed}");
        since.Restart();
        await pipeline.StopAsync().WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.True(since.Elapsed < TimeSpan.FromSeconds(4.5),
            $"the stop took {since.Elapsed}, where 2 s to drain and 1 s more are promised");
        kafka.Signal(Signals.Continue);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_broker_of_three_that_is_away_is_a_warning_once_and_not_an_outage(bool onKafka)
    {
        using var cluster = await TestCluster.StartAsync(onKafka, 6, brokers: 3);
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => pipeline.NotReady.Count == 0, "being ready");
        await cluster.SetReachableAsync(3, false);
        await pipeline.Until(() => pipeline.Log.Messages.Any(message => message.Contains("The broker", StringComparison.Ordinal)),
            "a warning");
        int sent = 0;
        await pipeline.Until(() =>
        {
            cluster.Produce("car-1", Frame, 0);
            cluster.Flush();
            return ++sent > 50;
        }, "some time with two brokers");
        string[] told = [.. pipeline.Log.Messages.Where(message => message.Contains("The broker", StringComparison.Ordinal))];
        Assert.True(told.Length == 1, string.Join(Environment.NewLine, told));
        Assert.DoesNotContain(pipeline.Log.Messages, message => message.Contains("Kafka at", StringComparison.Ordinal)
            && message.Contains("cannot be reached", StringComparison.Ordinal));
        await cluster.SetReachableAsync(3, true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_restore_that_a_stop_cut_off_writes_and_deletes_no_state(bool onKafka)
    {
        using var cluster = await TestCluster.StartAsync(onKafka, 1);
        for (int i = 0; i < 300; i++) cluster.Produce($"car-{i}", Frame);
        cluster.Flush();
        await using (var first = new RunningPipeline(cluster.Options())) await first.Until(() =>
            cluster.Committed()[0] == 300, "everything being committed");
        // As a log that is not compacted has them: states that are old enough to be forgotten, and then those of today.
        var states = cluster.ReadAll(TestCluster.State);
        long old = new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero).ToUnixTimeSeconds();
        foreach (var record in states)
        {
            var state = JsonNode.Parse(record.Message.Value)!;
            if (state["writtenSeconds"] is null) continue;
            state["writtenSeconds"] = old;
            cluster.Produce(TestCluster.State, record.Message.Key, Encoding.UTF8.GetBytes(state.ToJsonString()));
        }
        foreach (var record in states) cluster.Produce(TestCluster.State, record.Message.Key, record.Message.Value);
        cluster.Flush();
        int before = cluster.ReadAll(TestCluster.State).Count;
        Assert.True(before >= 900, $"{before} states");
        // Stopped at once, again and again, while they are read: what is old then is what was read last, and would be deleted.
        for (int i = 0; i < 6; i++)
        {
            var options = cluster.Options();
            await using var cut =
                new RunningPipeline(options with { Kafka = options.Kafka with { CommitInterval = TimeSpan.FromMilliseconds(10) } });
            await cut.Until(() => cut.Log.Messages.Any(message => message.Contains("is assigned", StringComparison.Ordinal)),
                "the assignment");
            await cut.StopAsync();
        }
        var after = cluster.ReadAll(TestCluster.State);
        Assert.DoesNotContain(after.Skip(before), record => record.Message.Value is null);
        Assert.Equal(before, after.Count);
    }

    [Fact]
    public async Task A_state_that_is_half_read_does_not_count_as_restored()
    {
        using var cluster = new TestCluster(1);
        for (int i = 0; i < 50; i++) cluster.Produce($"car-{i}", Frame);
        cluster.Flush();
        await using (var first = new RunningPipeline(cluster.Options())) await first.Until(() =>
            cluster.Committed()[0] == 50, "everything being committed");
        var log = new RecordingLogger();
        var options = cluster.Options().Kafka;
        var health = new BrokerHealth(options, log);
        foreach (bool isCut in new[] { true, false })
        {
            var assignment = new PartitionAssignment(new Confluent.Kafka.TopicPartition(TestCluster.Frames, 0), 1, 0);
            using var cancellation = new CancellationTokenSource();
            var restoring = new StateRestorer(options, health, new TopicIdentity(options, health),
                new WriteFaults(TimeProvider.System, log), TimeProvider.System, log)
                .RestoreAsync(assignment, insists: false, cancellation.Token);
            if (isCut) assignment.End();
            await restoring;
            Assert.Equal(!isCut, assignment.IsRestored);
        }
    }
}
