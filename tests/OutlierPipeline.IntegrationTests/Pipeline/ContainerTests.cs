using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>The same promises on a real broker, where a container engine answers.</summary>
public sealed class ContainerTests
{
    [Fact]
    public async Task On_Kafka_itself_topics_are_made_frames_are_scored_and_offsets_committed()
    {
        await using var kafka = await KafkaServer.InContainerAsync();
        string servers = kafka.BootstrapServers;
        var created = await Tool.OutlierAsync("check", "--bootstrap", servers, "--create", "--partitions", "2");
        Assert.True(created.Code == 0, created.Output + created.Error);
        Assert.Contains("cleanup.policy: compact", created.Output, StringComparison.Ordinal);
        var options = new PipelineOptions
        {
            Kafka = new KafkaOptions { BootstrapServers = servers },
            Model = new ModelOptions { Path = Repository.StreetDemo }
        };
        await using var pipeline = new RunningPipeline(options);
        var sent = await Tool.OutlierAsync("simulate", "--bootstrap", servers, "--duration", "00:00:05");
        Assert.True(sent.Code == 0, sent.Error);
        var looked = await Tool.OutlierAsync("check", "--bootstrap", servers);
        Assert.True(looked.Code == 0, looked.Output);
        await pipeline.StopAsync();
        Assert.DoesNotContain(pipeline.Log.Messages, message => message.StartsWith("Error", StringComparison.Ordinal));
    }
}
