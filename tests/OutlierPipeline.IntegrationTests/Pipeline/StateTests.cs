using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

public sealed class StateTests
{
    private long _time = 1_700_000_000_000_000_000;

    [Fact]
    public async Task A_restart_neither_forgets_nor_repeats_an_incident()
    {
        using var cluster = new TestCluster(1);
        Send(cluster, SmallFrames.FullDrive(1, 20));
        Send(cluster, SmallFrames.FullDrive(1, 30, Trouble.Fog));
        await using (var first = new RunningPipeline(cluster.Options()))
        {
            await first.Until(() => cluster.Committed()[0] == 50, "everything being committed");
            await first.StopAsync();
            Assert.Equal([AlertType.Opened], first.Alerts.Select(alert => alert.Type));
        }
        Assert.All(cluster.ReadAll(TestCluster.State), record => Assert.InRange(record.Message.Value?.Length ?? 0, 1, 2048));
        Send(cluster, SmallFrames.FullDrive(1, 60, Trouble.Fog));
        Send(cluster, SmallFrames.FullDrive(1, 120));
        await using (var second = new RunningPipeline(cluster.Options()))
        {
            await second.Until(() => cluster.Committed()[0] == 230, "everything being committed");
            Assert.Equal([AlertType.Escalated, AlertType.Closed], second.Alerts.Select(alert => alert.Type));
        }
        var alerts = cluster.ReadAll(TestCluster.Alerts).Select(record => JsonDocument.Parse(record.Message.Value).RootElement).ToArray();
        Assert.Single(alerts.Select(alert => alert.GetProperty("subject").GetString()).Distinct());
        Assert.Equal(3, alerts.Select(alert => alert.GetProperty("id").GetString()).Distinct().Count());
    }

    [Fact]
    public async Task A_camera_that_has_long_been_gone_leaves_a_tombstone_and_an_old_recording_does_not()
    {
        using var cluster = new TestCluster(1);
        // These frames say that they were taken years ago, but the camera is there now.
        Send(cluster, SmallFrames.FullDrive(1, 3));
        await using (var first = new RunningPipeline(cluster.Options()))
        {
            await first.Until(() => cluster.Committed()[0] == 3, "everything being committed");
            // The last commit of all, which would write a tombstone if any did.
            await first.StopAsync();
        }
        Assert.All(cluster.ReadAll(TestCluster.State), record => Assert.NotNull(record.Message.Value));
        var options = cluster.Options();
        await using var second =
            new RunningPipeline(options with { Detection = options.Detection with { ForgetAfter = TimeSpan.FromMinutes(1) } },
            new LaterTimeProvider(TimeSpan.FromDays(1)));
        cluster.Read(records => records.Any(record => record.Message.Value is null), TestCluster.State);
    }

    [Fact]
    public async Task Cameras_that_differ_are_scored_by_the_models_that_their_patterns_name()
    {
        using var cluster = new TestCluster(1);
        byte[] frame = SmallFrames.Drive(1, 1)[0];
        foreach (string camera in new[] { "car-1/front", "truck-7/front", "truck-7/rear" }) cluster.Produce(camera, frame);
        cluster.Flush();
        var options = cluster.Options();
        options = options with
        {
            Model = new ModelOptions
            {
                Path = Repository.StreetDemo,
                Cameras = new() { ["truck-*"] = Repository.CamVidDay, ["truck-?/rear"] = Repository.StreetDemo }
            }
        };
        await using var pipeline = new RunningPipeline(options);
        var scores = cluster.Read(records => records.Count == 3, TestCluster.Scores).Select(record =>
            JsonDocument.Parse(record.Message.Value).RootElement).ToDictionary(score => score.GetProperty("camera").GetString()!, score =>
            score.GetProperty("model").GetString());
        Assert.Equal("street-demo", scores["car-1/front"]);
        Assert.Equal("camvid-day", scores["truck-7/front"]);
        Assert.Equal("street-demo", scores["truck-7/rear"]);
    }

    [Fact]
    public async Task Frames_too_old_are_skipped_where_the_policy_says_so_and_accounted_for()
    {
        using var cluster = new TestCluster(1);
        byte[] frame = SmallFrames.Drive(1, 1)[0];
        for (int i = 0; i < 5; i++) cluster.Produce("car-1", frame);
        cluster.Flush();
        await Task.Delay(50, TestContext.Current.CancellationToken);
        await using var pipeline =
            new RunningPipeline(cluster.Options() with
            {
                Overload = new OverloadOptions
                {
                    Policy = OverloadPolicy.SkipStale,
                    MaxFrameAge = TimeSpan.FromMilliseconds(20)
                }
            });
        var scores = cluster.Read(records => records.Count == 5, TestCluster.Scores).Select(record =>
            JsonDocument.Parse(record.Message.Value).RootElement);
        Assert.All(scores, score =>
        {
            Assert.Equal("skipped", score.GetProperty("status").GetString());
            Assert.False(score.TryGetProperty("scores", out _));
        });
        await pipeline.Until(() => cluster.Committed()[0] == 5, "everything being committed");
    }

    private void Send(TestCluster cluster, byte[][] frames)
    {
        foreach (byte[] frame in frames)
            cluster.Produce("car-1/front", frame, 0, ("frame-timestamp", (_time += 100_000_000).ToString(CultureInfo.InvariantCulture)));
        cluster.Flush();
    }
}
