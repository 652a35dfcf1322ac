using OutlierPipeline.Alerts;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>The shipped model of real streets, on real footage that it has not seen.</summary>
public sealed class RealFootageTests
{
    [Fact]
    public async Task Dusk_that_falls_opens_an_alert_and_the_held_back_day_does_not()
    {
        string camvid = Repository.Footage("camvid");
        using var evening = new TestDirectory();
        // What the package's training has not seen: the last fifth of the drive, then the drive at dusk.
        foreach (string file in Pictures(camvid, "0016E5").Skip(244))
            File.Copy(file, evening.File("1-" + Path.GetFileName(file)));
        foreach (string file in Pictures(camvid, "0001TP"))
            File.Copy(file, evening.File("2-" + Path.GetFileName(file)));
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        await using var pipeline = new RunningPipeline(options with { Model = options.Model with { Path = Repository.CamVidDay } });
        await ReplayAsync(cluster, Path.Combine(camvid, "0016E5") + "[244..]", "day");
        await pipeline.Until(() => cluster.Committed()[0] == 61, "the day being committed");
        Assert.Empty(pipeline.Alerts);
        await ReplayAsync(cluster, evening.File(""), "evening");
        await pipeline.Until(() => cluster.Committed()[0] == 61 + 123, "the evening being committed");
        var opened = Assert.Single(pipeline.Alerts, alert => alert.Type == AlertType.Opened);
        Assert.Equal(("evening", AlertTest.Onset), (opened.Camera, opened.Test));
        Assert.InRange(opened.Last.Offset, 61 + 61, 61 + 61 + 15);
    }

    [Fact]
    public async Task After_a_calibration_dusk_opens_an_alert_from_its_first_frames_on()
    {
        string camvid = Repository.Footage("camvid");
        using var directory = new TestDirectory();
        string model = directory.File("calibrated");
        var calibrated = await Tool.OutlierAsync("calibrate", "--model", Repository.CamVidDay, "--frames",
            Path.Combine(camvid, "0016E5") + "[244..]", "--fps", "1", "--out", model);
        Assert.True(calibrated.Code == 0, calibrated.Error);
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        await using var pipeline = new RunningPipeline(options with { Model = options.Model with { Path = model } });
        await ReplayAsync(cluster, Path.Combine(camvid, "0006R0") + "[80..]", "day");
        await pipeline.Until(() => cluster.Committed()[0] == 21, "the day being committed");
        await ReplayAsync(cluster, Path.Combine(camvid, "0001TP"), "dusk");
        await pipeline.Until(() => cluster.Committed()[0] == 21 + 62, "the dusk being committed");
        var opened = Assert.Single(pipeline.Alerts, alert => alert.Type == AlertType.Opened);
        Assert.Equal(("dusk", AlertTest.Level), (opened.Camera, opened.Test));
    }

    [Fact]
    public async Task A_video_is_replayed_through_ffmpeg()
    {
        string highway = Repository.Footage("highway");
        Repository.Needs("ffmpeg");
        using var cluster = new TestCluster(1);
        var replayed = await Tool.OutlierAsync("replay", "--input", Path.Combine(highway, "solidWhiteRight.mp4"), "--camera", "dashcam",
            "--bootstrap", cluster.BootstrapServers, "--fps", "0");
        Assert.Equal("", replayed.Error);
        Assert.Equal(0, replayed.Code);
        Assert.Contains("221 frames sent as dashcam", replayed.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Four_commands_take_a_drive_to_a_running_detector()
    {
        string drive = Path.Combine(Repository.Footage("udacity-sim"), "drive");
        string directory = Directory.CreateTempSubdirectory().FullName;
        string model = Path.Combine(directory, "sim");
        try
        {
            // As in the README, but for the epochs and of fewer frames: what is learned is not the matter here.
            var trained = await Tool.RunAsync("dotnet",
                ["exec", Tool.Trainer, "--frames", drive + "[..25%]", "--split", "80,20,0", "--epochs", "3", "--out", model]);
            Assert.True(trained.Code == 0, trained.Error);
            var calibrated = await Tool.OutlierAsync("calibrate", "--model", model, "--frames", drive + "[70%..85%]");
            Assert.True(calibrated.Code == 0, calibrated.Error);
            var evaluated = await Tool.OutlierAsync("evaluate", "--model", model, "--normal", drive + "[85%..]", "--corruptions",
                "--corruption-frames", "8", "--out", Path.Combine(directory, "report"));
            Assert.True(evaluated.Code == 0, evaluated.Error);
            Assert.True(File.Exists(Path.Combine(directory, "report", "report.html")));
            var demo = await Tool.RunAsync("dotnet", ["exec", Tool.Service, "demo", "--duration", "00:00:15", "--urls",
                "http://127.0.0.1:0", "--model", model, "--frames", drive + "[85%..]"]);
            Assert.True(demo.Code == 0, demo.Error);
            Assert.Contains("opened", demo.Output, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task A_video_is_footage_for_a_model_too()
    {
        string highway = Repository.Footage("highway");
        Repository.Needs("ffmpeg");
        using var footage = await new FootageLoader().LoadAsync([Path.Combine(highway, "solidWhiteRight.mp4")], new FrameSize(80, 144),
            TestContext.Current.CancellationToken);
        Assert.Equal(221, footage.Count);
        Assert.Single(footage.Drives);
    }

    /// <summary>Minutes long, so it is asked for: OUTLIER_REPRODUCE=1 ./test.sh '*shipped_package_again*'.</summary>
    [Fact]
    public async Task Training_a_shipped_package_again_gives_its_figures_again()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("OUTLIER_REPRODUCE") == "1",
            "takes minutes: set OUTLIER_REPRODUCE=1 to train models/camvid-day again");
        _ = Repository.Footage("camvid");
        string directory = Directory.CreateTempSubdirectory().FullName;
        try
        {
            var shipped = ModelPackage.Load(Repository.CamVidDay).Card;
            string again = Path.Combine(directory, shipped.Name);
            string command = shipped.Training.Command.Replace($"models/{shipped.Name}", again, StringComparison.Ordinal);
            var trained = await Tool.RunAsync("bash", ["-c", command], limit: TimeSpan.FromMinutes(20));
            Assert.True(trained.Code == 0, trained.Error);
            var card = ModelPackage.Load(again).Card;
            Assert.Equal(shipped.Training.Footage.Digest, card.Training.Footage.Digest);
            foreach (var (name, value) in shipped.Quality.Where(figure => figure.Key != "trainingFramesPerSecond"))
                Assert.True(Math.Abs(card.Quality[name] - value) <= 1e-3 * Math.Max(1, Math.Abs(value)),
                    $"{name}: {card.Quality[name]}, shipped {value}");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static IEnumerable<string> Pictures(string camvid, string drive) =>
        Directory.GetFiles(Path.Combine(camvid, drive)).Order(StringComparer.Ordinal);

    private static async Task ReplayAsync(TestCluster cluster, string input, string camera)
    {
        var replayed = await Tool.OutlierAsync("replay", "--input", input, "--camera", camera, "--bootstrap",
            cluster.BootstrapServers, "--fps", "10");
        Assert.True(replayed.Code == 0, replayed.Error);
    }
}
