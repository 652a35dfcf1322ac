using OutlierPipeline.Detection;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>The shipped model of real streets, on real footage that it has not seen.</summary>
public sealed class RealFootageTests
{
    [Fact]
    public async Task Dusk_opens_an_alert_and_the_held_back_day_does_not()
    {
        string camvid = Repository.Footage("camvid");
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        await using var pipeline = new RunningPipeline(options with { Model = options.Model with { Path = Repository.CamVidDay } });
        await ReplayAsync(cluster, Path.Combine(camvid, "0016E5") + "[225..]", "day");
        await pipeline.Until(() => cluster.Committed()[0] == 80, "the day being committed");
        Assert.Empty(pipeline.Alerts);
        await ReplayAsync(cluster, Path.Combine(camvid, "0001TP"), "dusk");
        await pipeline.Until(() => cluster.Committed()[0] == 142, "the dusk being committed");
        Assert.Contains(pipeline.Alerts, alert => alert is { Type: AlertType.Opened, Camera: "dusk" });
        Assert.DoesNotContain(pipeline.Alerts, alert => alert.Camera == "day");
    }

    [Fact]
    public async Task A_video_is_replayed_through_ffmpeg()
    {
        string highway = Repository.Footage("highway");
        Repository.Needs("ffmpeg");
        using var cluster = new TestCluster(1);
        var replayed = await Tool.OutlierAsync("replay", "--input", Path.Combine(highway, "solidWhiteRight.mp4"), "--camera", "dashcam", "--bootstrap", cluster.Broker.BootstrapServers, "--fps", "0");
        Assert.Equal("", replayed.Error);
        Assert.Equal(0, replayed.Code);
        Assert.Contains("221 frames sent as dashcam", replayed.Output, StringComparison.Ordinal);
    }

    private static async Task ReplayAsync(TestCluster cluster, string input, string camera)
    {
        var replayed = await Tool.OutlierAsync("replay", "--input", input, "--camera", camera, "--bootstrap", cluster.Broker.BootstrapServers, "--fps", "10");
        Assert.True(replayed.Code == 0, replayed.Error);
    }
}
