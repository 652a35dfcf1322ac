namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The same; groups of the consumer protocol have sessions longer than a test, so that who leaves is told from who is missed.
/// </summary>
public sealed class SharedKafkaWithLongSessions : SharedKafka
{
    protected override string[] Properties => ["group.consumer.max.session.timeout.ms=300000", "group.consumer.session.timeout.ms=300000"];
}
