using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Deploy;

/// <summary>Tests of the pipeline on Apache Kafka in containers, where there is podman; the image may be a stand-in.</summary>
[Collection(DebianRoot.Name)]
public sealed class ContainerBrokerTests(DebianRoot debian)
{
    [Fact]
    public async Task The_tests_own_clusters_can_be_containers()
    {
        LongTests.Ask();
        Repository.Needs("podman");
        Assert.SkipWhen(KafkaServer.Missing is not null, KafkaServer.Missing ?? "");
        var run = await Tool.RunAsync(Path.Combine(Repository.Root, "tests", "containers.sh"),
            ["--debian", debian.Directory, "-class", "*.ContainerTests", "-class", "*.FaultTests"], limit: TimeSpan.FromMinutes(10));
        Assert.True(run.Code == 0, run.Output + run.Error);
        Assert.DoesNotContain("no container engine answers", run.Output, StringComparison.Ordinal);
        // Two of them tell a broker to fail, or take it away.
        Assert.Matches(@"Total: \d+, Errors: 0, Failed: 0, Skipped: [012],", run.Output);
    }
}
