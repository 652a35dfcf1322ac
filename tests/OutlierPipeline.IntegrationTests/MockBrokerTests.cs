using Confluent.Kafka;
using OutlierPipeline.Footage.Simulation;

namespace OutlierPipeline.IntegrationTests;

public sealed class MockBrokerTests
{
    [Fact]
    public async Task What_a_client_produces_another_reads_back()
    {
        using var broker = new MockBroker();
        broker.CreateTopic("camera.frames", 3);
        using var producer = new ProducerBuilder<string, string>(new ProducerConfig { BootstrapServers = broker.BootstrapServers }).Build();
        var sent = await producer.ProduceAsync(new TopicPartition("camera.frames", 2),
            new Message<string, string> { Key = "car-1/front", Value = "a frame" }, TestContext.Current.CancellationToken);
        using var consumer = new ConsumerBuilder<string, string>(new ConsumerConfig
        {
            BootstrapServers = broker.BootstrapServers,
            GroupId = "test"
        }).Build();
        consumer.Assign(new TopicPartitionOffset(sent.TopicPartition, 0));
        var read = consumer.Consume(TestContext.Current.CancellationToken);
        Assert.Equal("a frame", read.Message.Value);
    }
}
