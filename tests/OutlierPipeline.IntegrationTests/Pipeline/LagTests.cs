using Confluent.Kafka;
using Confluent.Kafka.Admin;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On Apache Kafka: what producers and administrators of the frames' topic may do is followed to its end.</summary>
public sealed class LagTests(SharedKafka shared) : IClassFixture<SharedKafka>
{
    [Theory]
    [InlineData(Delivery.AtLeastOnce)]
    [InlineData(Delivery.ExactlyOnce)]
    public async Task The_group_has_no_lag_behind_a_transactional_producers_last_control_record(Delivery delivery)
    {
        var kafka = await shared.WithTopicsAsync(1);
        using var cluster = new TestCluster(kafka, 1) { Group = $"lag-{delivery}" };
        var options = cluster.Options();
        await using var pipeline = new RunningPipeline(options with { Kafka = options.Kafka with { Delivery = delivery } });
        using var producer = new ProducerBuilder<string, byte[]>(new ProducerConfig
        {
            BootstrapServers = kafka.BootstrapServers,
            TransactionalId = $"a camera's gateway {delivery}"
        }).Build();
        producer.InitTransactions(TimeSpan.FromSeconds(30));
        byte[][] frames = SmallFrames.Drive(1, 10);
        Send(0, 4, isCommitted: true);
        await NoLagAsync(5);
        // Nothing but what was aborted lies before the next mark.
        Send(4, 7, isCommitted: false);
        await NoLagAsync(9);
        Send(7, 10, isCommitted: true);
        await NoLagAsync(13);
        Assert.Equal(7, cluster.ReadAll(TestCluster.Scores).Count);

        void Send(int from, int to, bool isCommitted)
        {
            producer.BeginTransaction();
            for (int i = from; i < to; i++) producer.Produce(TestCluster.Frames, new() { Key = "car-1", Value = frames[i] });
            producer.Flush(TimeSpan.FromSeconds(10));
            if (isCommitted) producer.CommitTransaction();
            else producer.AbortTransaction();
        }

        async Task NoLagAsync(long end)
        {
            // The mark of a transaction is written soon after its producer has been answered.
            await pipeline.Until(() => cluster.Ends()[0] == end, $"the mark before the offset {end}");
            await pipeline.Until(() => cluster.Committed()[0] == end, $"the offset {end} being committed");
            // Frames are measured to lie behind it, too, some time after they were sent.
            await pipeline.Until(() => pipeline.Lag == 0, "no lag of our own");
        }
    }

    [Fact]
    public async Task Partitions_that_are_added_are_read_soon_and_told_of_meanwhile()
    {
        var kafka = await shared.EmptyAsync();
        foreach (string topic in new[] { TestCluster.Scores, TestCluster.Alerts, TestCluster.State, TestCluster.DeadLetters })
            await kafka.CreateTopicAsync(topic, 3);
        await kafka.CreateTopicAsync(TestCluster.Frames, 1);
        using var cluster = new TestCluster(kafka, 3) { Group = "added" };
        var options = cluster.Options();
        // Metadata is refreshed as often as by default.
        var client = options.Kafka.Client.Where(pair => pair.Key != "topic.metadata.refresh.interval.ms")
            .ToDictionary(pair => pair.Key, pair => pair.Value);
        await using var pipeline = new RunningPipeline(options with { Kafka = options.Kafka with { Client = client } });
        byte[][] frames = SmallFrames.Drive(1, 4);
        cluster.Produce("car-0", frames[0]);
        await pipeline.Until(() => cluster.Committed()[0] == 1, "the first partition being read");
        // What there is must be known before more is told of: it is counted every two seconds.
        await Task.Delay(TimeSpan.FromSeconds(3), TestContext.Current.CancellationToken);
        using var admin = kafka.Admin();
        await admin.CreatePartitionsAsync([new PartitionsSpecification { Topic = TestCluster.Frames, IncreaseTo = 3 }]);
        var begun = DateTime.UtcNow;
        // A producer that knows of them.
        using var later = new TestCluster(kafka, 3);
        for (int i = 0; i < 3; i++) later.Produce($"car-{i}", frames[i + 1], i);
        bool wasTold = false;
        await pipeline.Until(() =>
        {
            wasTold |= pipeline.Warnings.Any(warning => warning.StartsWith("camera.frames has 3 partitions, and the group reads 1",
                StringComparison.Ordinal));
            var committed = cluster.Committed();
            return committed[0] == 2 && committed[1] == 1 && committed[2] == 1;
        }, "the new partitions being read");
        var taken = DateTime.UtcNow - begun;
        TestContext.Current.TestOutputHelper?.WriteLine($"read after {taken.TotalSeconds:0.0} s");
        Assert.True(taken < TimeSpan.FromSeconds(30), $"the new partitions were read after {taken}");
        Assert.True(wasTold, "nothing was said of the new partitions before they were read");
        Assert.Single(pipeline.Log.Messages, message => message.Contains("camera.frames has 3 partitions", StringComparison.Ordinal));
        await pipeline.Until(() => pipeline.Warnings.Count == 0, "the warning going");
    }
}
