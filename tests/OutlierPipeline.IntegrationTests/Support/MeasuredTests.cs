namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Tests that count by the process's one meter: no other pipeline may run beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeasuredTests
{
    public const string Name = "measured";
}
