namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The same; groups of the consumer protocol have Kafka's own session, so that who leaves is told from who is missed.</summary>
public sealed class SharedKafkaWithLongSessions : SharedKafka
{
    protected override string[] Properties => ["group.consumer.session.timeout.ms=45000"];
}
