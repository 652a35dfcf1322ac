namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The same; it asks for rights to what somebody has a right to.</summary>
public sealed class SharedKafkaWithRights : SharedKafka
{
    protected override string[] Properties =>
        ["authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found=true"];
}
