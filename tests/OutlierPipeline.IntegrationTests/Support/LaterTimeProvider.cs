namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The system's clock, some time ahead.</summary>
internal sealed class LaterTimeProvider(TimeSpan ahead) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + ahead;
}
