using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using SkiaSharp;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary>A model's life as a user sees it: train, calibrate, evaluate, look at.</summary>
public sealed class ModelLifeTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private string At(string name) => Path.Combine(_directory, name);

    [Theory]
    [InlineData("--architecture", "vae", "--height", "48", "--width", "80")]
    [InlineData("--width", "80")]
    public async Task Training_that_is_interrupted_leaves_a_checkpoint_goes_on_and_ends_with_a_package_that_scores(params string[] kind)
    {
        Write("drive", SmallFrames.FullDrive(40, 140));
        string[] train = ["exec", Tool.Trainer, "--frames", At("drive"), "--out", At("model"), .. kind,
            "--latent", "8", "--epochs", "30000", "--threads", "2"];
        using (var process = Tool.Start("dotnet", train))
        {
            // One checkpoint before the first step, one after each epoch: once it has changed, an epoch has ended, of so many that no
            // machine is through before it is told to stop.
            string checkpoint = At("model.training/checkpoint");
            await WaitForAsync(() => File.Exists(checkpoint));
            var first = File.GetLastWriteTimeUtc(checkpoint);
            await WaitForAsync(() => File.GetLastWriteTimeUtc(checkpoint) > first);
            await Tool.RunAsync("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)]);
            string error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(process.ExitCode == 130, $"{process.ExitCode}: {error}");
            Assert.Contains("--resume", error, StringComparison.Ordinal);
            Assert.False(Directory.Exists(At("model")));
        }
        var finished = await Tool.RunAsync("dotnet", [.. train, "--resume", "--finish", "--licence", "none"]);
        Assert.True(finished.Code == 0, finished.Error);
        Assert.False(Directory.Exists(At("model.training")));
        var package = ModelPackage.Load(At("model"));
        Assert.Equal((98, 21, 21),
            (package.Card.Training.Footage.Frames, package.Card.Calibration.Frames, package.Card.Quality["testFrames"]));
        var scored = await Tool.OutlierAsync("score", "--model", At("model"), "--input", At("drive"), "--out", At("scores.csv"));
        Assert.True(scored.Code == 0, scored.Error);
    }

    [Fact]
    public async Task A_training_that_cannot_be_is_refused_with_one_line_and_writes_nothing()
    {
        Write("drive", SmallFrames.FullDrive(40, 30));
        Directory.CreateDirectory(At("empty"));
        foreach (var (arguments, message) in new (string[], string)[]
        {
            (["--frames", At("drive")], "too few to train on"),
            (["--frames", At("empty")], "no pictures"),
            (["--frames", At("nowhere")], "no such directory"),
            (["--frames", At("drive"), "--device", "cuda"], "no CUDA device answers"),
            (["--frames", At("drive"), "--architecture", "vae", "--height", "50", "--width", "80", "--split", "100,0,0", "--calibration",
                At("drive")],
                "what trains must not calibrate"),
            (["--frames", At("drive"), "--resume"], "too few"),
            (["--frames", At("drive"), "--libtorch", At("empty")], "no such library"),
        })
        {
            var refused = await Tool.RunAsync("dotnet", ["exec", Tool.Trainer, .. arguments, "--out", At("model")]);
            Assert.True(refused.Code == 1, $"{refused.Code}: {refused.Output}{refused.Error}");
            Assert.Contains(message, refused.Error, StringComparison.Ordinal);
            Assert.Single(refused.Error.TrimEnd().Split('\n'));
        }
        var wrong = await Tool.RunAsync("dotnet",
            ["exec", Tool.Trainer, "--frames", At("drive"), "--out", At("model"), "--split", "50,20"]);
        Assert.Equal(2, wrong.Code);
        Assert.Equal(["drive", "empty"], Directory.GetFileSystemEntries(_directory).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task Calibrate_gives_a_camera_its_own_calibration_and_mask_and_every_other_stays()
    {
        CopyPackage();
        Write("fog", SmallFrames.FullDrive(41, 40, Trouble.Fog));
        File.WriteAllBytes(At("mask.png"), HalfMask());
        var before = ModelPackage.Load(At("model"));
        var camera = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--camera", "car-9/front", "--frames", At("fog"),
            "--mask", At("mask.png"));
        Assert.True(camera.Code == 0, camera.Error);
        Assert.Contains("car-9/front", camera.Output, StringComparison.Ordinal);
        var after = ModelPackage.Load(At("model"));
        Assert.Equal(before.Default.Digest, after.Default.Digest);
        Assert.Equal(40, after.For("car-9/front").Calibration.Frames);
        Assert.NotNull(after.For("car-9/front").Mask);
        Assert.Equal(40, after.For("car-9/front").Calibration.LatentMap!.Points.Length);
        // Fog is normal for this camera now, and strange for the others.
        Assert.True(await MedianPAsync("car-9/front") > 0.2);
        Assert.True(await MedianPAsync("car-8/front") < 0.01);
        var pooled = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--frames", At("fog"), "--out", At("foggy"));
        Assert.True(pooled.Code == 0, pooled.Error);
        Assert.Contains("100.0 %", pooled.Output, StringComparison.Ordinal);
        Assert.Equal(before.Digest, ModelPackage.Load(At("foggy")).Digest);
        Assert.Equal(40, ModelPackage.Load(At("foggy")).Default.Calibration.Frames);
        Assert.Equal(40, ModelPackage.Load(At("foggy")).Default.Calibration.LatentMap!.Points.Length);
        Assert.Equal(after.Default.Digest, ModelPackage.Load(At("model")).Default.Digest);
        Write("few", SmallFrames.FullDrive(41, 5));
        var few = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--frames", At("few"));
        Assert.Equal(1, few.Code);
        Assert.Contains("too few", few.Error, StringComparison.Ordinal);

        async Task<double> MedianPAsync(string id)
        {
            var scored = await Tool.OutlierAsync("score", "--model", At("model"), "--input", At("fog"), "--camera", id, "--out",
                At("scores.csv"));
            Assert.True(scored.Code == 0, scored.Error);
            double[] p = [.. (await File.ReadAllLinesAsync(At("scores.csv"), TestContext.Current.CancellationToken)).Skip(1).Select(line =>
                double.Parse(line.Split(',')[^4], CultureInfo.InvariantCulture)).Order()];
            return p[p.Length / 2];
        }
    }

    [Fact]
    public async Task Calibrate_gives_a_slice_its_own_calibration_which_cameras_with_its_tag_have()
    {
        CopyPackage();
        Write("night", SmallFrames.FullDrive(41, 40, Trouble.Night));
        var calibrated = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--slice", "time=night", "--frames", At("night"));
        Assert.True(calibrated.Code == 0, calibrated.Error);
        Assert.Contains("the slice time=night", calibrated.Output, StringComparison.Ordinal);
        var options = new ModelOptions
        {
            Path = At("model"),
            Tags = new() { ["truck-*"] = "time=night", ["truck-9"] = "time=day" }
        };
        Assert.Contains("no calibration of the tag 'time=day'", Assert.Throws<ModelPackageException>(options.Load).Message,
            StringComparison.Ordinal);
        var package = (options with { Tags = new() { ["truck-*"] = "time=night" } }).Load()[At("model")];
        Assert.Equal(40, package.For("truck-7").Calibration.Frames);
        Assert.Equal(package.Default, package.For("car-1"));
        Assert.Equal(package.Default.Digest, ModelPackage.Load(At("model")).For("truck-7").Digest);
        // A night is strange to the package as a whole, and as usual within the slice.
        using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        using var night = await new FootageLoader().LoadAsync([At("night")], package.Card.Network.Size,
            TestContext.Current.CancellationToken);
        float[][] rows = scorer.Score(night, null, TestContext.Current.CancellationToken);
        Assert.InRange(Alarms("truck-7"), 0, 4);
        Assert.InRange(Alarms("car-1"), 30, 40);
        Assert.Contains("time=night", (await Tool.OutlierAsync("models", At("model"))).Output, StringComparison.Ordinal);
        var both = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--slice", "a=b", "--camera", "c", "--frames", At("night"));
        Assert.Contains("exclude each other", both.Error, StringComparison.Ordinal);

        // Whose tag changes begins its evidence anew, and keeps its open incident.
        var untagged = ModelPackage.Load(At("model"));
        var state = new ArrayBufferWriter<byte>();
        var before = new CameraDetector("truck-7", untagged, new DetectionOptions());
        for (int i = 0; i < 60; i++) Observe(before, i);
        Assert.True(before.HasOpenIncident);
        before.WriteState(state, DateTimeOffset.UnixEpoch);
        foreach (var (loaded, isTagged) in new[] { (untagged, false), (package, true) })
        {
            var after = new CameraDetector("truck-7", loaded, new DetectionOptions());
            Assert.True(after.TryRestore(state.WrittenSpan));
            Assert.True(after.HasOpenIncident);
            double evidence = Observe(after, 60).Martingale;
            Assert.True(isTagged ? evidence < 1 : evidence > 6, $"tagged: {isTagged}, evidence {evidence}");
        }

        Verdict Observe(CameraDetector detector, int i)
        {
            byte[] pixels = new byte[192];
            new Random(i).NextBytes(pixels);
            return detector.Observe(new FrameObservation
            {
                Frame = new FrameRef("camera.frames", 0, i, (i + 1) * 100_000_000L),
                Scores = rows[i % rows.Length],
                ErrorMap = new float[package.Card.Network.ErrorMapHeight * package.Card.Network.ErrorMapWidth],
                Pixels = pixels,
            }, []);
        }

        int Alarms(string camera) => rows.Count(row =>
        {
            var calibration = package.For(camera).Calibration;
            return calibration.PValue(calibration.Combine(row)) <= 0.05;
        });
    }

    [Fact]
    public async Task Calibrate_claims_no_more_than_it_saw()
    {
        using var parked = new StreetCamera(44);
        byte[] picture = parked.Render(5);
        Write("copies", [.. Enumerable.Repeat(picture, 120)]);
        Write("parked", [.. Enumerable.Range(0, 120).Select(_ => parked.Render(5))]);
        for (int drive = 0; drive < 10; drive++) Write($"short/{drive}", SmallFrames.FullDrive(100 + drive, 5));
        foreach (var (frames, most) in new[] { ("copies", 1.01), ("parked", 2), ("short", 10.01) })
        {
            var calibrated = await Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--frames", At(frames), "--out",
                At("of-" + frames));
            Assert.True(calibrated.Code == 0, calibrated.Error);
            Assert.InRange(ModelPackage.Load(At("of-" + frames)).Default.Calibration.EffectiveFrames, 0.99, most);
            Assert.Contains("This footage shows too little", calibrated.Error, StringComparison.Ordinal);
            var evaluated = await Tool.OutlierAsync("evaluate", "--model", At("of-" + frames), "--normal", At(frames), "--outlier",
                $"short={At("short")}", "--out", At("report"));
            Assert.True(evaluated.Code == 0, evaluated.Error);
        }
    }

    [Fact]
    public async Task Calibrate_reads_a_cameras_last_frames_from_a_topic()
    {
        CopyPackage();
        using var cluster = new TestCluster(2);
        byte[][] frames = SmallFrames.FullDrive(42, 30);
        foreach (byte[] frame in frames)
        {
            cluster.Produce("car-1/front", frame);
            cluster.Produce("car-2/front", frame);
        }
        cluster.Flush();
        string topic = $"kafka://{cluster.BootstrapServers}/{TestCluster.Frames}?seconds=600&fetch.wait.max.ms=5";
        var camera = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--camera", "car-2/front", "--frames", topic);
        Assert.True(camera.Code == 0, camera.Error);
        var package = ModelPackage.Load(At("model"));
        Assert.Equal(30, package.For("car-2/front").Calibration.Frames);
        Assert.Same(package.Default, package.For("car-1/front"));
        // The same pictures from files are the same calibration.
        Write("files", frames);
        var files = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--camera", "car-3/front", "--frames", At("files"));
        Assert.True(files.Code == 0, files.Error);
        package = ModelPackage.Load(At("model"));
        Assert.Equal(package.Card.Cameras!["car-2/front"].Footage.Digest, package.Card.Cameras["car-3/front"].Footage.Digest);
        Assert.Equal(package.For("car-2/front").Digest, package.For("car-3/front").Digest);
        var none = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--camera", "car-7/front", "--frames", topic);
        Assert.Equal(1, none.Code);
        var nowhere = await Tool.OutlierAsync("calibrate", "--model", At("model"), "--frames", "kafka://127.0.0.1:1/topic");
        Assert.Equal(1, nowhere.Code);
        Assert.Contains("cannot be read", nowhere.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Evaluate_writes_a_report_whose_figures_fit_the_scores()
    {
        Write("normal", SmallFrames.FullDrive(701, 60));
        Write("fog", SmallFrames.FullDrive(702, 30, Trouble.Fog));
        var evaluated = await Tool.OutlierAsync("evaluate", "--model", Repository.StreetDemo, "--normal", At("normal"), "--outlier",
            $"fog={At("fog")}", $"clear={At("normal")}", "--corruptions", "--corruption-frames", "12", "--out", At("report"));
        Assert.True(evaluated.Code == 0, evaluated.Error);
        using var report = JsonDocument.Parse(await File.ReadAllTextAsync(At("report/report.json"), TestContext.Current.CancellationToken));
        var root = report.RootElement;
        Assert.Equal("street-demo", root.GetProperty("model").GetString());
        Assert.Equal(60, root.GetProperty("normal").GetProperty("frames").GetInt32());
        var fog = root.GetProperty("outliers").GetProperty("fog");
        // Computed again from the rows, in the plainest way.
        string[] header = (await File.ReadAllLinesAsync(At("report/scores.csv"), TestContext.Current.CancellationToken))[0].Split(',');
        var rows = (await File.ReadAllLinesAsync(At("report/scores.csv"), TestContext.Current.CancellationToken)).Skip(1).Select(line =>
            line.Split(',')).ToArray();
        Assert.Equal(["file", "score"], header[..2]);
        double[] Column(string set, string name) =>
            [.. rows.Where(row => row[0].StartsWith(set + "/", StringComparison.Ordinal)).Select(row =>
            double.Parse(row[Array.IndexOf(header, name)], CultureInfo.InvariantCulture))];
        Assert.Equal(Area(Column("normal", "score"), Column("fog", "score")), fog.GetProperty("auroc").GetDouble(), 1e-9);
        Assert.Equal(Area(Column("normal", "bands"), Column("fog", "bands")), fog.GetProperty("scores").GetProperty("bands")
            .GetProperty("auroc").GetDouble(), 1e-9);
        Assert.Equal(Column("normal", "p_value").Count(p => p <= 0.05) / 60.0, root.GetProperty("normal").GetProperty("falseAlarmRate")
            .GetDouble(), 1e-9);
        Assert.True(fog.GetProperty("auroc").GetDouble() > 0.99);
        Assert.Equal(0.5, root.GetProperty("outliers").GetProperty("clear").GetProperty("auroc").GetDouble(), 1e-9);
        Assert.Equal(JsonValueKind.Null, root.GetProperty("outliers").GetProperty("clear").GetProperty("detectionDelayFrames").ValueKind);
        Assert.InRange(fog.GetProperty("detectionDelayFrames").GetDouble(), 0, 15);
        var kinds = root.GetProperty("corruptions").GetProperty("kinds");
        Assert.True(kinds.EnumerateObject().Count() >= 17);
        Assert.True(kinds.GetProperty("obstacle").GetProperty("pixelAuroc").GetProperty("5").GetDouble() > 0.8);
        Assert.InRange(kinds.GetProperty("frozen").GetProperty("detectionDelayFrames").GetDouble(), 19, 22);
        var strips = kinds.GetProperty("frozen-strips");
        Assert.Equal(kinds.GetProperty("fog").GetProperty("sequences").GetInt32(), strips.GetProperty("sequences").GetInt32());
        Assert.InRange(strips.GetProperty("sequences").GetInt32(), 1, 10);
        string html = await File.ReadAllTextAsync(At("report/report.html"), TestContext.Current.CancellationToken);
        foreach (string part in new[] { "<svg", "data:image/jpeg;base64,", "Worst misses", "Worst false alarms", "Latent space",
            "Corruptions" }) Assert.Contains(part, html, StringComparison.Ordinal);
        Assert.DoesNotContain("src=\"http", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pictures_of_a_model_are_written_and_packages_are_listed()
    {
        Write("drive", SmallFrames.FullDrive(43, 8));
        foreach (var (command, arguments, width, height) in new (string, string[], int, int)[]
        {
            ("sample", ["--count", "10", "--columns", "5"], 5 * 160, 2 * 96),
            ("reconstruct", ["--input", At("drive"), "--count", "4"], 4 * 160, 3 * 96),
            ("traverse", ["--input", At("drive"), "--rows", "3", "--columns", "7"], 7 * 160, 3 * 96),
            ("traverse", ["--rows", "2", "--columns", "5"], 5 * 160, 2 * 96),
        })
        {
            var drawn = await Tool.OutlierAsync([command, "--model", Repository.StreetDemo, .. arguments, "--out", At("grid.png")]);
            Assert.True(drawn.Code == 0, drawn.Error);
            using var picture = SKBitmap.Decode(At("grid.png"));
            Assert.Equal((width, height), (picture.Width, picture.Height));
            Assert.True(picture.Pixels.Distinct().Count() > 100, "the pictures are empty");
        }
        var list = await Tool.OutlierAsync("models", Path.Combine(Repository.Root, "models"));
        Assert.Equal(0, list.Code);
        foreach (string text in new[] { "street-demo", "camvid-day", "vae" }) Assert.Contains(text, list.Output, StringComparison.Ordinal);
        var card = await Tool.OutlierAsync("models", Repository.StreetDemo);
        Assert.Contains("validationMeanSquaredError", card.Output, StringComparison.Ordinal);
        Assert.Equal(1, (await Tool.OutlierAsync("models", At("nowhere"))).Code);
    }

    private void CopyPackage()
    {
        foreach (string file in Directory.GetFiles(Repository.StreetDemo, "*", SearchOption.AllDirectories))
        {
            string copy = At(Path.Combine("model", Path.GetRelativePath(Repository.StreetDemo, file)));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    private void Write(string drive, byte[][] frames)
    {
        string directory = Directory.CreateDirectory(At(drive)).FullName;
        for (int i = 0; i < frames.Length; i++)
            File.WriteAllBytes(Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{i:00000}.jpg")), frames[i]);
    }

    private static byte[] HalfMask()
    {
        byte[] pixels = new byte[192 * 320];
        Array.Fill(pixels, (byte)1, 0, pixels.Length / 2);
        return new FrameMask(new FrameSize(192, 320), pixels).ToPng();
    }

    private static double Area(double[] normal, double[] outlier) =>
        normal.Sum(n => outlier.Sum(o => o > n ? 1 : o == n ? 0.5 : 0)) / ((double)normal.Length * outlier.Length);

    private static async Task WaitForAsync(Func<bool> condition)
    {
        for (int i = 0; i < 600 && !condition(); i++) await Task.Delay(100, TestContext.Current.CancellationToken);
        Assert.True(condition());
    }
}
