namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The same of three nodes, of which a test may lose some, if it revives them.</summary>
public sealed class SharedThreeNodes : SharedKafka
{
    protected override int Nodes => 3;
}
