using System.Buffers;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
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
        Observe(detector, alerts, 3, strange: true);
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
    public void Normal_frames_open_nothing_however_many_there_are()
    {
        // p-values as a calibrated camera has them: uniform on the calibration's own ranks. A million frames would be 28 hours at 10 frames/s.
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
            Assert.InRange(record.WrittenCount, 1, 1024);
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
            var verdict = detector.Observe(Observation(offset, offset * 100_000_000, StrangeScores(), new byte[Package.Card.Network.Height * Package.Card.Network.Width * 3]), alerts);
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
            byte[] black = new byte[Noise(1).Length];
            black[i] = 9;
            Observe(detector, alerts, StrangeScores(), black);
        }
        Assert.Equal(AlertKind.Dark, alerts.Single().Kind);
    }

    [Fact]
    public void Undecodable_frames_in_a_row_are_an_incident_that_a_good_frame_ends()
    {
        var detector = Detector();
        var alerts = new List<AlertStep>();
        for (int i = 0; i < 10; i++) detector.ObserveUndecodable(new FrameRef("t", 0, _offset++, _time += 100_000_000), FrameError.Truncated, alerts);
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

    private static CameraDetector Detector() => new("car-1", Package, new DetectionOptions());

    private static float[] StrangeScores() => [.. Enumerable.Range(0, Scores).Select(k => (float)(Package.Default.Calibration.Location[k] + 5 * Package.Default.Calibration.Scale[k]))];

    /// <summary>Scores whose combination has a uniform rank among the calibration's.</summary>
    private static float[] NormalScores(Random random)
    {
        double target = Package.Default.Calibration.Combined[random.Next(Package.Default.Calibration.Frames)];
        // All scores equally strange, so that the soft maximum is target: standardised value plus log(S)/4.
        double standardised = target - Math.Log(Scores) / 4;
        return [.. Enumerable.Range(0, Scores).Select(k => (float)(Package.Default.Calibration.Location[k] + standardised * Package.Default.Calibration.Scale[k]))];
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
            pixels = new byte[64];
            BitConverter.TryWriteBytes(pixels, _offset);
            pixels.AsSpan(8).Fill(120);
        }
        detector.Observe(Observation(_offset++, _time += 100_000_000, scores, pixels), alerts);
    }

    private static FrameObservation Observation(long offset, long time, float[] scores, byte[] pixels) => new()
    {
        Frame = new FrameRef("camera.frames", 0, offset, time),
        Scores = scores,
        ErrorMap = new float[Package.Card.Network.ErrorMapHeight * Package.Card.Network.ErrorMapWidth],
        Pixels = pixels,
    };
}
