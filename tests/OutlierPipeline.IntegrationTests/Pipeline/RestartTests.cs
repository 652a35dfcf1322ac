using System.Diagnostics;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On Apache Kafka: how long nothing is scored after a service was killed, with default settings.</summary>
[Collection(MeasuredTests.Name)]
public sealed class RestartTests
{
    private static readonly byte[][] Street = SmallFrames.FullDrive(1, 40);

    [Theory]
    [InlineData()]
    [InlineData("Kafka:InstanceId=one-0", "Kafka:Delivery=ExactlyOnce")]
    public async Task After_a_kill_the_next_start_scores_within_ten_seconds(params string[] settings)
    {
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
        await using (var first = new ServiceProcess(cluster.BootstrapServers, settings))
            await first.Until(() => Scored(cluster) > 50, "the first scores");
        var killed = Stopwatch.StartNew();
        await using var second = new ServiceProcess(cluster.BootstrapServers, settings);
        // Not before the second is started: where the first left a transaction open, the brokers tell nobody what is committed until it is
        // ended, by the second or by its timeout.
        long before = Scored(cluster);
        TestContext.Current.TestOutputHelper?.WriteLine($"what was committed was told after {killed.Elapsed.TotalSeconds:0.0} s");
        await second.Until(() => Scored(cluster) > before, "scores after the kill");
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{string.Join(' ', settings)}: first score after {killed.Elapsed.TotalSeconds:0.0} s");
        Assert.True(killed.Elapsed < TimeSpan.FromSeconds(10), $"nothing was scored for {killed.Elapsed}");
        await stop.CancelAsync();
        await producing;
    }

    private static long Scored(TestCluster cluster) => cluster.Committed().Values.Sum(offset => Math.Max(0, offset));
}
