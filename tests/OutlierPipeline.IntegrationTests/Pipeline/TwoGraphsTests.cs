using System.Net;
using System.Text.Json;
using Google.Protobuf;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>A package with a second graph, which the service computes for some frames alone.</summary>
public sealed class TwoGraphsTests : IDisposable
{
    private const int Sent = 120;
    private readonly TestDirectory _directory = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Every_third_frame_has_the_scores_of_both_and_is_chosen_again_when_it_is_read_again()
    {
        // Its second graph takes nothing but frames of twice the first one's size.
        var package = await CalibrateAsync(scale: 2);
        using var cluster = new TestCluster(2);
        Send(cluster);
        using var metrics = new MetricRecorder();
        var first = await ReadAsync(cluster, package, new SecondOptions { Every = 3 }, "first");
        var again = await ReadAsync(cluster, package, new SecondOptions { Every = 3 }, "again");
        var chosen = first.Where(record => record.Value.TryGetProperty("second", out _)).ToList();
        Assert.InRange(chosen.Count, Sent / 6, Sent / 2);
        Assert.Equal(2 * chosen.Count, metrics.Sum("outlier.frames.second every"));
        Assert.Equal(chosen.Select(record => record.Key).Order(),
            again.Where(record => record.Value.TryGetProperty("second", out _)).Select(record => record.Key).Order());
        // Each camera has some of each sort, though cameras take turns in the log.
        foreach (var camera in first.Values.GroupBy(record => record.GetProperty("camera").GetString()))
        {
            int some = camera.Count(record => record.TryGetProperty("second", out _));
            Assert.InRange(some, 1, camera.Count() - 1);
        }
        var calibration = package.Default.Calibration;
        foreach (var (_, record) in first)
        {
            var scores = record.GetProperty("scores");
            float[] own = [.. package.Card.Scores.Select(name => scores.GetProperty(name).GetSingle())];
            double combined = calibration.Combine(own);
            double p = calibration.PValue(combined);
            if (record.TryGetProperty("second", out var why))
            {
                Assert.Equal("every", why.GetString());
                float[] more = [.. package.Card.Second!.Scores.Select(name => scores.GetProperty(name).GetSingle())];
                combined = calibration.Second!.Combine(combined, more);
                p = calibration.Second.PValue(calibration, combined, above: 0);
            }
            else
            {
                Assert.False(scores.TryGetProperty(SecondGraph.Resynthesis, out _));
            }
            Assert.Equal(combined, record.GetProperty("score").GetDouble(), 1e-3);
            Assert.Equal(p, record.GetProperty("pValue").GetDouble(), 1e-2);
        }
    }

    [Fact]
    public async Task Frames_that_the_first_graph_is_unsure_of_have_both_and_no_others()
    {
        const double Above = 0.4;
        var package = await CalibrateAsync();
        using var cluster = new TestCluster(2);
        Send(cluster);
        var records = await ReadAsync(cluster, package, new SecondOptions { Every = 0, Above = Above }, "unsure");
        var calibration = package.Default.Calibration;
        int with = 0;
        foreach (var (_, record) in records)
        {
            var scores = record.GetProperty("scores");
            double first = calibration.PValue(calibration.Combine(
                [.. package.Card.Scores.Select(name => scores.GetProperty(name).GetSingle())]));
            bool isChosen = record.TryGetProperty("second", out var why);
            if (isChosen) Assert.Equal("above", why.GetString());
            if (Math.Abs(first - Above) > 0.02) Assert.Equal(first <= Above, isChosen);
            if (isChosen) Assert.InRange(record.GetProperty("pValue").GetDouble(), 0, Above);
            if (isChosen) with++;
        }
        Assert.InRange(with, 1, Sent - 1);
    }

    [Fact]
    public async Task The_page_shows_map_and_resynthesis_and_a_package_of_one_graph_has_none()
    {
        // The page's pictures are of the second graph's own size, not of the first one's.
        var package = await CalibrateAsync(scale: 2);
        using var cluster = new TestCluster(1);
        byte[][] frames = SmallFrames.FullDrive(2, 10);
        foreach (var (path, expected) in new[] { (package.Path, HttpStatusCode.OK), (Repository.StreetDemo, HttpStatusCode.NotFound) })
        {
            await using var service = await RunningService.StartAsync(cluster, _directory.File($"{expected}.db"), $"Model:Path={path}");
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            var sending = Task.Run(async () =>
            {
                for (int i = 0; !stop.IsCancellationRequested; i++)
                {
                    cluster.Produce("car/front", frames[i % frames.Length]);
                    cluster.Flush();
                    await Task.Delay(100, Cancellation);
                }
            }, Cancellation);
            await UntilSeenAsync(service.Http);
            foreach (string picture in new[] { "map.jpg", "resynthesis.jpg", "differences.jpg", "unlike.jpg" })
            {
                using var answer = await service.Http.GetAsync($"/api/cameras/car/front/{picture}", Cancellation);
                Assert.Equal(expected, answer.StatusCode);
                if (expected == HttpStatusCode.OK) Assert.Equal("image/jpeg", answer.Content.Headers.ContentType!.MediaType);
                else Assert.Contains("no second graph", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
            }
            string page = await service.Http.GetStringAsync("/cameras/car/front", Cancellation);
            foreach (string caption in new[] { "drawn again of the map", "where both differ", "unlike its class" })
                Assert.Equal(expected == HttpStatusCode.OK, page.Contains(caption, StringComparison.Ordinal));
            await stop.CancelAsync();
            await sending;
        }
    }

    [Fact]
    public async Task A_package_without_a_second_graph_is_refused_in_one_line()
    {
        string frames = Write("frames", SmallFrames.FullDrive(700, 25));
        var refused = await Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--second", Repository.StreetDemo, "--frames",
            frames, "--out", _directory.File("out"));
        Assert.Equal(1, refused.Code);
        Assert.Contains("translates nothing", refused.Error, StringComparison.Ordinal);
        Assert.Single(refused.Error.TrimEnd().Split('\n'));
        refused = await Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--second", WritePairs(), "--combine", "nothing",
            "--frames", frames, "--out", _directory.File("out"));
        Assert.Equal(1, refused.Code);
        Assert.Contains("--combine nothing: the second graph has resynthesis, classes", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_trained_the_second_graph_does_not_calibrate_and_counts_as_trained_from_then_on()
    {
        string trained = Write("trained", SmallFrames.FullDrive(900, 25));
        using var footage = await new FootageLoader().LoadAsync([trained], ModelPackage.Load(Repository.StreetDemo).Card.Network.Size,
            Cancellation);
        string pairs = WritePairs(new() { Training = KnownFootage.SetOf(footage), Calibration = new([], []) });
        string output = _directory.File("out");
        var refused = await Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--second", pairs, "--frames", trained,
            "--out", output);
        Assert.Equal(1, refused.Code);
        Assert.Contains("some of these frames trained the second graph", Assert.Single(refused.Error.TrimEnd().Split('\n')),
            StringComparison.Ordinal);
        var calibrated = await Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--second", pairs, "--frames",
            Write("fresh", SmallFrames.FullDrive(901, 40)), "--out", output);
        Assert.True(calibrated.Code == 0, calibrated.Error);
        Assert.Equal(Acquaintance.Trained, KnownFootage.Of(ModelPackage.Load(output))!.With(footage, footage.Drives[0]));
    }

    [Fact]
    public async Task Evaluate_says_what_the_second_graph_adds()
    {
        var package = await CalibrateAsync(scale: 2);
        string normal = Write("normal", SmallFrames.FullDrive(801, 40));
        string dark = Write("dark", SmallFrames.FullDrive(802, 20, OutlierPipeline.Footage.Simulation.Trouble.Night));
        var evaluated = await Tool.OutlierAsync("evaluate", "--model", package.Path, "--normal", normal, "--outlier", $"dark={dark}",
            "--out", _directory.File("report"));
        Assert.True(evaluated.Code == 0, evaluated.Error);
        using var report = JsonDocument.Parse(await File.ReadAllTextAsync(_directory.File("report/report.json"), Cancellation));
        var second = report.RootElement.GetProperty("second");
        Assert.InRange(second.GetProperty("falseAlarmRate").GetDouble(), 0, 0.4);
        // The fixture's scores are brightness: the night is darker than all, so its scores are lower.
        var scores = second.GetProperty("outliers").GetProperty("dark").GetProperty("scores");
        Assert.InRange(scores.GetProperty("resynthesis").GetDouble(), 0, 0.3);
        Assert.Contains("dark: AUROC", evaluated.Output, StringComparison.Ordinal);
    }

    private static void Send(TestCluster cluster)
    {
        byte[][] one = SmallFrames.FullDrive(3, Sent / 2), other = SmallFrames.FullDrive(4, Sent / 2);
        long time = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;
        for (int i = 0; i < one.Length; i++)
        {
            string stamp = (time + i * 100_000_000L).ToString(System.Globalization.CultureInfo.InvariantCulture);
            cluster.Produce("one", one[i], 0, ("frame-timestamp", stamp));
            cluster.Produce("other", other[i], 0, ("frame-timestamp", stamp));
        }
        cluster.Flush();
    }

    private static async Task<Dictionary<(int, long), JsonElement>> ReadAsync(TestCluster cluster, ModelPackage package,
        SecondOptions rule, string group)
    {
        var options = cluster.Options();
        int before = cluster.ReadAll(TestCluster.Scores).Count;
        options = options with
        {
            Model = new ModelOptions { Path = package.Path },
            Inference = options.Inference with { Second = rule },
            // Its state must not be another run's.
            Kafka = options.Kafka with { GroupId = group, StateTopic = group },
        };
        cluster.CreateTopic(group, 2);
        await using var pipeline = new RunningPipeline(options);
        await pipeline.Until(() => cluster.ReadAll(TestCluster.Scores).Count >= before + Sent, "all frames being scored");
        return cluster.ReadAll(TestCluster.Scores).GroupBy(record =>
        {
            var json = JsonDocument.Parse(record.Message.Value).RootElement;
            return (json.GetProperty("partition").GetInt32(), json.GetProperty("offset").GetInt64());
        }).ToDictionary(frame => frame.Key, frame => JsonDocument.Parse(frame.Last().Message.Value).RootElement);
    }

    private static async Task UntilSeenAsync(HttpClient http)
    {
        for (int tries = 0; ; tries++)
        {
            using var answer = await http.GetAsync("/api/cameras/car/front/frame.jpg", Cancellation);
            if (answer.IsSuccessStatusCode) return;
            Assert.True(tries < 150, await answer.Content.ReadAsStringAsync(Cancellation));
            await Task.Delay(200, Cancellation);
        }
    }

    /// <summary>The demo's package with the fixture as its second graph.</summary>
    /// <param name="scale">See <see cref="WritePairs"/>.</param>
    private async Task<ModelPackage> CalibrateAsync(int scale = 1)
    {
        string output = _directory.File("two");
        string[] drives = [.. Enumerable.Range(700, 4).Select(seed => Write($"{seed}", SmallFrames.FullDrive(seed, 40)))];
        var calibrated = await Tool.OutlierAsync(["calibrate", "--model", Repository.StreetDemo, "--second", WritePairs(scale: scale),
            "--frames", .. drives, "--out", output]);
        Assert.True(calibrated.Code == 0, calibrated.Error);
        Assert.Contains("ranked by resynthesis and classes beside", calibrated.Output, StringComparison.Ordinal);
        return ModelPackage.Load(output);
    }

    /// <summary>A package of pairs whose second graph is the fixture.</summary>
    /// <param name="known">What made it; null where it does not say.</param>
    /// <param name="scale">Of the frames that it sees, beside the demo's; the graph takes no others where it is not 1.</param>
    private string WritePairs(KnownFootage? known = null, int scale = 1)
    {
        string directory = _directory.File("pairs");
        byte[] graph = File.ReadAllBytes(Path.Combine(Repository.Root, "tests", "OutlierPipeline.IntegrationTests", "Fixtures",
            "second-maps.onnx"));
        var demo = ModelPackage.Load(Repository.StreetDemo).Card;
        var size = new FrameSize(scale * demo.Network.Height, scale * demo.Network.Width);
        if (scale != 1)
        {
            var model = ModelProto.Parser.ParseFrom(graph);
            var sides = model.Graph.Input[0].Type.TensorType.Shape.Dim;
            (sides[1].DimValue, sides[2].DimValue) = (size.Height, size.Width);
            graph = model.ToByteArray();
        }
        var card = demo with
        {
            Name = "pairs",
            Scores = [],
            LocalScores = null,
            Mask = null,
            Cameras = null,
            Slices = null,
            Network = demo.Network with
            {
                Height = size.Height,
                Width = size.Width,
                Architecture = "pix2pix",
                Translation = new TranslationCard
                {
                    Classes = [new ClassCard("dark", "#202020"), new ClassCard("bright", "#f0f0f0")],
                    Second = [SecondGraph.Resynthesis, SecondGraph.Classes],
                },
            },
        };
        var files = new Dictionary<string, byte[]> { [SecondGraph.FileName] = graph, [TranslationCard.ToMap] = graph };
        if (known is not null) files[KnownFootage.FileName] = known.ToJson();
        ModelPackageWriter.WriteTranslating(directory, card, files);
        return directory;
    }

    private string Write(string drive, byte[][] frames)
    {
        string directory = Directory.CreateDirectory(_directory.File(drive)).FullName;
        for (int i = 0; i < frames.Length; i++) File.WriteAllBytes(Path.Combine(directory, $"{i:00000}.jpg"), frames[i]);
        return directory;
    }
}
