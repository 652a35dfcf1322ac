using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Deploy;

/// <summary>
/// The image of the Dockerfile, where there is podman; its base images are stand-ins, since not every machine reaches a registry.
/// </summary>
[Collection(DebianRoot.Name)]
public sealed class ImageTests(DebianRoot debian)
{
    [Fact]
    public async Task The_image_is_built_and_its_demo_its_tool_and_its_health_check_run_as_nobody_on_a_root_that_is_read_only()
    {
        LongTests.Ask();
        Repository.Needs("podman");
        var tried = await Tool.RunAsync(Path.Combine(Repository.Root, "deploy", "docker", "try.sh"), ["--stand-ins", debian.Directory],
            limit: TimeSpan.FromMinutes(10));
        Assert.True(tried.Code == 0, tried.Output + tried.Error);
        Assert.Contains("all is well", tried.Output, StringComparison.Ordinal);
    }
}
