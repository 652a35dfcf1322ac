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
            Assert.True(killed.Elapsed < TimeSpan.FromSeconds(10), $"nothing was scored for {killed.Elapsed}");
        }
        finally
        {
            await stop.CancelAsync();
            await producing;
        }
    }

    private static long Scored(TestCluster cluster) => cluster.Committed().Values.Sum(offset => Math.Max(0, offset));
}
