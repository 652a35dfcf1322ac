using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>Drives end, cameras fall silent, and some are only watched.</summary>
public sealed class DriveTests
{
    private long _time = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;

    [Fact]
    public async Task A_record_that_ends_the_drive_closes_the_incident_and_is_no_dead_letter()
    {
        using var cluster = new TestCluster(1);
        Send(cluster, "car-1", SmallFrames.FullDrive(1, 30));
        Send(cluster, "car-1", SmallFrames.FullDrive(1, 30, Trouble.Fog));
        cluster.Produce("car-1", null, 0, ("drive-event", "end"), ("frame-timestamp", Next()));
        cluster.Flush();
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => cluster.Committed()[0] == 61, "everything being committed");
        Assert.Equal([AlertType.Opened, AlertType.Closed], pipeline.Alerts.Select(alert => alert.Type));
        Assert.Equal("driveEnded", Alerts(cluster)[^1].GetProperty("data").GetProperty("closed").GetString());
        Assert.Empty(cluster.ReadAll(TestCluster.DeadLetters));
        Assert.Equal(60, cluster.ReadAll(TestCluster.Scores).Count);
    }

    [Fact]
    public async Task A_camera_that_falls_silent_is_an_incident_also_for_the_process_that_takes_over()
    {
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        options = options with { Detection = options.Detection with { SilentAfter = new() { ["car-1*"] = TimeSpan.FromSeconds(2) } } };
        Send(cluster, "car-1", SmallFrames.FullDrive(1, 20));
        Send(cluster, "car-2", SmallFrames.FullDrive(2, 20));
        string id;
        await using (var first = new RunningPipeline(options))
        {
            await first.Until(() => first.Alerts.Count > 0, "an alert of silence");
            var opened = first.Alerts[0];
            Assert.Equal(("car-1", AlertKind.Silent, AlertType.Opened), (opened.Camera, opened.Kind, opened.Type));
            id = opened.Incident;
            await first.StopAsync();
            Assert.DoesNotContain(first.Alerts, alert => alert.Camera == "car-2");
        }
        await using var second = new RunningPipeline(options);
        _time += 4_000_000_000;
        Send(cluster, "car-1", SmallFrames.FullDrive(1, 80));
        await second.Until(() => second.Alerts.Any(alert => alert.Type == AlertType.Closed), "the incident being closed");
        Assert.All(second.Alerts, alert => Assert.Equal(id, alert.Incident));
        Assert.DoesNotContain(second.Alerts, alert => alert.Type == AlertType.Opened);
    }

    [Fact]
    public async Task A_shadow_camera_is_scored_and_never_alerted_on()
    {
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        foreach (string camera in new[] { "new-1", "car-1" })
        {
            Send(cluster, camera, SmallFrames.FullDrive(1, 20));
            Send(cluster, camera, SmallFrames.FullDrive(1, 30, Trouble.Fog));
        }
        await using var pipeline = new RunningPipeline(options with { Detection = options.Detection with { Shadow = ["new-*"] } });
        await pipeline.Until(() => cluster.Committed()[0] == 100, "everything being committed");
        Assert.All(Alerts(cluster), alert => Assert.Equal("car-1", alert.GetProperty("data").GetProperty("camera").GetString()));
        var scores = cluster.ReadAll(TestCluster.Scores).Select(record => JsonDocument.Parse(record.Message.Value).RootElement).ToArray();
        Assert.Equal(50, scores.Count(score => score.TryGetProperty("shadow", out _)));
        Assert.Contains(scores, score => score.GetProperty("camera").GetString() == "new-1" && score.GetProperty("isOutlier").GetBoolean());
    }

    [Fact]
    public async Task An_incident_that_was_normal_gives_its_scores_back_and_other_settings_are_tried_on_stored_scores()
    {
        using var cluster = new TestCluster(1);
        Send(cluster, "car-1", SmallFrames.FullDrive(1, 30));
        Send(cluster, "car-1", SmallFrames.FullDrive(1, 60, Trouble.Snow));
        await using (var pipeline = new RunningPipeline(cluster.Options())) await pipeline.Until(() =>
            cluster.Committed()[0] == 90, "everything being committed");
        string incident = Alerts(cluster)[0].GetProperty("subject").GetString()!;
        string topic = $"kafka://{cluster.BootstrapServers}/{TestCluster.Scores}?fetch.wait.max.ms=5";
        string directory = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string model = Path.Combine(directory, "model");
            var tried = await Tool.OutlierAsync("evaluate", "--model", Repository.StreetDemo, "--scores", topic, "--what-if",
                "FalseAlarmProbability=1e-2,1e-6,1e-30");
            Assert.True(tried.Code == 0, tried.Error);
            int[] delays = [.. tried.Output.Split('\n').Where(line => line.Contains("│ 1e-", StringComparison.Ordinal)).Select(line =>
                int.TryParse(line.Split('│')[^2].Trim(), out int delay) ? delay : int.MaxValue)];
            Assert.Equal(3, delays.Length);
            Assert.True(delays[0] <= delays[1] && delays[1] < delays[2], string.Join(' ', delays));
            var added = await Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--add-normal", incident, "--scores", topic,
                "--out", model);
            Assert.True(added.Code == 0, added.Error);
            var before = ModelPackage.Load(Repository.StreetDemo);
            var after = ModelPackage.Load(model);
            Assert.Equal(before.Default.Digest, after.For("car-2").Digest);
            Assert.True(after.For("car-1").Calibration.Frames > before.Default.Calibration.Frames + 20);
            var other = await Tool.OutlierAsync("calibrate", "--model", Repository.CamVidDay, "--add-normal", incident, "--scores", topic,
                "--out", model);
            Assert.Equal(1, other.Code);
            Assert.Contains("another model", other.Error, StringComparison.Ordinal);
            var unknown = await Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--add-normal", "none", "--scores", topic);
            Assert.Equal(1, unknown.Code);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static JsonElement[] Alerts(TestCluster cluster) =>
        [.. cluster.ReadAll(TestCluster.Alerts).Select(record => JsonDocument.Parse(record.Message.Value).RootElement)];

    private void Send(TestCluster cluster, string camera, byte[][] frames)
    {
        foreach (byte[] frame in frames) cluster.Produce(camera, frame, 0, ("frame-timestamp", Next()));
        cluster.Flush();
    }

    private string Next() => (_time += 100_000_000).ToString(CultureInfo.InvariantCulture);
}
