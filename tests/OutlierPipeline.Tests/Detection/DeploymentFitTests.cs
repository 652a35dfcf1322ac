using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

/// <summary>
/// The level calibrated on a deployment's own drives, on synthetic scores: every drive is moved as a whole, and its neighbouring frames
/// are alike.
/// </summary>
public sealed class DeploymentFitTests
{
    private const int Step = 1;
    private static readonly string[] Names = ["a", "b", "c"];
    private static readonly DetectionOptions Options = new();
    private static readonly NetworkCard Network = ModelPackage.Load(Repository.StreetDemo).Card.Network;
    private readonly Random _random = new(17);

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    public void Unseen_drives_open_no_more_false_incidents_than_are_permitted_and_outliers_are_found(double spread)
    {
        const int rounds = 3;
        const int drives = 400;
        const int frames = 1800;
        int falsely = 0;
        int careless = 0;
        for (int round = 0; round < rounds; round++)
        {
            var before = Bootstrap(spread);
            var after = Fit(before, 60, spread);
            Assert.Equal(("bootstrap", "deployment", 60), (before.Origin, after.Origin, after.DeploymentDrives));
            for (int i = 0; i < drives; i++)
            {
                float[][] drive = Drive(frames, spread);
                if (Delay(after, drive) < int.MaxValue) falsely++;
                // Frames counted as independent, as exchangeable ones would be: a tenth of the drives give more.
                if (i < 40 && Delay(after with { Pace = null }, drive) < int.MaxValue) careless++;
            }
            // Strange from the first frame on.
            int[] delays = [.. Enumerable.Range(0, 40).Select(_ => Delay(after, Drive(600, spread, shift: 6))).Order()];
            int[] slow = [.. Enumerable.Range(0, 40).Select(_ => Delay(before, Drive(600, spread, shift: 6))).Order()];
            Assert.True(delays[37] < 120, string.Join(' ', delays));
            Assert.True(delays[20] < slow[20], $"{string.Join(' ', delays)}\n{string.Join(' ', slow)}");
        }
        double permitted = Options.FalseAlarmsPerCameraDay * rounds * drives * frames * Step / 86400.0;
        Assert.InRange(falsely, 0, permitted);
        Assert.True(careless > permitted, $"{careless}");
    }

    [Fact]
    public void The_drives_of_a_busy_fleet_lie_more_than_a_day_apart()
    {
        const long Minute = 60_000_000_000;
        // Twenty drives begin in each hour, all of them late in it.
        var chosen = DeploymentFit.Choose(Enumerable.Range(0, 72 * 20).Select(i =>
            new NormalDrive("car", (i / 20 * 60 + 40 + i % 20) * Minute, (i / 20 * 60 + 45 + i % 20) * Minute, 1, [])));
        Assert.Equal(DeploymentFit.MaxDrives, chosen.Length);
        Assert.True(chosen[^1].ToNanoseconds - chosen[0].FromNanoseconds > 24 * 60 * Minute);
    }

    [Fact]
    public void P_values_of_unseen_drives_are_what_they_say()
    {
        var after = Fit(Bootstrap(1), 60, 1);
        float[][] unseen = [.. Enumerable.Range(0, 300).SelectMany(_ => Drive(40, 1))];
        foreach (double level in (double[])[0.05, 0.1])
        {
            double share = unseen.Count(row => after.PValue(after.Combine(row)) <= level) / (double)unseen.Length;
            Assert.InRange(share, 0.3 * level, 2 * level);
        }
    }

    [Fact]
    public void Too_few_drives_are_refused_and_the_message_says_how_many_are_needed()
    {
        var before = Bootstrap(0);
        var drives = Enumerable.Range(0, 39).Select(Gathered).ToList();
        string message = Assert.Throws<ArgumentException>(() =>
            DeploymentFit.Fit(before, drives, Options.FalseAlarmProbability)).Message;
        Assert.Contains("39 normal drives are too few: at least 40 are needed, each with at least 20 frames", message,
            StringComparison.Ordinal);
        Assert.Equal(40, DeploymentFit.Fit(before, [.. drives, Gathered(39)], Options.FalseAlarmProbability).DeploymentDrives);

        NormalDrive Gathered(int i) => new("car", i, i, 1, Drive(20, 0));
    }

    [Fact]
    public void What_was_measured_travels_with_the_calibration_and_damage_is_refused()
    {
        var after = Fit(Bootstrap(1), 40, 1);
        var read = Calibration.Parse(after.ToJson());
        Assert.Equal((after.Pace, after.DeploymentDrives, after.Origin), (read.Pace, read.DeploymentDrives, read.Origin));
        Assert.True(read.Pace!.Allowance > 0);
        Assert.Throws<JsonException>(() => Calibration.Parse((after with { Pace = new LevelPace(0, 1) }).ToJson()));
        Assert.Throws<JsonException>(() => Calibration.Parse((after with { Pace = new LevelPace(1, -1) }).ToJson()));
        Assert.Null((Bootstrap(1) with { IsBootstrap = false }).Origin);
    }

    [Fact]
    public void What_is_taken_over_judges_from_the_next_frame_on_and_an_open_incident_stays()
    {
        var package = ModelPackage.Load(Repository.StreetDemo);
        var before = package.Default;
        var detector = new CameraDetector("car-1", package, Options);
        var alerts = new List<AlertStep>();
        float[] strange = [.. before.Calibration.Location.Select((location, k) => (float)(location + 9 * before.Calibration.Scale[k]))];
        int seen = 0;
        for (int i = 0; i < 20; i++) Observe();
        Assert.Equal(60, Assert.Single(alerts, alert => alert.Type == AlertType.Opened).Calibration?.Drives);
        Assert.True(Observe().Martingale > 6);
        // The same scores are normal to it.
        package.TakeOver(before.Calibration with { Location = [.. strange.Select(score => (double)score)], DeploymentDrives = 40 });
        Assert.Equal(before.Digest, package.LoadedDigest);
        Assert.NotEqual(before.Digest, package.Default.Digest);
        var after = Observe();
        Assert.Equal(0, after.Martingale);
        Assert.InRange(after.PValue, 0.2, 1);
        Assert.True(detector.HasOpenIncident);
        for (int i = 0; i < 60; i++) Observe();
        Assert.Equal(CloseReason.Calm, alerts[^1].Closed);

        Verdict Observe() => detector.Observe(new FrameObservation
        {
            Frame = new FrameRef("camera.frames", 0, seen, ++seen * 1_000_000_000L),
            Scores = strange,
            ErrorMap = [],
            Pixels = [],
        }, alerts);
    }

    private Calibration Fit(Calibration before, int drives, double spread) => DeploymentFit.Fit(before,
        [.. Enumerable.Range(0, drives).Select(i => new NormalDrive("car", 0, 300L * Step * 1_000_000_000, Step, Drive(300, spread)))],
        Options.FalseAlarmProbability);

    /// <summary>Of two training drives, and footage that was left out and scores higher.</summary>
    private Calibration Bootstrap(double spread)
    {
        float[][] rows = [.. Drive(150, spread), .. Drive(150, spread)];
        return Calibration.Fit(Names, Names, rows, [150, 150])
            .WithLeftOut([.. Drive(150, spread, 4), .. Drive(150, spread, 4)], [150, 150]);
    }

    /// <summary>Frames before there is enough evidence.</summary>
    private static int Delay(Calibration calibration, float[][] drive)
    {
        var state = new DetectorState { Digest = "d" };
        var evidence = new Evidence(state, -Math.Log(Options.FalseAlarmProbability), Network, calibration);
        for (int i = 0; i < drive.Length; i++)
        {
            double combined = calibration.Combine(drive[i]);
            evidence.Add(calibration.PValue(combined), calibration.TailPValue(combined), null, Step, new FrameRef("", 0, i, i), [0]);
            if (evidence.IsEnough) return i;
        }
        return int.MaxValue;
    }

    /// <summary>Normal scores, moved as a whole, a correlation of .8 from frame to frame.</summary>
    private float[][] Drive(int frames, double spread, double shift = 0)
    {
        double[] moved = [.. Names.Select(_ => shift + spread * Normal())];
        double[] noise = [.. Names.Select(_ => Normal())];
        return [.. Enumerable.Range(0, frames).Select(_ => Names.Select((_, k) =>
        {
            noise[k] = 0.8 * noise[k] + 0.6 * Normal();
            return (float)(moved[k] + noise[k]);
        }).ToArray())];
    }

    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
}
