using System.Globalization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>Wrong clocks, forgotten cameras and stale frames, through Kafka.</summary>
public sealed class ClockTests
{
    private static readonly long Now = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;

    public static TheoryData<string> Clocks => ["milliseconds", "seconds", "zero", "one in 2038", "set back"];

    [Theory]
    [MemberData(nameof(Clocks))]
    public async Task Fog_and_a_frozen_picture_open_alerts_whatever_the_stamps_are_also_across_a_restart(string clock)
    {
        using var cluster = new TestCluster(1);
        byte[][] normal = SmallFrames.FullDrive(1, 40);
        Send(cluster, "foggy", clock, normal, 0);
        Send(cluster, "frozen", clock, normal, 0);
        int told;
        await using (var first = new RunningPipeline(cluster.Options()))
        {
            await first.Until(() => cluster.Committed()[0] == 80, "everything being committed");
            await first.StopAsync();
            Assert.Empty(first.Alerts);
            told = first.Log.Messages.Count(IsAboutClock);
        }
        Send(cluster, "foggy", clock, SmallFrames.FullDrive(1, 30, Trouble.Fog), 40);
        Send(cluster, "frozen", clock, [.. Enumerable.Repeat(normal[39], 40)], 40);
        await using var second = new RunningPipeline(cluster.Options());
        await second.Until(() => cluster.Committed()[0] == 150, "everything being committed");
        Assert.Contains(second.Alerts, alert => alert is { Camera: "foggy", Type: AlertType.Opened, Kind: not AlertKind.Frozen });
        Assert.Contains(second.Alerts, alert => alert is { Camera: "frozen", Type: AlertType.Opened, Kind: AlertKind.Frozen });
        // Once a camera, not once a frame; what was told before the restart is no news after it.
        Assert.Equal((2, 0), (told, second.Log.Messages.Count(IsAboutClock)));

        static bool IsAboutClock(string message) => message.Contains("The clock of camera", StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_forgotten_cameras_incident_is_closed_before_its_state_is_deleted()
    {
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        Send(cluster, "gone", "right", SmallFrames.FullDrive(1, 20), 0);
        Send(cluster, "gone", "right", SmallFrames.FullDrive(1, 30, Trouble.Fog), 20);
        string incident;
        await using (var first = new RunningPipeline(options))
        {
            await first.Until(() => cluster.Committed()[0] == 50, "everything being committed");
            incident = first.Alerts.Single(alert => alert.Type == AlertType.Opened).Incident;
            await first.StopAsync();
        }
        await using var second =
            new RunningPipeline(options with
            {
                Detection = options.Detection with
                {
                    ForgetAfter = TimeSpan.FromMinutes(1),
                    DriveGap = TimeSpan.FromDays(30)
                }
            }, new LaterTimeProvider(TimeSpan.FromDays(1)));
        cluster.Read(records => records.Any(record => record.Message.Value is null), TestCluster.State);
        Assert.Equal((AlertType.Closed, incident), (second.Alerts.Single().Type, second.Alerts.Single().Incident));
    }

    [Fact]
    public async Task A_producer_whose_clock_is_slow_loses_no_frame_to_SkipStale()
    {
        using var cluster = new TestCluster(1);
        var options = cluster.Options() with
        {
            Overload = new OverloadOptions
            {
                Policy = OverloadPolicy.SkipStale,
                MaxFrameAge = TimeSpan.FromSeconds(3)
            }
        };
        await using var pipeline = new RunningPipeline(options);
        await pipeline.Until(() => pipeline.NotReady.Count == 0, "being ready");
        byte[][] frames = SmallFrames.Drive(1, 10);
        for (int i = 0; i < 40; i++)
        {
            foreach (var (camera, offset) in new[] { ("slow", -6), ("right", 0), ("ahead", 3600) })
            {
                long stamp = (DateTimeOffset.UtcNow.AddSeconds(offset) - DateTimeOffset.UnixEpoch).Ticks * 100;
                cluster.ProduceAt(DateTimeOffset.UtcNow.AddSeconds(offset), camera, frames[i % 10], 0,
                    ("frame-timestamp", stamp.ToString(CultureInfo.InvariantCulture)));
            }
            cluster.Flush();
            int read = (i + 1) * 3;
            await pipeline.Until(() => cluster.Committed()[0] >= read, "the frames being read");
        }
        Assert.DoesNotContain(cluster.ReadAll(TestCluster.Scores), record =>
            System.Text.Encoding.UTF8.GetString(record.Message.Value).Contains("skipped", StringComparison.Ordinal));
    }

    private static void Send(TestCluster cluster, string camera, string clock, byte[][] frames, int first)
    {
        for (int i = 0; i < frames.Length; i++)
        {
            long right = Now + (first + i) * 100_000_000L;
            long stamp = clock switch
            {
                "milliseconds" => right / 1_000_000,
                "seconds" => right / 1_000_000_000,
                "zero" => 0,
                "one in 2038" when first + i == 20 => 2_147_483_647_000_000_000,
                "set back" when first + i > 20 => right - 3_600_000_000_000,
                _ => right,
            };
            // The records' own times go on as the frames were taken, whatever the camera says.
            cluster.ProduceAt(DateTimeOffset.UnixEpoch.AddTicks(right / 100), camera, frames[i], 0,
                ("frame-timestamp", stamp.ToString(CultureInfo.InvariantCulture)));
        }
        cluster.Flush();
    }
}
