using DotNet.Testcontainers.Builders;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using Testcontainers.Kafka;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>The same promises on a real broker, where a container engine answers.</summary>
public sealed class ContainerTests
{
    [Fact]
    public async Task On_Kafka_itself_topics_are_made_frames_are_scored_and_offsets_committed()
    {
        await using var kafka = await StartAsync();
        string servers = kafka.GetBootstrapAddress();
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

    /// <summary>Skips the test where no container engine answers.</summary>
    private static async Task<KafkaContainer> StartAsync()
    {
        try
        {
            var kafka = new KafkaBuilder("apache/kafka:4.1.0").Build();
            await kafka.StartAsync(TestContext.Current.CancellationToken);
            return kafka;
        }
        catch (DockerUnavailableException)
        {
            Assert.Skip("no container engine answers on this machine");
            throw;
        }
    }
}
