using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On Apache Kafka: retention that overtakes the service, and topics that are recreated under it.</summary>
public sealed class RetentionTests(SharedKafka shared) : IClassFixture<SharedKafka>
{
    private static readonly byte[][] Street = SmallFrames.FullDrive(1, 40);
    private long _time = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;

    [Fact]
    public async Task Frames_that_retention_removed_are_counted_whether_the_service_was_stopped_or_paused()
    {
        var kafka = await shared.WithTopicsAsync(1);
        using var cluster = new TestCluster(kafka, 1) { Group = "counted" };
        using var metrics = new MetricRecorder();
        Send(cluster, 40);
        // Stopped: what expires meanwhile lies between the last commit and the log's new start.
        await using (var first = new RunningPipeline(cluster.Options())) await first.Until(() =>
            cluster.Committed()[0] == 40, "the first frames");
        Send(cluster, 40);
        await kafka.ExpireAsync(0, 60);
        await using (var second = new RunningPipeline(cluster.Options()))
        {
            await second.Until(() => cluster.Committed()[0] == 80, "what was left");
            Assert.Equal(20, metrics.Sum("outlier.frames.lost_before_read"));
            // Running: the partition is paused, since its dead letters cannot be written, and its frames expire.
            await kafka.DeleteTopicAsync(TestCluster.DeadLetters);
            cluster.Produce("cam", [1, 2, 3]);
            cluster.Flush();
            await second.Until(() => second.NotReady.Any(reason => reason.Contains(TestCluster.DeadLetters, StringComparison.Ordinal)),
                "the partition being paused");
            Send(cluster, 60);
            await kafka.ExpireAsync(0, 121);
            await kafka.CreateTopicAsync(TestCluster.DeadLetters, 1);
            await second.Until(() => cluster.Committed()[0] == 141, "what was left after the pause");
            Assert.Contains(second.Log.Messages, message => message.Contains("lostBeforeRead", StringComparison.Ordinal));
        }
        long lost = metrics.Sum("outlier.frames.lost_before_read");
        Assert.True(lost > 20, $"{lost} frames were lost: nothing expired under the running service");
        Assert.Equal(141, lost + metrics.Sum("outlier.frames.scored") + metrics.Sum("outlier.frames.dead_lettered"));
    }

    [Fact]
    public async Task A_service_that_slept_while_its_frames_expired_goes_on_when_it_wakes()
    {
        var kafka = await shared.WithTopicsAsync(1);
        using var cluster = new TestCluster(kafka, 1) { Group = "slept" };
        await using var service = new ServiceProcess(cluster.BootstrapServers, $"Kafka:GroupId={cluster.Group}",
            "Kafka:Client:session.timeout.ms=6000");
        Send(cluster, 30);
        await service.Until(() => cluster.Committed()[0] == 30, "the first frames");
        service.Signal(Signals.Stop);
        Send(cluster, 60);
        await kafka.ExpireAsync(0, 70);
        // Longer than its session: the group goes on without it.
        await kafka.UntilGroupIsEmptyAsync(cluster.Group);
        service.Signal(Signals.Continue);
        await service.Until(() => cluster.Committed()[0] == 90, "the frames after the sleep");
        Assert.Contains("offsets 30 to 70 expired before they were read (lostBeforeRead)", service.Output, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(0, 30).Concat(Enumerable.Range(70, 20)).Select(i => (0, (long)i)), cluster.Scored().Distinct());
    }

    /// <summary>For a minute a leader may be the wrong one.</summary>
    [Fact]
    public async Task A_log_that_was_cut_back_is_read_on_after_a_minute_and_what_took_the_place_of_lost_frames_is_read()
    {
        LongTests.Ask();
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(1);
        using var cluster = new TestCluster(kafka, 1);
        Send(cluster, 50);
        long kept = kafka.BytesOf(TestCluster.Frames);
        Send(cluster, 30);
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => cluster.Committed()[0] == 80, "the frames before");
        await kafka.KillAsync();
        kafka.CutBack(TestCluster.Frames, kept);
        await kafka.ReviveAsync();
        Assert.Equal(50, cluster.Ends()[0]);
        await Task.Delay(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Send(cluster, 10);
        await Task.Delay(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(80, cluster.Scored().Count);
        await pipeline.Until(() => pipeline.Log.Messages.Any(message =>
            message.Contains("the brokers have lost what was read up to offset 80", StringComparison.Ordinal)), "the loss being told");
        Send(cluster, 10);
        await pipeline.Until(() => cluster.Committed()[0] == 70, "what was written in their place being read");
        Assert.Equal(Enumerable.Range(0, 80).Concat(Enumerable.Range(50, 20)).Order().Select(i => (0, (long)i)), cluster.Scored());
    }

    [Fact]
    public async Task A_topic_that_was_recreated_is_read_from_its_start_and_known_cameras_are_watched_again()
    {
        var kafka = await shared.WithTopicsAsync(1);
        using var cluster = new TestCluster(kafka, 1) { Group = "recreated" };
        Send(cluster, 100);
        await using (var first = new RunningPipeline(cluster.Options())) await first.Until(() =>
            cluster.Committed()[0] == 100, "the first frames");
        await Recreate(kafka);
        // More records than the old commit: only the topic's id tells that they are others.
        Send(cluster, 120);
        Send(cluster, 30, Trouble.Fog);
        await using (var second = new RunningPipeline(cluster.Options()))
        {
            await second.Until(() => cluster.Committed()[0] == 150, "the new topic's frames");
            Assert.Contains(second.Log.Messages, message => message.Contains("the topic was recreated", StringComparison.Ordinal));
            Assert.Contains(second.Alerts, alert => alert.Type == AlertType.Opened);
            Assert.Equal(150, Scored(cluster).Count(offset => offset < 150) - 100);
            // And under the running service.
            second.Alerts.Clear();
            await Recreate(kafka);
            Send(cluster, 20);
            await second.Until(() => cluster.Committed()[0] == 20, "the newest topic's frames");
            Send(cluster, 30, Trouble.Fog);
            await second.Until(() => cluster.Committed()[0] == 50, "the fog");
            Assert.True(second.Alerts.Count > 0, string.Join(Environment.NewLine, second.Log.Messages.TakeLast(40)));
        }
    }

    private static async Task Recreate(KafkaServer kafka)
    {
        await kafka.DeleteTopicAsync(TestCluster.Frames);
        await kafka.CreateTopicAsync(TestCluster.Frames, 1);
    }

    private static long[] Scored(TestCluster cluster) =>
        [.. cluster.ReadAll(TestCluster.Scores).Select(record =>
        JsonDocument.Parse(record.Message.Value).RootElement.GetProperty("offset").GetInt64())];

    private void Send(TestCluster cluster, int count, Trouble trouble = Trouble.None)
    {
        byte[][] frames = trouble == Trouble.None ? Street : SmallFrames.FullDrive(1, 30, trouble);
        for (int i = 0; i < count; i++)
            cluster.Produce("car-1", frames[i % frames.Length], 0,
                ("frame-timestamp", (_time += 100_000_000).ToString(CultureInfo.InvariantCulture)));
        cluster.Flush();
    }
}
