using System.Globalization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>What becomes of a camera that sends nothing more, and how soon.</summary>
[Collection(MeasuredTests.Name)]
public sealed class SilenceTests
{
    private static readonly long Now = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;

    [Fact]
    public async Task A_silent_camera_is_found_in_its_time_while_others_fill_the_partition()
    {
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        options = options with { Detection = options.Detection with { SilentAfter = new() { ["quiet"] = TimeSpan.FromSeconds(3) } } };
        await using var pipeline = new RunningPipeline(options);
        byte[][] frames = SmallFrames.FullDrive(2, 10);
        Send(cluster, "quiet", frames, 0);
        int sent = 0;
        DateTimeOffset? last = null;
        await pipeline.Until(() =>
        {
            for (int i = 0; i < 6; i++) Send(cluster, "busy", [frames[sent % frames.Length]], sent++);
            last ??= cluster.Committed()[0] >= 10 ? DateTimeOffset.UtcNow : null;
            return pipeline.Alerts.Any(alert => alert.Kind == AlertKind.Silent);
        }, "the silence being found");
        Assert.True(sent > 200, $"{sent} frames of others are no traffic");
        Assert.Equal("quiet", pipeline.Alerts.Single(alert => alert.Kind == AlertKind.Silent).Camera);
        // A bound against being put off by others' traffic, which took 22 to 53 s; not a measurement.
        Assert.True(DateTimeOffset.UtcNow - last!.Value < TimeSpan.FromSeconds(15), "the silence was found late");
    }

    [Fact]
    public async Task An_incident_of_a_camera_that_never_sends_again_ends_while_others_go_on_and_not_by_an_outage()
    {
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        options = options with { Detection = options.Detection with { DriveGap = TimeSpan.FromSeconds(4) } };
        Send(cluster, "gone", SmallFrames.FullDrive(1, 20), 0);
        Send(cluster, "gone", SmallFrames.FullDrive(1, 30, Trouble.Fog), 20);
        await using var pipeline = new RunningPipeline(options);
        await pipeline.Until(() => pipeline.Alerts.Any(alert => alert.Type == AlertType.Opened), "the incident being opened");
        var opened = DateTimeOffset.UtcNow;
        // The brokers are away for longer than the gap: nobody's camera has fallen silent by that.
        await cluster.SetReachableAsync(1, false);
        await pipeline.Until(() => DateTimeOffset.UtcNow - opened > TimeSpan.FromSeconds(8), "the outage");
        await cluster.SetReachableAsync(1, true);
        Assert.DoesNotContain(pipeline.Alerts, alert => alert.Type == AlertType.Closed);
        byte[][] others = SmallFrames.FullDrive(2, 10);
        int sent = 0;
        await pipeline.Until(() =>
        {
            // Another camera of the same partition goes on all the time.
            Send(cluster, "stays", [others[sent % others.Length]], sent++);
            return pipeline.Alerts.Any(alert => alert.Type == AlertType.Closed);
        }, "the incident being closed");
        Assert.True(sent > 20, "the others had stopped");
        Assert.Equal(CloseReason.DriveEnded, pipeline.Alerts.Single(alert => alert.Type == AlertType.Closed).Closed);
    }

    private static void Send(TestCluster cluster, string camera, byte[][] frames, int first)
    {
        for (int i = 0; i < frames.Length; i++)
        {
            long stamp = Now + (first + i) * 100_000_000L;
            cluster.ProduceAt(DateTimeOffset.UnixEpoch.AddTicks(stamp / 100), camera, frames[i], 0,
                ("frame-timestamp", stamp.ToString(CultureInfo.InvariantCulture)));
        }
        cluster.Flush();
    }
}
