using System.Buffers;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

public sealed class CameraDetectorTests
{
    private static readonly ModelPackage Package = ModelPackage.Load(Repository.StreetDemo);
    private static readonly int Scores = Package.Card.Scores.Count;
    private long _offset;
    private long _time = 1_000_000_000_000;

    [Fact]
    public void An_incident_opens_after_evidence_escalates_and_closes_after_calm_with_one_id()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        Observe(detector, alerts, 30, strange: false);
        Assert.Empty(alerts);
        Observe(detector, alerts, 1, strange: true);
        Assert.Empty(alerts);
        Observe(detector, alerts, 100, strange: true);
        Assert.Equal([AlertType.Opened, AlertType.Escalated], alerts.Select(alert => alert.Type));
        Assert.Equal([Severity.Warning, Severity.Critical], alerts.Select(alert => alert.Severity));
        Observe(detector, alerts, 100, strange: false);
        Assert.Equal(AlertType.Closed, alerts[^1].Type);
        Assert.Equal(3, alerts.Count);
        Assert.Single(alerts.Select(alert => alert.Incident).Distinct());
        Assert.Equal([1, 2, 3], alerts.Select(alert => alert.Step));
        Assert.True(alerts[2].Last.TimestampNanoseconds - alerts[1].Last.TimestampNanoseconds > 0);
        Assert.False(detector.HasOpenIncident);
    }

    [Fact]
    public void An_incident_stays_open_while_a_mild_trouble_lasts_however_long_all_was_calm_before_it()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        Observe(detector, alerts, 600, strange: false);
        float[] mild = MildScores(0.012);
        for (int i = 0; i < 100; i++) Observe(detector, alerts, mild);
        Assert.Equal([AlertType.Opened, AlertType.Escalated], alerts.Select(alert => alert.Type));
        Assert.True(detector.HasOpenIncident);
    }

    [Fact]
    public void Normal_frames_open_nothing_however_many_there_are()
    {
        // p-values as a calibrated camera has them: uniform on the calibration's own ranks. A million frames would be 28 hours at 10
        // frames/s.
        var detector = Detector();
        var alerts = new List<AlertStep>();
        var random = new Random(11);
        for (int i = 0; i < 200_000; i++) Observe(detector, alerts, NormalScores(random));
        // 1e-6 a start, and the evidence starts again and again: less than one in 200,000 frames is what its mathematics promises.
        Assert.InRange(alerts.Count(alert => alert.Type == AlertType.Opened), 0, 1);
    }

    [Fact]
    public void A_restored_detector_goes_on_exactly_as_if_nothing_had_happened()
    {
        var random = new Random(5);
        float[][] frames = [.. Enumerable.Range(0, 200).Select(i => i is > 60 and < 140 ? StrangeScores() : NormalScores(random))];
        var whole = new List<AlertStep>();
        var uninterrupted = Detector();
        foreach (float[] frame in frames) Observe(uninterrupted, whole, frame);
        for (int cut = 1; cut < frames.Length; cut += 13)
        {
            (_offset, _time) = (0, 1_000_000_000_000);
            var parts = new List<AlertStep>();
            var first = Detector();
            foreach (float[] frame in frames[..cut]) Observe(first, parts, frame);
            var record = new ArrayBufferWriter<byte>();
            first.WriteState(record, DateTimeOffset.UnixEpoch);
            Assert.InRange(record.WrittenCount, 1, 2048);
            var second = Detector();
            Assert.True(second.TryRestore(record.WrittenSpan));
            foreach (float[] frame in frames[cut..]) Observe(second, parts, frame);
            Assert.Equal(whole, parts);
        }
    }

    [Fact]
    public void Frames_seen_before_change_nothing()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        Observe(detector, alerts, 50, strange: true);
        int known = alerts.Count;
        for (long offset = 0; offset < 50; offset++)
        {
            var verdict = detector.Observe(Observation(offset, offset * 100_000_000, StrangeScores(),
                new byte[Package.Card.Network.Height * Package.Card.Network.Width * 3]), alerts);
            Assert.True(verdict.IsReplayed);
        }
        Assert.Equal(known, alerts.Count);
        Assert.Equal(50, detector.NextOffset);
    }

    [Fact]
    public void A_picture_that_does_not_change_is_frozen_and_one_that_does_is_not()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        byte[] same = Noise(1);
        var random = new Random(2);
        for (int i = 0; i < 19; i++) Observe(detector, alerts, NormalScores(random), same);
        Assert.Empty(alerts);
        for (int i = 0; i < 10; i++) Observe(detector, alerts, NormalScores(random), same);
        Assert.Equal(AlertKind.Frozen, alerts.Single().Kind);
    }

    [Fact]
    public void A_strange_picture_that_is_nearly_black_is_dark()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        for (int i = 0; i < 30; i++)
        {
            byte[] black = [.. Noise(i).Select(value => (byte)(value / 32))];
            Observe(detector, alerts, StrangeScores(), black);
        }
        Assert.Equal(AlertKind.Dark, alerts.Single().Kind);
    }

    [Fact]
    public void Undecodable_frames_in_a_row_are_an_incident_that_a_good_frame_ends()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        for (int i = 0; i < 10; i++)
            detector.ObserveUndecodable(new FrameRef("t", 0, _offset++, _time += 100_000_000), FrameError.Truncated, alerts);
        Assert.Equal(AlertKind.Undecodable, alerts.Single().Kind);
        Observe(detector, alerts, 100, strange: false);
        Assert.Equal(AlertType.Closed, alerts[^1].Type);
    }

    [Fact]
    public void Another_model_starts_the_evidence_afresh_and_keeps_the_open_incident()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        Observe(detector, alerts, 50, strange: true);
        var record = new ArrayBufferWriter<byte>();
        detector.WriteState(record, DateTimeOffset.UnixEpoch);
        var other = new CameraDetector("car-1", ModelPackage.Load(Repository.CamVidDay), new DetectionOptions());
        Assert.True(other.TryRestore(record.WrittenSpan));
        Assert.True(other.HasOpenIncident);
        Assert.Equal(50, other.NextOffset);
        Assert.False(new CameraDetector("car-1", Package, new DetectionOptions()).TryRestore("{ no json"u8));
    }

    [Fact]
    public void The_end_of_a_drive_closes_the_incident_and_starts_the_evidence_afresh()
    {
        foreach (bool byGap in new[] { false, true })
        {
            var detector = Detector();
            var alerts = new List<AlertStep>();
            Observe(detector, alerts, 30, strange: false);
            Observe(detector, alerts, 60, strange: true);
            Assert.True(detector.HasOpenIncident);
            if (byGap) _time += 6 * 60 * 1_000_000_000L;
            else detector.ObserveDriveEnd(new FrameRef("camera.frames", 0, _offset++, _time += 100_000_000), alerts);
            if (byGap) Observe(detector, alerts, 1, strange: false);
            Assert.Equal((AlertType.Closed, CloseReason.DriveEnded), (alerts[^1].Type, alerts[^1].Closed));
            Assert.False(detector.HasOpenIncident);
            int known = alerts.Count;
            Observe(detector, alerts, 20, strange: false);
            Assert.Equal(known, alerts.Count);
        }
    }

    [Fact]
    public void A_camera_that_is_strange_from_its_first_frame_opens_one_incident_that_says_the_model_may_not_fit()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        Observe(detector, alerts, 600, strange: true);
        var only = Assert.Single(alerts);
        Assert.Equal(Severity.Info, only.Severity);
        Assert.Contains("outlier calibrate --model", only.Reason, StringComparison.Ordinal);
        Assert.Contains("--camera car-1", only.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_silent_camera_is_found_by_the_partitions_clock_and_only_where_it_is_watched()
    {
        foreach (bool isWatched in new[] { true, false })
        {
            var options = new DetectionOptions
            {
                SilentAfter = isWatched
                ? new Dictionary<string, TimeSpan> { ["car-*"] = TimeSpan.FromSeconds(10) } : []
            };
            var detector = new CameraDetector("car-1", Package, options);
            var alerts = new List<AlertStep>();
            detector.ObserveAbsence("camera.frames", 0, TimeSpan.FromDays(1), alerts);
            Assert.Empty(alerts);
            Observe(detector, alerts, 20, strange: false);
            detector.MarkSeen(TimeSpan.FromSeconds(5));
            detector.ObserveAbsence("camera.frames", 0, TimeSpan.FromSeconds(5 + 9), alerts);
            Assert.Empty(alerts);
            for (int second = 11; second < 20; second++)
                detector.ObserveAbsence("camera.frames", 0, TimeSpan.FromSeconds(5 + second), alerts);
            if (!isWatched)
            {
                Assert.Empty(alerts);
                continue;
            }
            Assert.Equal([AlertType.Opened], alerts.Select(alert => alert.Type));
            Assert.Equal((AlertKind.Silent, Severity.Critical), (alerts[0].Kind, alerts[0].Severity));
            _time += 20_000_000_000;
            Observe(detector, alerts, 60, strange: false);
            Assert.Equal(AlertType.Closed, alerts[^1].Type);
        }
    }

    [Fact]
    public void A_picture_that_is_all_but_the_same_is_frozen_and_sensor_noise_is_not()
    {
        byte[] picture = Noise(1);
        var random = new Random(2);
        foreach (bool isFrozen in new[] { true, false })
        {
            var detector = Detector();
            var alerts = new List<AlertStep>();
            for (int i = 0; i < 40; i++)
            {
                byte[] now = [.. picture];
                // An encoder changes a few values; noise, even when it is averaged by scaling, a good part of them.
                int changes = isFrozen ? now.Length / 5000 : now.Length / 20;
                for (int k = 0; k < changes; k++) now[random.Next(now.Length)] ^= 1;
                Observe(detector, alerts, NormalScores(random), now);
            }
            Assert.Equal(isFrozen ? [AlertKind.Frozen] : [], alerts.Where(alert => alert.Type == AlertType.Opened).Select(alert =>
                alert.Kind));
        }
    }

    [Fact]
    public void An_alert_says_which_score_how_strange_where_and_on_what_its_evidence_rests()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        Observe(detector, alerts, 30, strange: false);
        float[] scores = NormalScores(new Random(1));
        int bands = Package.Card.Scores.ToList().IndexOf("bands");
        scores[bands] = (float)(Package.Default.Calibration.Location[bands] + 40 * Package.Default.Calibration.Scale[bands]);
        float[] map = new float[Package.Card.Network.ErrorMapHeight * Package.Card.Network.ErrorMapWidth];
        map[2 * Package.Card.Network.ErrorMapWidth + 5] = 9;
        for (int i = 0; i < 20; i++) detector.Observe(Observation(_offset++, _time += 100_000_000, scores, Noise(i), map), alerts);
        var opened = alerts[0];
        Assert.Equal("bands", opened.FiredScore);
        Assert.Equal(40, opened.Strangeness!.Value, 1);
        Assert.Equal(new PictureRegion(5.0 / Package.Card.Network.ErrorMapWidth, 2.0 / Package.Card.Network.ErrorMapHeight,
            1.0 / Package.Card.Network.ErrorMapWidth, 1.0 / Package.Card.Network.ErrorMapHeight), opened.Where);
        Assert.True(opened.IsExtrapolated);
    }

    private static CameraDetector Detector() => new("car-1", Package, new DetectionOptions());

    private static float[] StrangeScores() =>
        [.. Enumerable.Range(0, Scores).Select(k =>
        (float)(Package.Default.Calibration.Location[k] + 5 * Package.Default.Calibration.Scale[k]))];

    /// <summary>Scores whose combination has a uniform rank among the calibration's.</summary>
    /// <summary>All as usual but one score, as high as it takes for a p-value.</summary>
    private static float[] MildScores(double p)
    {
        var calibration = Package.Default.Calibration;
        float[] scores = [.. calibration.Location.Select(location => (float)location)];
        int local = Package.Card.Scores.ToList().IndexOf("local");
        while (calibration.PValue(calibration.Combine(scores)) > p) scores[local] += 0.01f;
        return scores;
    }

    private static float[] NormalScores(Random random)
    {
        double target = Package.Default.Calibration.Combined[random.Next(Package.Default.Calibration.Frames)];
        // All scores equally strange, so that the soft maximum is target: standardised value plus log(number)/4.
        double standardised = target - Math.Log(Package.Default.Calibration.Combines.Count) / 4;
        return [.. Enumerable.Range(0, Scores).Select(k =>
            (float)(Package.Default.Calibration.Location[k] + standardised * Package.Default.Calibration.Scale[k]))];
    }

    private static byte[] Noise(int seed)
    {
        byte[] pixels = new byte[Package.Card.Network.Height * Package.Card.Network.Width * 3];
        new Random(seed).NextBytes(pixels);
        return pixels;
    }

    private void Observe(CameraDetector detector, List<AlertStep> alerts, int frames, bool strange)
    {
        var random = new Random(9);
        for (int i = 0; i < frames; i++) Observe(detector, alerts, strange ? StrangeScores() : NormalScores(random));
    }

    private void Observe(CameraDetector detector, List<AlertStep> alerts, float[] scores, byte[]? pixels = null)
    {
        if (pixels is null)
        {
            // Pictures differ as a camera's do.
            pixels = new byte[192];
            new Random((int)_offset).NextBytes(pixels);
        }
        detector.Observe(Observation(_offset++, _time += 100_000_000, scores, pixels), alerts);
    }

    private static FrameObservation Observation(long offset, long time, float[] scores, byte[] pixels, float[]? map = null) => new()
    {
        Frame = new FrameRef("camera.frames", 0, offset, time),
        Scores = scores,
        ErrorMap = map ?? new float[Package.Card.Network.ErrorMapHeight * Package.Card.Network.ErrorMapWidth],
        Pixels = pixels,
    };
}
