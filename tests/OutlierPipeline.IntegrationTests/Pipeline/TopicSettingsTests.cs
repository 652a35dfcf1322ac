using System.Text;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On Apache Kafka: what topics take and keep is a matter of their settings.</summary>
public sealed class TopicSettingsTests(SharedKafka shared) : IClassFixture<SharedKafka>
{
    [Theory]
    [InlineData(Delivery.AtLeastOnce)]
    [InlineData(Delivery.ExactlyOnce)]
    public async Task A_frame_whose_result_is_larger_than_its_topic_takes_is_put_aside_and_its_partition_goes_on(Delivery delivery)
    {
        var kafka = await shared.WithTopicsAsync(1);
        // Alerts carry a picture.
        await kafka.SetAsync(TestCluster.Alerts, "max.message.bytes", "4000");
        using var cluster = new TestCluster(kafka, 1) { Group = $"large-{delivery}" };
        cluster.ProduceDrive("car-1", [.. SmallFrames.FullDrive(1, 40), .. SmallFrames.FullDrive(1, 40, Trouble.Fog)]);
        var options = cluster.Options();
        await using var pipeline = new RunningPipeline(options with { Kafka = options.Kafka with { Delivery = delivery } });
        await pipeline.Until(() => cluster.Committed()[0] == 80, "everything being committed");
        var letters = cluster.ReadAll(TestCluster.DeadLetters);
        Assert.NotEmpty(letters);
        Assert.All(letters, letter => Assert.Equal("ResultTooLarge",
            Encoding.UTF8.GetString(letter.Message.Headers.GetLastBytes("error.reason"))));
        Assert.Empty(cluster.ReadAll(TestCluster.Alerts));
        Assert.Equal(Enumerable.Range(0, 80).Select(i => (0, (long)i)), cluster.Scored());
        Assert.Empty(pipeline.NotReady);
    }

    [Fact]
    public async Task Check_makes_a_log_of_states_that_is_restored_quickly_and_names_settings_that_make_it_slow()
    {
        var kafka = await shared.EmptyAsync();
        string[] check = ["check", "--bootstrap", kafka.BootstrapServers];
        var made = await Tool.OutlierAsync([.. check, "--create", "--partitions", "2"]);
        Assert.True(made.Code == 0, made.Output + made.Error);
        Assert.Contains("ood.state compaction: often enough", made.Output, StringComparison.Ordinal);
        await kafka.SetAsync(TestCluster.State, "segment.bytes", "1073741824");
        await kafka.SetAsync(TestCluster.State, "segment.ms", "604800000");
        await kafka.SetAsync(TestCluster.State, "min.cleanable.dirty.ratio", "0.5");
        var slow = await Tool.OutlierAsync(check);
        Assert.Equal(1, slow.Code);
        // Long lines are folded.
        string said = slow.Output.Replace("\n", "", StringComparison.Ordinal);
        Assert.Contains("segment.bytes is 1073741824, segment.ms is 604800000, min.cleanable.dirty.ratio is 0.5", said,
            StringComparison.Ordinal);
        Assert.Contains("--add-config segment.bytes=33554432,segment.ms=600000,min.cleanable.dirty.ratio=0.1 --topic ood.state",
            said, StringComparison.Ordinal);
    }
}
