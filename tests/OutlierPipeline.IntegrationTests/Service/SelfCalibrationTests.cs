using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using OutlierPipeline.Detection;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Level;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>The level calibrates itself: drives are gathered, a calibration is proposed, taken over, and named in alerts.</summary>
public sealed class SelfCalibrationTests
{
    private static readonly DateTimeOffset Start = new(2026, 5, 1, 0, 0, 0, TimeSpan.Zero);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Rendered_drives_are_gathered_proposed_and_taken_over_and_alerts_say_which_calibration_they_came_by()
    {
        using var directory = new TestDirectory();
        var package = BootstrapPackage.Write(directory.File("package"));
        using var cluster = new TestCluster(1);
        string[] settings = [$"Model:Path={package.Path}", "Kafka:GroupId=level"];
        string key = ApiKey.Create();
        string reader = ApiKey.Create();
        await using (var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"), settings))
        {
            for (int i = 0; i < 46; i++) Drive(cluster, "car-1", 900 + i, i, 22, _ => false);
            // Three frames of ten in fog: too many strange ones for a normal drive, too few for an incident.
            Drive(cluster, "bad", 960, 0, 22, i => i % 10 > 6);
            Drive(cluster, "incident", 961, 1, 240, i => i is >= 160 and < 180);
            foreach (string camera in (string[])["car-1", "bad", "incident"]) Drive(cluster, camera, 970, 60, 1, _ => false);
            cluster.Flush();
            await service.UntilAsync(async () => Level(await service.GetAsync("/api/level")) is var now
                && now.GetProperty("gathered").GetInt32() + now.GetProperty("strange").GetInt32() == 48, "gathering 48 drives");
            var level = Level(await service.GetAsync("/api/level"));
            // The foggy one, and perhaps one or two that are normal.
            Assert.InRange(level.GetProperty("strange").GetInt32(), 1, 3);
            Assert.Equal((0, "bootstrap"), (level.GetProperty("short").GetInt32(), level.GetProperty("calibration").GetString()));
            int drives = level.GetProperty("proposal").GetProperty("drives").GetInt32();
            Assert.InRange(drives, 40, 47);
            string told = await service.Http.GetStringAsync("/healthz/ready", Cancellation);
            Assert.StartsWith("ready; ", told, StringComparison.Ordinal);
            Assert.Contains($"a calibration of {drives} drives, ", told, StringComparison.Ordinal);
            Assert.Contains($"A calibration of {drives} drives", await service.Http.GetStringAsync("/system", Cancellation),
                StringComparison.Ordinal);

            // Nothing of the incident, nor of the frames that led to it, is in what calibrates.
            var book = service.Services.GetRequiredService<LevelBook>();
            var gathered = await book.DrivesAsync(package.LoadedDigest, Cancellation);
            Assert.DoesNotContain(gathered, drive => drive.Camera == "bad");
            var rows = gathered.Single(drive => drive.Camera == "incident").Rows;
            var strange = Scores(cluster, package, "incident").Where(score => score.IsIncident || score.P <= 1e-3).ToArray();
            Assert.InRange(strange.Length, 15, 90);
            Assert.InRange(rows.Length, 40, 240 - strange.Length - 90);
            Assert.DoesNotContain(rows, row => strange.Any(score => score.Row.SequenceEqual(row)));
            Assert.Equal(["bootstrap"], Origins(cluster, "incident"));

            var taken = await service.Http.PostAsync("/api/level/take-over", null, Cancellation);
            Assert.Equal(HttpStatusCode.NoContent, taken.StatusCode);
            Assert.Equal(HttpStatusCode.NotFound, (await service.Http.PostAsync("/api/level/take-over", null, Cancellation)).StatusCode);
            level = Level(await service.GetAsync("/api/level"));
            Assert.Equal(("deployment", drives, JsonValueKind.Null), (level.GetProperty("calibration").GetString(),
                level.GetProperty("drives").GetInt32(), level.GetProperty("proposal").ValueKind));
            Assert.Equal("ready\n", await service.Http.GetStringAsync("/healthz/ready", Cancellation));
            // In fog from its first frame on.
            Drive(cluster, "late", 980, 0, 60, _ => true);
            // A normal drive of a camera whose detector is older than the calibration.
            Drive(cluster, "car-1", 981, 62, 60, _ => false);
            cluster.Flush();
            await service.UntilAsync(() => Task.FromResult(Origins(cluster, "late").Length > 0), "an alert");
            Assert.Equal([$"deployment of {drives}"], Origins(cluster, "late"));
            await service.UntilAsync(() => Task.FromResult(Scores(cluster, package, "car-1").Length == 46 * 22 + 61), "the last scores");
            Assert.Empty(Origins(cluster, "car-1"));
        }
        // After a restart it is what it was; who may only read cannot take anything over.
        await using (var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"), [.. settings,
            $"Api:Keys:one:Hash={ApiKey.HashOf(key)}", "Api:Keys:one:Scopes:0=Read", "Api:Keys:one:Scopes:1=Calibrate",
            $"Api:Keys:two:Hash={ApiKey.HashOf(reader)}", "Api:Keys:two:Scopes:0=Read"]))
        {
            Assert.Equal("deployment", service.Services.GetRequiredService<OutlierPipeline.Service.PipelineService>().Models.Single()
                .Package.Default.Calibration.Origin);
            Assert.Equal(HttpStatusCode.Forbidden, await TakeOverAsync(service, reader));
            Assert.Equal(HttpStatusCode.NotFound, await TakeOverAsync(service, key));
        }
        // The same from the topic, without frames.
        string source = $"kafka://{cluster.BootstrapServers}/{TestCluster.Scores}?seconds=86400";
        var run = await Tool.OutlierAsync("calibrate", "--model", package.Path, "--scores", source, "--out", directory.File("after"));
        Assert.True(run.Code == 0, run.Error);
        Assert.InRange(ModelPackage.Load(directory.File("after")).Default.Calibration.DeploymentDrives!.Value, 43, 49);
    }

    [Fact]
    public async Task By_itself_it_is_taken_over_once_its_drives_lie_a_day_apart()
    {
        using var directory = new TestDirectory();
        var package = BootstrapPackage.Write(directory.File("package"));
        using var cluster = new TestCluster(1);
        string[] settings = [$"Model:Path={package.Path}", "Detection:CalibrateItself=true"];
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"), settings);
        var book = service.Services.GetRequiredService<LevelBook>();
        var random = new Random(7);
        for (int i = 0; i < 40; i++) await book.AddAsync(package.LoadedDigest, Gathered(package, $"car-{i}", i / 4, random), Cancellation);
        // The same once more, and more of an hour than there may be.
        await book.AddAsync(package.LoadedDigest, Gathered(package, "car-0", 0, random), Cancellation);
        for (int i = 0; i < 7; i++) await book.AddAsync(package.LoadedDigest, Gathered(package, $"more-{i}", 0, random), Cancellation);
        await service.UntilAsync(async () => Level(await service.GetAsync("/api/level")) is var level
            && level.GetProperty("proposal").ValueKind == JsonValueKind.Object, "a proposal");
        Assert.Equal(40 - 4 + DeploymentFit.MaxOfHour, await book.CountAsync(package.LoadedDigest, Cancellation));
        Assert.Equal("bootstrap", Level(await service.GetAsync("/api/level")).GetProperty("calibration").GetString());
        Assert.Contains("once its drives lie a day apart", await service.Http.GetStringAsync("/healthz/ready", Cancellation),
            StringComparison.Ordinal);
        for (int i = 0; i < 60; i++) await book.AddAsync(package.LoadedDigest, Gathered(package, "van", 20 + i, random), Cancellation);
        await service.UntilAsync(async () => Level(await service.GetAsync("/api/level")).GetProperty("calibration").GetString()
            == "deployment", "taking over");
    }

    private static async Task<HttpStatusCode> TakeOverAsync(RunningService service, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/level/take-over");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return (await service.Http.SendAsync(request, Cancellation)).StatusCode;
    }

    private static JsonElement Level(JsonElement levels) => Assert.Single(levels.EnumerateArray().ToArray());

    /// <summary>A rendered drive, one frame a second.</summary>
    private static void Drive(TestCluster cluster, string camera, int seed, int hour, int frames, Func<int, bool> isFog)
    {
        using var street = new StreetCamera(seed);
        for (int i = 0; i < frames; i++)
        {
            var time = Start.AddHours(hour).AddSeconds(i);
            string stamp = $"{time.ToUnixTimeMilliseconds()}000000";
            cluster.ProduceAt(time, camera, street.Render(i, isFog(i) ? Trouble.Fog : Trouble.None), 0, ("frame-timestamp", stamp));
        }
    }

    private static NormalDrive Gathered(ModelPackage package, string camera, int hour, Random random)
    {
        var calibration = package.Default.Calibration;
        long from = Start.AddHours(hour).ToUnixTimeMilliseconds() * 1_000_000;
        float[][] rows = [.. Enumerable.Range(0, 25).Select(_ => calibration.Location.Select((location, k) =>
            (float)(location + calibration.Scale[k] * (random.NextDouble() - 0.5))).ToArray())];
        return new NormalDrive(camera, from, from + 24_000_000_000, 1, rows);
    }

    private static (float[] Row, bool IsIncident, double P)[] Scores(TestCluster cluster, ModelPackage package, string camera) =>
        [.. cluster.ReadAll(TestCluster.Scores).Where(record => record.Message.Key == camera)
            .Select(record => JsonDocument.Parse(record.Message.Value).RootElement).Select(score => (
                package.Card.Scores.Select(name => score.GetProperty("scores").GetProperty(name).GetSingle()).ToArray(),
                score.TryGetProperty("incident", out _),
                score.TryGetProperty("tailPValue", out var tail) ? tail.GetDouble() : score.GetProperty("pValue").GetDouble()))];

    /// <summary>What the opened alerts of a camera say of their calibration.</summary>
    private static string[] Origins(TestCluster cluster, string camera) =>
        [.. cluster.ReadAll(TestCluster.Alerts).Where(record => record.Message.Key == camera)
            .Select(record => JsonDocument.Parse(record.Message.Value).RootElement)
            .Where(alert => alert.GetProperty("type").GetString() == "outlier.alert.opened")
            .Select(alert => alert.GetProperty("data").GetProperty("calibration")).Select(calibration =>
                calibration.GetProperty("origin").GetString()! + (calibration.TryGetProperty("drives", out var drives)
                    ? string.Create(CultureInfo.InvariantCulture, $" of {drives.GetInt32()}") : ""))];
}
