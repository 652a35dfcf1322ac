using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>From what is known of frames to the alert that says along what a frame is unusual.</summary>
public sealed class AlongTests : IDisposable
{
    /// <summary>Of the place of the street that all frames show.</summary>
    private const int Place = 12;

    private readonly TestDirectory _directory = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task An_alert_says_by_the_name_that_outlier_name_gave_along_what_and_how_far_a_frame_is_unusual()
    {
        string model = await NameAndCalibrateAsync();
        using var cluster = new TestCluster(1);
        await using var service = await RunningService.StartAsync(cluster, _directory.File("alerts.db"), $"Model:Path={model}");
        byte[][] usual = Frames(1, 40, 0.5f, 0.7f);
        cluster.ProduceDrive("dusk/front", [.. usual, .. Frames(2, 60, 0, 0)]);
        cluster.ProduceDrive("noon/front", [.. usual, .. Frames(3, 60, 1, 1)]);
        var opened = cluster.Read(records => records.Count(IsOpened) >= 2, TestCluster.Alerts).Where(IsOpened)
            .Select(record => JsonDocument.Parse(record.Message.Value).RootElement)
            .ToDictionary(alert => alert.GetProperty("data").GetProperty("camera").GetString()!);
        await service.StoredAsync(2);
        foreach (var (camera, low, high) in new[] { ("dusk/front", -7.5, -4.5), ("noon/front", 6, 9.5) })
        {
            var said = Assert.Single(opened[camera].GetProperty("data").GetProperty("along").EnumerateArray());
            double sigma = said.GetProperty("sigma").GetDouble();
            Assert.Equal("sun height", said.GetProperty("name").GetString());
            Assert.InRange(sigma, low, high);
            string words = $"sun height, {Math.Abs(sigma):0} σ";
            Assert.EndsWith($"Unusual along: {words}", opened[camera].GetProperty("data").GetProperty("reason").GetString(),
                StringComparison.Ordinal);
            // What is stored is what was said last.
            string id = opened[camera].GetProperty("subject").GetString()!;
            await using (var database = await service.Services.GetRequiredService<IDbContextFactory<AlertDatabase>>()
                .CreateDbContextAsync(Cancellation))
            {
                var row = await database.Incidents.SingleAsync(incident => incident.Id == id, Cancellation);
                Assert.StartsWith("[{\"name\":\"sun height\",\"sigma\":", row.Along, StringComparison.Ordinal);
            }
            var kept = Assert.Single((await service.GetAsync($"/api/alerts/{id}")).GetProperty("incident").GetProperty("along")
                .EnumerateArray());
            Assert.Equal("sun height", kept.GetProperty("name").GetString());
            Assert.InRange(kept.GetProperty("sigma").GetDouble(), low, high);
            string page = await service.Http.GetStringAsync($"/incidents/{id}", Cancellation);
            Assert.Matches("<dt[^>]*>unusual along</dt>\\s*<dd[^>]*>sun height, [0-9]+ (σ|&#x3C3;)</dd>", page);
        }

        static bool IsOpened(Confluent.Kafka.ConsumeResult<string, byte[]> record) =>
            JsonDocument.Parse(record.Message.Value).RootElement.GetProperty("type").GetString() == "outlier.alert.opened";
    }

    /// <summary>A package of a code that was made by hand, named by the tool and then calibrated by it.</summary>
    private async Task<string> NameAndCalibrateAsync()
    {
        string model = Write();
        string known = _directory.File("known");
        var rendered = await Tool.OutlierAsync("render", "--out", known, "--factors", "--frames", "150", "--seed", $"{Place}");
        Assert.True(rendered.Code == 0, rendered.Error);
        var named = await Tool.OutlierAsync("name", "--model", model, "--frames", known, "--factors", Path.Combine(known, "factors.csv"),
            "--write");
        Assert.True(named.Code == 0, named.Error);
        Assert.Equal("sun height", ModelPackage.Load(model).Card.Network.DimensionNames![0]);
        string normal = Directory.CreateDirectory(_directory.File("normal")).FullName;
        byte[][] frames = Frames(4, 200, 0.5f, 0.7f);
        for (int i = 0; i < frames.Length; i++) File.WriteAllBytes(Path.Combine(normal, $"{i:000}.jpg"), frames[i]);
        var calibrated = await Tool.OutlierAsync("calibrate", "--model", model, "--frames", normal);
        Assert.True(calibrated.Code == 0, calibrated.Error);
        return model;
    }

    /// <summary>The package as a trainer leaves it; its calibration is of made-up frames.</summary>
    private string Write()
    {
        var demo = ModelPackage.Load(Repository.StreetDemo).Card;
        string[] scores = ["latent"];
        var card = demo with
        {
            Name = "hand-made",
            Scores = scores,
            LocalScores = [],
            Network = demo.Network with { Height = 48, Width = 80, Latent = 2, ErrorMapHeight = 6, ErrorMapWidth = 10 },
        };
        float[][] rows = [.. Enumerable.Range(0, Calibration.MinFrames).Select(i => new float[] { i * 1e-3f })];
        string directory = _directory.File("model");
        ModelPackageWriter.Write(directory, card, new Dictionary<string, byte[]>
        {
            ["model.onnx"] = File.ReadAllBytes(Path.Combine(Repository.Root, "tests", "OutlierPipeline.IntegrationTests", "Fixtures",
                "code.onnx")),
            ["calibration.json"] = Calibration.Fit(scores, scores, rows).ToJson(),
        });
        return directory;
    }

    /// <summary>Frames of one place in clear air, with the sun between two heights and all else by chance.</summary>
    private static byte[][] Frames(int seed, int count, float lowest, float highest)
    {
        var random = new Random(seed);
        using var camera = new StreetCamera(Place);
        return [.. Enumerable.Range(0, count).Select(_ => camera.Render(StreetFactors.Draw(random) with
        {
            Sun = lowest + (highest - lowest) * random.NextSingle(),
            Fog = 0,
        }))];
    }
}
