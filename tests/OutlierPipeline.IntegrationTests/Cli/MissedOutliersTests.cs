using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using SkiaSharp;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary><c>outlier calibrate --missed</c>: what should have alarmed is found afterwards, and what is normal stays so.</summary>
public sealed class MissedOutliersTests : IDisposable
{
    private const double Level = 0.05;
    private static readonly FrameSize Size = new(192, 320);
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private string At(string name) => Path.Combine(_directory, name);

    [Fact]
    public async Task Missed_frames_of_a_kind_find_other_frames_of_it_and_normal_drives_stay_normal()
    {
        Draw("normal", seed: 900, drives: 40, frames: 16);
        Draw("unseen", seed: 3000, drives: 60, frames: 5);
        Draw("missed", seed: 2000, drives: 25, frames: 3, "rain");
        Draw("other", seed: 4000, drives: 40, frames: 3, "rain");
        await OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--frames", At("normal"), "--out", At("before"));
        string taught = await OutlierAsync("calibrate", "--model", At("before"), "--missed", At("missed"), "--over", At("normal"),
            "--out", At("after"));
        Assert.Contains("320 normal frames chose the weights and 320 others calibrate them", taught, StringComparison.Ordinal);
        foreach (string kind in CorruptionSuite.All.Where(kind => !kind.IsFrozen).Select(kind => kind.Name))
            Assert.Contains($"│ {kind} ", taught, StringComparison.Ordinal);
        double[] before = await PValuesAsync("before", "other");
        double[] after = await PValuesAsync("after", "other");
        Assert.True(Share(after) > Share(before) + 0.05, $"{Share(before)} of other frames before, {Share(after)} after\n{taught}");
        // Frames of a drive are alike: 60 drives against the 20 that calibrate.
        double bound = Level + 3 * Math.Sqrt(Level * (1 - Level) * (1 / 60.0 + 1 / 20.0));
        Assert.InRange(Share(await PValuesAsync("after", "unseen")), 0, bound);
        var package = ModelPackage.Load(At("after"));
        Assert.Contains("weights moved by 75 missed frames", package.Card.Calibration.Source, StringComparison.Ordinal);
        Assert.Equal(ModelPackage.Load(At("before")).Digest, package.Digest);

        // The same from records, as a camera's own calibration: every other one stays.
        string records = await RecordAsync("before", "missed", "car-1@front", package.Digest);
        string range = "car-1@front@2026-05-01T08:00:00Z..2026-05-01T08:10:00Z";
        string recorded = await OutlierAsync("calibrate", "--model", At("before"), "--camera", "car-1@front", "--missed", range, "--scores",
            records, "--out", At("own"));
        Assert.Contains("is shown with --over", recorded, StringComparison.Ordinal);
        var camera = ModelPackage.Load(At("own"));
        Assert.Equal(package.Default.Calibration.Weights, camera.For("car-1@front").Calibration.Weights);
        Assert.Null(camera.Default.Calibration.Weights);
        // Together with an incident that was normal: its frames join the normal ones first.
        string both = await RecordAsync("before", "unseen", "car-1@front", package.Digest, "incident-1");
        File.AppendAllText(both, await File.ReadAllTextAsync(records, TestContext.Current.CancellationToken));
        string joined = await OutlierAsync("calibrate", "--model", At("before"), "--add-normal", "incident-1", "--missed", range,
            "--scores", both, "--out", At("joined"));
        Assert.Contains("normal for camera car-1@front now", joined, StringComparison.Ordinal);
        var learned = ModelPackage.Load(At("joined")).For("car-1@front").Calibration;
        Assert.Equal((940, 75), (learned.Rows!.Count, learned.Missed!.Count));
        await RefusedAsync("say --camera", "--model", At("own"), "--missed", range, "--scores", records);
        await RefusedAsync("the scores of car-1@front there are from 2026-05-01T08:00:00", "--model", At("before"), "--scores", records,
            "--missed", "car-1@front@2026-05-02T08:00:00Z..2026-05-02T08:10:00Z");
        await RefusedAsync("no scores of camera car-2", "--model", At("before"), "--scores", records, "--missed",
            "car-2@2026-05-01T08:00:00Z..2026-05-02T08:00:00Z");
        await RefusedAsync("is no time", "--model", At("before"), "--scores", records, "--missed", "car-1@yesterday..today");
        await RefusedAsync("ends before it begins", "--model", At("before"), "--scores", records, "--missed",
            "car-1@2026-05-02T08:00:00Z..2026-05-01T08:00:00Z");
        await RefusedAsync("another model scored it", "--model", At("before"), "--missed", range, "--scores",
            await RecordAsync("before", "missed", "car-1@front", "sha256:00"));
    }

    [Fact]
    public async Task What_cannot_teach_is_refused_in_one_line_and_nothing_is_written()
    {
        Draw("missed", seed: 2000, drives: 2, frames: 3, "rain");
        Draw("few", seed: 900, drives: 10, frames: 3);
        Directory.CreateDirectory(At("empty"));
        // As packages were before calibrations kept their rows.
        var package = ModelPackage.Load(Repository.StreetDemo);
        var files = ModelPackageWriter.ReadAll(package);
        files["calibration.json"] = (package.Default.Calibration with { Rows = null, Drives = null }).ToJson();
        ModelPackageWriter.Write(At("old"), package.Card, files);
        await RefusedAsync("give normal footage with --frames", "--model", At("old"), "--missed", At("missed"));
        await RefusedAsync("such frames are needed", "--model", Repository.StreetDemo, "--frames", At("few"), "--missed", At("missed"));
        await RefusedAsync(At("empty"), "--model", Repository.StreetDemo, "--missed", At("empty"));
        Assert.False(Directory.Exists(At("refused")));
        foreach (string[] wrong in new[]
        {
            ["--missed", "car-1@2026-05-01T08:00:00Z..2026-05-01T08:10:00Z"], ["--over", At("few")],
            ["--missed", At("missed"), "--p-value", "2"], Array.Empty<string>(),
        })
        {
            var used = await Tool.OutlierAsync(["calibrate", "--model", Repository.StreetDemo, "--out", At("refused"), .. wrong]);
            Assert.True(used.Code == 2, used.Error);
        }
    }

    private static async Task<string> OutlierAsync(params string[] arguments)
    {
        var run = await Tool.OutlierAsync(arguments);
        Assert.True(run.Code == 0, run.Error);
        return run.Output;
    }

    private async Task RefusedAsync(string why, params string[] arguments)
    {
        var run = await Tool.OutlierAsync(["calibrate", "--out", At("refused"), .. arguments]);
        Assert.True(run.Code == 1, run.Error);
        Assert.Contains(why, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
    }

    private static double Share(double[] pValues) => pValues.Count(p => p <= Level) / (double)pValues.Length;

    private async Task<double[]> PValuesAsync(string model, string footage) =>
        [.. (await ScoreAsync(model, footage)).Skip(1).Select(line => double.Parse(line[^4], CultureInfo.InvariantCulture))];

    private async Task<string[][]> ScoreAsync(string model, string footage)
    {
        await OutlierAsync("score", "--model", At(model), "--input", At(footage), "--out", At("scores.csv"));
        return [.. (await File.ReadAllLinesAsync(At("scores.csv"), TestContext.Current.CancellationToken)).Select(line => line.Split(','))];
    }

    /// <summary>A file of what the service would have recorded, ten frames a second.</summary>
    private async Task<string> RecordAsync(string model, string footage, string camera, string digest, string? incident = null)
    {
        string[][] lines = await ScoreAsync(model, footage);
        var names = ModelPackage.Load(At(model)).Card.Scores;
        var start = new DateTimeOffset(2026, 5, incident is null ? 1 : 2, 8, 0, 0, TimeSpan.Zero);
        string file = At($"records-{digest.Length}-{incident}.jsonl");
        await File.WriteAllLinesAsync(file, lines.Skip(1).Select((line, i) => JsonSerializer.Serialize(new
        {
            camera,
            timestamp = start.AddSeconds(0.1 * i).ToString("O", CultureInfo.InvariantCulture),
            modelDigest = digest,
            incident,
            scores = names.ToDictionary(name => name, name =>
                float.Parse(line[Array.IndexOf(lines[0], name)], CultureInfo.InvariantCulture)),
        })), TestContext.Current.CancellationToken);
        return file;
    }

    /// <summary>Drives of one frame in two seconds; each with rain of its own.</summary>
    private void Draw(string name, int seed, int drives, int frames, string? corruption = null)
    {
        for (int drive = 0; drive < drives; drive++)
        {
            using var camera = new StreetCamera(seed + drive);
            string directory = Directory.CreateDirectory(At($"{name}/{drive:00}")).FullName;
            for (int i = 0; i < frames; i++)
            {
                using var picture = camera.Draw(2 * i, Trouble.None).Copy();
                if (corruption is not null) Corrupt(picture, corruption, seed + drive, i);
                using var encoded = picture.Encode(SKEncodedImageFormat.Png, 100);
                File.WriteAllBytes(Path.Combine(directory, $"{i:00}.png"), encoded.ToArray());
            }
        }
    }

    private static void Corrupt(SKBitmap picture, string corruption, int seed, int index)
    {
        byte[] rgb = new byte[Size.Bytes];
        for (int i = 0; i < Size.Height * Size.Width; i++)
        {
            var colour = picture.GetPixel(i % Size.Width, i / Size.Width);
            (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) = (colour.Red, colour.Green, colour.Blue);
        }
        CorruptionSuite.All.Single(kind => kind.Name == corruption).Apply(rgb, Size, OutlierKinds.Severity, seed, index);
        for (int i = 0; i < Size.Height * Size.Width; i++)
            picture.SetPixel(i % Size.Width, i / Size.Width, new SKColor(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]));
    }
}
