using System.Buffers;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

/// <summary>A detector whose package has an onset test: a change against the camera's own frames fires, on whatever road.</summary>
public sealed class OnsetDetectorTests : IDisposable
{
    private const double FramesPerSecond = 10;
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;
    private readonly ModelPackage _package;
    private readonly List<AlertStep> _alerts = [];
    private readonly Random _random = new(3);
    private double _noise;
    private long _offset;
    private long _time = 1_000_000_000_000;

    public OnsetDetectorTests()
    {
        var demo = ModelPackage.Load(Repository.StreetDemo);
        var calibration = demo.Default.Calibration;
        float[][] rows = [.. Enumerable.Range(0, 4000).Select(_ => Scores(calibration, 0))];
        var onset = OnsetFit.Fit(calibration, null, rows, [2000, 2000], FramesPerSecond, OnsetCalibration.OfDrives);
        var files = ModelPackageWriter.ReadAll(demo);
        files["calibration.json"] = (calibration with { Onset = onset }).ToJson();
        _package = ModelPackageWriter.Write(Path.Combine(_directory, "package"), demo.Card, files);
    }

    [Fact]
    public void A_change_that_the_level_hardly_sees_opens_an_incident_by_its_onset_within_fifteen_frames()
    {
        var detector = Detector();
        // A road of its own: all scores lie somewhat below what is usual, so the level sees nothing after the change either.
        var before = Run(detector, 60, -3);
        Assert.Empty(_alerts);
        Assert.All(before[..21], verdict => Assert.Null(verdict.OnsetPValue));
        Assert.All(before[30..], verdict => Assert.InRange(verdict.OnsetPValue!.Value, 0.001, 1));
        var after = Run(detector, 15, 0);
        var opened = Assert.Single(_alerts);
        Assert.Equal((AlertType.Opened, AlertTest.Onset), (opened.Type, opened.Test));
        Assert.Contains("by its onset", opened.Reason, StringComparison.Ordinal);
        Assert.InRange(opened.First.Offset, 60, 63);
        Assert.True(opened.IsExtrapolated);
        Assert.True(after[10].Onset > 3);
        Assert.All(after, verdict => Assert.InRange(verdict.PValue, 0.05, 1));
    }

    [Fact]
    public void What_ends_is_calm_again_and_what_stays_is_absorbed_and_neither_alarms_again()
    {
        var detector = Detector();
        Run(detector, 100, -3);
        Run(detector, 100, 0);
        Run(detector, 200, -3);
        Assert.Equal([AlertType.Opened, AlertType.Closed], Types());
        Assert.Equal(CloseReason.Calm, _alerts[^1].Closed);
        _alerts.Clear();
        Run(detector, 3000, -3);
        Run(detector, 36_000, 0);
        Assert.Equal([AlertType.Opened, AlertType.Closed], Types());
        Assert.Equal(CloseReason.Absorbed, _alerts[^1].Closed);
        Assert.InRange(_alerts[^1].Last.Since(_alerts[0].First), TimeSpan.FromSeconds(90), TimeSpan.FromMinutes(12));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(60)]
    [InlineData(300)]
    [InlineData(1200)]
    public void What_comes_slowly_opens_an_incident_too(int seconds)
    {
        var detector = Detector();
        int frames = (int)(seconds * FramesPerSecond);
        for (int i = 0; i < 12_000; i++) Run(detector, 1, -3);
        Assert.Empty(_alerts);
        for (int i = 0; i < frames; i++) Run(detector, 1, -3 + 3.0 * i / frames);
        Run(detector, 3000, 0);
        Assert.Equal(AlertType.Opened, _alerts[0].Type);
        Assert.Equal(AlertTest.Onset, _alerts[0].Test);
    }

    [Fact]
    public void Another_drive_begins_anew()
    {
        var detector = Detector();
        Run(detector, 100, -3);
        _time += (long)(new DetectionOptions().DriveGap.TotalNanoseconds + 1e9);
        var verdicts = Run(detector, 60, 0);
        Assert.Empty(_alerts);
        Assert.All(verdicts[..21], verdict => Assert.Null(verdict.Onset));
    }

    [Fact]
    public void Hours_of_normal_frames_open_nothing()
    {
        var detector = Detector();
        Run(detector, 200_000, -1);
        Assert.Empty(_alerts);
    }

    [Fact]
    public void A_restored_detector_goes_on_exactly_as_if_nothing_had_happened()
    {
        float[][] frames = [.. Enumerable.Range(0, 400).Select(i => Scores(_package.Default.Calibration, i is > 100 and < 200 ? 0 : -3))];
        var whole = Detector();
        var expected = frames.Select(frame => Observe(whole, frame)).ToArray();
        string[] events = [.. _alerts.Select(alert => alert.EventId)];
        Assert.InRange(events.Length, 2, 3);
        foreach (int cut in (int[])[3, 50, 103, 150, 210])
        {
            (_offset, _time) = (0, 1_000_000_000_000);
            _alerts.Clear();
            var first = Detector();
            for (int i = 0; i < cut; i++) Assert.Equal(expected[i], Observe(first, frames[i]));
            var record = new ArrayBufferWriter<byte>();
            first.WriteState(record, DateTimeOffset.UnixEpoch);
            var second = Detector();
            Assert.True(second.TryRestore(record.WrittenSpan));
            for (int i = cut; i < frames.Length; i++) Assert.Equal(expected[i], Observe(second, frames[i]));
            Assert.Equal(events, _alerts.Select(alert => alert.EventId));
        }
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private CameraDetector Detector() => new("car-1", _package, new DetectionOptions());

    private AlertType[] Types() => [.. _alerts.Select(alert => alert.Type).Where(type => type != AlertType.Escalated)];

    private Verdict[] Run(CameraDetector detector, int frames, double level) =>
        [.. Enumerable.Range(0, frames).Select(_ => Observe(detector, Scores(_package.Default.Calibration, level)))];

    private Verdict Observe(CameraDetector detector, float[] scores)
    {
        _time += (long)(1e9 / FramesPerSecond);
        return detector.Observe(new FrameObservation
        {
            Frame = new FrameRef("camera.frames", 0, _offset++, _time),
            Scores = scores,
            ErrorMap = [],
            Pixels = [],
        }, _alerts);
    }

    /// <summary>Scores that wander about a level, in units of their normal spread.</summary>
    private float[] Scores(Calibration calibration, double level)
    {
        _noise = 0.9 * _noise + 0.1 * (_random.NextDouble() - 0.5);
        return [.. calibration.Location.Select((location, k) => (float)(location + (level + _noise) * calibration.Scale[k]))];
    }
}
