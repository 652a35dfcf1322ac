namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Tests that measure what is the process's or the machine's, such as memory, gauges, time: they run beside no others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeasuredTests
{
    public const string Name = "measured";
}
