using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

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
        const int Kills = 3;
        for (int life = 0; life <= Kills; life++)
        {
            long before = Done(cluster);
            var begun = Stopwatch.StartNew();
            await using var service = new ServiceProcess(cluster.BootstrapServers, "Kafka:Delivery=ExactlyOnce", "Kafka:InstanceId=one-0");
            await service.Until(() => Done(cluster) > before, $"life {life} committing something");
            if (life > 0) Assert.True(begun.Elapsed < TimeSpan.FromSeconds(10), $"life {life} scored nothing for {begun.Elapsed}");
            if (life < Kills) await service.Until(() => Done(cluster) > before + 100, $"life {life} being under way");
            else await service.Until(() => producing.IsCompleted && Done(cluster) == Rounds * Partitions, "everything being committed");
        }
        AssertOnce(cluster, Rounds);
    }

    /// <summary>One frame for each partition: mostly normal; some cannot be decoded, or name no camera; one camera drives into fog.</summary>
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
        var scores = cluster.ReadAll(TestCluster.Scores).Select(record => JsonDocument.Parse(record.Message.Value).RootElement)
            .Select(score => (score.GetProperty("partition").GetInt32(), score.GetProperty("offset").GetInt64())).ToList();
        var letters = cluster.ReadAll(TestCluster.DeadLetters)
            .Select(letter => ((int)Number(letter, "source.partition"), Number(letter, "source.offset"))).ToList();
        var expected = Enumerable.Range(0, Partitions).SelectMany(partition =>
            Enumerable.Range(0, rounds).Select(round => (partition, (long)round))).ToList();
        Assert.Equal(expected.Where(frame => frame.Item2 % 25 is not (12 or 24)), scores.Order());
        Assert.Equal(expected.Where(frame => frame.Item2 % 25 is 12 or 24), letters.Order());
        var alerts = cluster.ReadAll(TestCluster.Alerts)
            .Select(record => JsonDocument.Parse(record.Message.Value).RootElement.GetProperty("id").GetString()).ToList();
        Assert.NotEmpty(alerts);
        Assert.Distinct(alerts);
    }

    private static long Number(ConsumeResult<string, byte[]> record, string header) =>
        long.Parse(Encoding.UTF8.GetString(record.Message.Headers.GetLastBytes(header)), CultureInfo.InvariantCulture);
}
