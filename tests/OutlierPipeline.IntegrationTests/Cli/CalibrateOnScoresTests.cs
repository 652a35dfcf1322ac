using System.Globalization;
using System.Text.Json;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary><c>outlier calibrate --scores</c>: recorded scores of normal drives calibrate the level, without a frame.</summary>
public sealed class CalibrateOnScoresTests : IDisposable
{
    private static readonly DateTimeOffset Start = new(2026, 5, 1, 8, 0, 0, TimeSpan.Zero);
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;
    private readonly Random _random = new(4);
    private readonly ModelPackage _package;

    public CalibrateOnScoresTests() => _package = BootstrapPackage.Write(At("package"));

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Normal_drives_calibrate_and_the_card_says_so_and_strange_ones_and_those_of_another_model_do_not()
    {
        string[] records = [.. Drives("car-1", 41), .. Drive("car-2", 0, 50, shift: 9), .. Drive("car-3", 0, 5), .. Drives("own", 3),
            .. Drive("car-4", 0, 50, digest: "sha256:00")];
        string scores = Write("scores.jsonl", records);
        string told = await OutlierAsync("calibrate", "--model", At("package"), "--scores", scores, "--out", At("after"));
        Assert.Contains("44 normal drives, of which 44 calibrate; 1 were left out for more than a tenth of strange frames, 1 as too short",
            told, StringComparison.Ordinal);
        var after = ModelPackage.Load(At("after"));
        Assert.Equal(("deployment", 44, 44 * 25), (after.Default.Calibration.Origin, after.Default.Calibration.DeploymentDrives,
            after.Default.Calibration.Frames));
        Assert.NotNull(after.Default.Calibration.Pace);
        Assert.Equal(_package.Digest, after.Digest);
        Assert.Contains("scores of 44 normal drives", after.Card.Calibration.Source, StringComparison.Ordinal);
        string card = (await OutlierAsync("models", At("after"))).ReplaceLineEndings(" ");
        Assert.Contains("deployment of 44 drives", card, StringComparison.Ordinal);
        Assert.Contains("bootstrap", await OutlierAsync("models", At("package")), StringComparison.Ordinal);

        // One camera's own: the package's stays, and later its drives are nobody else's.
        await OutlierAsync("calibrate", "--model", At("package"), "--camera", "car-1", "--scores", scores, "--out", At("camera"));
        var camera = ModelPackage.Load(At("camera"));
        Assert.Equal((41, "bootstrap"), (camera.For("car-1").Calibration.DeploymentDrives, camera.Default.Calibration.Origin));
        await RefusedAsync("3 normal drives are too few", "--model", At("camera"), "--scores", scores);
    }

    [Fact]
    public async Task What_cannot_calibrate_is_refused_in_one_line_and_nothing_is_written()
    {
        await RefusedAsync("no scores by street-demo", "--model", At("package"), "--scores", Write("none.jsonl", []));
        await RefusedAsync("39 normal drives are too few: at least 40 are needed, each with at least 20 frames a second apart", "--model",
            At("package"), "--scores", Write("few.jsonl", [.. Drives("car-1", 39)]));
        await RefusedAsync("another model scored it (sha256:00", "--model", At("package"), "--scores",
            Write("other.jsonl", [.. Drive("car-1", 0, 50, digest: "sha256:00")]));
        await RefusedAsync("no such file of scores", "--model", At("package"), "--scores", At("missing.jsonl"));
        Assert.False(Directory.Exists(At("refused")));
    }

    private string At(string name) => Path.Combine(_directory, name);

    private string Write(string name, string[] records)
    {
        File.WriteAllLines(At(name), records);
        return At(name);
    }

    private IEnumerable<string> Drives(string camera, int count) => Enumerable.Range(0, count).SelectMany(hour => Drive(camera, hour, 25));

    /// <summary>Records of a drive, a frame a second.</summary>
    private IEnumerable<string> Drive(string camera, int hour, int frames, double shift = 0, string? digest = null)
    {
        var calibration = _package.Default.Calibration;
        return Enumerable.Range(0, frames).Select(i => JsonSerializer.Serialize(new
        {
            camera,
            timestamp = Start.AddHours(hour).AddSeconds(i).ToString("O", CultureInfo.InvariantCulture),
            modelDigest = digest ?? _package.Digest,
            scores = calibration.Scores.Select((name, k) => (name, Value: (float)(calibration.Location[k]
                + calibration.Scale[k] * (shift + 0.6 * (_random.NextDouble() + _random.NextDouble() + _random.NextDouble() - 2.5)))))
                .ToDictionary(score => score.name, score => score.Value),
        }));
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
}
