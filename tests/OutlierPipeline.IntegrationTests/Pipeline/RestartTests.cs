using System.Diagnostics;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On Apache Kafka: how long nothing is scored after a service was killed, with default settings.</summary>
[Collection(MeasuredTests.Name)]
public sealed class RestartTests
{
    private static readonly byte[][] Street = SmallFrames.FullDrive(1, 40);

    [Theory]
    [InlineData(10)]
    [InlineData(10, "Kafka:InstanceId=one-0", "Kafka:Delivery=ExactlyOnce")]
    [InlineData(10, "Kafka:Client:group.protocol=consumer")]
    // Another transactional id: what the killed process left open ends with transaction.timeout.ms, 10 s.
    [InlineData(10 + 12, "Kafka:Delivery=ExactlyOnce")]
    public async Task After_a_kill_the_next_start_scores_within_ten_seconds_or_the_transactions_timeout(int seconds,
        params string[] settings)
    {
        LongTests.AskUnless(settings.Length is 0 or 2);
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(4);
        using var cluster = new TestCluster(kafka, 4);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var producing = Task.Run(async () =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                cluster.Produce($"car-{i % 4}", Street[i % 40], i % 4);
                await Task.Delay(20);
            }
        }, stop.Token);
        try
        {
            await using (var first = new ServiceProcess(cluster.BootstrapServers, settings))
                await first.Until(() => Scored(cluster) > 50, "the first scores");
            var killed = Stopwatch.StartNew();
            var killedAt = DateTime.UtcNow;
            await using var second = new ServiceProcess(cluster.BootstrapServers, settings);
            // Not by committed offsets: the coordinator tells none while a transaction of the killed process is open.
            cluster.Read(records => records.Count > 0 && records[^1].Message.Timestamp.UtcDateTime > killedAt, TestCluster.Scores);
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{string.Join(' ', settings)}: first score after {killed.Elapsed.TotalSeconds:0.0} s");
            Assert.True(killed.Elapsed < TimeSpan.FromSeconds(seconds), $"nothing was scored for {killed.Elapsed}");
        }
        finally
        {
            await stop.CancelAsync();
            await producing;
        }
    }

    /// <summary>
    /// What a new version does to a StatefulSet: each replica is asked to end, and started again when it has; the next when it is ready. A
    /// camera is without scores from one score record to the next.
    /// </summary>
    [Theory]
    [InlineData("classic")]
    [InlineData("consumer")]
    public async Task In_a_rolling_restart_of_three_static_replicas_a_camera_waits_for_one_start_and_no_longer(string protocol)
    {
        LongTests.Ask();
        const int Partitions = 6;
        await using var kafka = await KafkaServer.StartAsync();
        await kafka.CreateTopicsAsync(Partitions);
        using var cluster = new TestCluster(kafka, Partitions);
        var replicas = Enumerable.Range(0, 3).Select(Start).ToArray();
        foreach (var replica in replicas) await ReadyAsync(replica);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        int sent = 0;
        var producing = Task.Run(async () =>
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
            while (await timer.WaitForNextTickAsync(stop.Token))
            {
                for (int i = 0; i < 2 * Partitions; i++) cluster.Produce($"car-{i}", Street[sent % 40], i % Partitions);
                sent++;
            }
        }, stop.Token);
        var slowest = TimeSpan.Zero;
        try
        {
            await replicas[0].Until(() => Scored(cluster) > 100, "scores before the restart");
            for (int i = 0; i < replicas.Length; i++)
            {
                var begun = Stopwatch.StartNew();
                replicas[i].Signal(Signals.Terminate);
                Assert.Equal(0, await replicas[i].EndAsync());
                await replicas[i].DisposeAsync();
                replicas[i] = Start(i);
                await ReadyAsync(replicas[i]);
                if (begun.Elapsed > slowest) slowest = begun.Elapsed;
            }
            long after = Scored(cluster);
            await replicas[0].Until(() => Scored(cluster) > after + 100, "scores after the restart");
        }
        finally
        {
            await stop.CancelAsync();
            await producing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }
        cluster.Flush();
        await replicas[0].Until(() => Scored(cluster) == 2L * Partitions * sent, "every frame being committed");
        foreach (var replica in replicas) await replica.DisposeAsync();
        var gaps = cluster.ReadAll(TestCluster.Scores).GroupBy(score => score.Message.Key).Select(camera =>
        {
            var times = camera.Select(score => score.Message.Timestamp.UtcDateTime).Order().ToList();
            return times.Zip(times.Skip(1), (one, next) => next - one).Max();
        }).ToList();
        TestContext.Current.TestOutputHelper?.WriteLine($"{protocol}: {gaps.Min().TotalSeconds:0.0} to {gaps.Max().TotalSeconds:0.0} s " +
            $"without scores at a camera; the slowest stop and start took {slowest.TotalSeconds:0.0} s");
        Assert.Equal(2 * Partitions, gaps.Count);
        // Nobody waited for a session, and nothing beside its own replica's restart.
        Assert.True(gaps.Max() < slowest + TimeSpan.FromSeconds(2), $"a camera had no scores for {gaps.Max()}");

        ServiceProcess Start(int i) => new(cluster.BootstrapServers, $"Kafka:InstanceId=outlier-{i}",
            $"Kafka:Client:group.protocol={protocol}");

        // The first has all of them until the others are there.
        Task ReadyAsync(ServiceProcess replica) => replica.Until(() => replica.Output is var said
            && said.Split("is assigned").Length - said.Split("is given back").Length == Partitions / 3, "its share of the partitions");
    }

    private static long Scored(TestCluster cluster) => cluster.Committed().Values.Sum(offset => Math.Max(0, offset));
}
