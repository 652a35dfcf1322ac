using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On three nodes of Apache Kafka: leaders whose log ends before what was read are not taken for a recreated topic.</summary>
public sealed class LeaderTests(SharedThreeNodes shared) : IClassFixture<SharedThreeNodes>
{
    private static readonly byte[][] Street = SmallFrames.Drive(1, 40);

    [Theory]
    [InlineData(Delivery.AtLeastOnce)]
    [InlineData(Delivery.ExactlyOnce)]
    public async Task Where_two_nodes_of_three_are_lost_under_load_nothing_is_read_again_from_the_start(Delivery delivery)
    {
        if (delivery == Delivery.ExactlyOnce) LongTests.Ask();
        const int Partitions = 6;
        var kafka = await shared.WithTopicsAsync(Partitions);
        using var cluster = new TestCluster(kafka, Partitions) { Group = $"leaders-{delivery}" };
        var options = cluster.Options();
        // An outage that is longer than a transaction may be ends the process, and this is of what happens where it does not.
        var client = new Dictionary<string, string>(options.Kafka.Client) { ["transaction.timeout.ms"] = "300000" };
        await using var pipeline = new RunningPipeline(options with
        {
            Kafka = options.Kafka with { Delivery = delivery, Client = client }
        });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var producing = Task.Run(async () =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                cluster.Produce($"car-{i % Partitions}", Street[i % 40], i % Partitions);
                await Task.Delay(5, CancellationToken.None);
            }
            cluster.Flush();
        }, CancellationToken.None);
        await pipeline.Until(() => Done(cluster) > 200, "frames being committed");
        // Who leads now may lack the last word on what is committed, and has too few copies to learn it.
        await Task.WhenAll(kafka.KillAsync(1), kafka.KillAsync(2));
        var until = DateTime.UtcNow.AddSeconds(4);
        await pipeline.Until(() => DateTime.UtcNow > until, "an outage");
        await Task.WhenAll(kafka.ReviveAsync(1), kafka.ReviveAsync(2));
        long before = Done(cluster);
        await pipeline.Until(() => Done(cluster) > before + 100, "frames being committed again");
        await stop.CancelAsync();
        await producing;
        await pipeline.Until(() => cluster.Ends().All(end => cluster.Committed()[end.Key] == end.Value), "everything being committed");
        Assert.DoesNotContain(pipeline.Log.Messages, message => message.Contains("recreated", StringComparison.Ordinal));
        var frames = cluster.Ends().OrderBy(end => end.Key).SelectMany(end =>
            Enumerable.Range(0, (int)end.Value).Select(i => (end.Key, (long)i))).ToList();
        var scored = cluster.Scored();
        Assert.Equal(frames, delivery == Delivery.ExactlyOnce ? scored : scored.Distinct());
        Assert.InRange(scored.Count, frames.Count, frames.Count + 200);
    }

    private static long Done(TestCluster cluster) => cluster.Committed().Values.Sum(offset => Math.Max(0, offset));
}
