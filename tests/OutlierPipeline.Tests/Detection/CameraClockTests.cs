using System.Buffers;
using System.Text;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

/// <summary>Cameras' clocks are wrong in many ways; none of them may blind a camera.</summary>
public sealed class CameraClockTests
{
    private const long Second = 1_000_000_000;
    private const long Begin = 1_790_000_000 * Second;
    private static readonly ModelPackage Package = ModelPackage.Load(Repository.StreetDemo);

    /// <summary>
    /// What the camera states of frame i, whose true time is <c>Begin + i · 0.1 s</c>; after the reader has taken its unit and its zeros
    /// away.
    /// </summary>
    public static TheoryData<string> Clocks =>
        ["right", "one in 2038", "one in 1990", "set back by an hour", "set forward by an hour", "an hour ahead", "stands still",
        "whole seconds", "a number", "milliseconds since start", "ticks", "back and forth", "since start", "negative steps"];

    [Theory]
    [MemberData(nameof(Clocks))]
    public void Trouble_opens_an_incident_and_calm_closes_it_whatever_the_clock_says(string clock)
    {
        var detector = new CameraDetector("car-1", Package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        Run(detector, alerts, clock, 0, 40, strange: false);
        Assert.Empty(alerts);
        Run(detector, alerts, clock, 40, 30, strange: true);
        Assert.Equal([AlertType.Opened], alerts.Select(alert => alert.Type));
        Run(detector, alerts, clock, 70, 100, strange: false);
        Assert.Equal([AlertType.Opened, AlertType.Closed], alerts.Select(alert => alert.Type));
        Assert.Equal(CloseReason.Calm, alerts[1].Closed);
    }

    [Theory]
    [MemberData(nameof(Clocks))]
    public void A_frozen_picture_is_found_whatever_the_clock_says_and_not_before_its_time(string clock)
    {
        var detector = new CameraDetector("car-1", Package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        Run(detector, alerts, clock, 0, 40, strange: false);
        Run(detector, alerts, clock, 40, 15, strange: false, frozen: true);
        Assert.Empty(alerts);
        Run(detector, alerts, clock, 55, 15, strange: false, frozen: true);
        Assert.Equal([AlertKind.Frozen], alerts.Select(alert => alert.Kind));
    }

    [Theory]
    [MemberData(nameof(Clocks))]
    public void The_same_holds_after_a_restart_in_the_middle(string clock)
    {
        var alerts = new List<AlertStep>();
        var first = new CameraDetector("car-1", Package, new DetectionOptions());
        Run(first, alerts, clock, 0, 30, strange: false);
        var record = new ArrayBufferWriter<byte>();
        first.WriteState(record, DateTimeOffset.UnixEpoch.AddTicks(Begin / 100));
        var second = new CameraDetector("car-1", Package, new DetectionOptions());
        Assert.True(second.TryRestore(record.WrittenSpan));
        Run(second, alerts, clock, 30, 10, strange: false);
        Run(second, alerts, clock, 40, 30, strange: true);
        Assert.Equal([AlertType.Opened], alerts.Select(alert => alert.Type));
    }

    [Fact]
    public void Footage_uploaded_hours_later_in_a_burst_keeps_its_spacing()
    {
        // The same frames live, and three hours later a thousand times as fast: the same evidence, frame by frame.
        var live = new CameraDetector("car-1", Package, new DetectionOptions());
        var late = new CameraDetector("car-1", Package, new DetectionOptions());
        for (int i = 0; i < 60; i++)
        {
            long stamp = Begin + i * Second / 10;
            var a = Observe(live, [], i, stamp, stamp / 1_000_000, i > 30);
            var b = Observe(late, [], i, stamp, Begin / 1_000_000 + 3 * 3600 * 1000 + i / 10, i > 30);
            Assert.Equal(a.Martingale, b.Martingale);
        }
        Assert.Equal(0, late.ClockCorrections);
    }

    [Fact]
    public void A_chunk_that_comes_late_is_a_delay_and_neither_a_jump_nor_the_end_of_the_drive()
    {
        // A camera that keeps what it takes for ten minutes and sends it in one go.
        var detector = new CameraDetector("car-1", Package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        for (int i = 0; i < 200; i++)
            Observe(detector, alerts, i, Begin + i * Second / 10, Begin / 1_000_000 + i / 20 * 600_000, strange: i > 30);
        Assert.Equal([AlertType.Opened, AlertType.Escalated], alerts.Select(alert => alert.Type));
        Assert.Equal(0, detector.ClockCorrections);
    }

    [Fact]
    public void Two_clocks_under_one_id_do_not_end_a_short_drive_again_and_again()
    {
        var detector = new CameraDetector("car-1", Package, new DetectionOptions { DriveGap = TimeSpan.FromMinutes(1) });
        var alerts = new List<AlertStep>();
        for (int i = 0; i < 60; i++)
            Observe(detector, alerts, i, Begin + i * Second / 10 + (i % 2 == 0 ? 240 : -240) * Second,
                (Begin + i * Second / 10) / 1_000_000, strange: i > 20);
        Assert.Equal([AlertType.Opened], alerts.Select(alert => alert.Type).Take(1));
        Assert.DoesNotContain(alerts, alert => alert.Type == AlertType.Closed);
    }

    [Theory]
    [InlineData(1_790_000_000_000_000)]
    [InlineData(long.MaxValue)]
    [InlineData(-1)]
    public void No_time_of_a_record_ends_the_process(long produced)
    {
        var detector = new CameraDetector("car-1", Package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        Observe(detector, alerts, 0, Begin, Begin / 1_000_000, strange: false);
        Observe(detector, alerts, 1, Begin - Second, produced, strange: false);
        Observe(detector, alerts, 2, long.MaxValue, Begin / 1_000_000, strange: false);
        detector.ObserveAbsence("camera.frames", 0, TimeSpan.FromDays(400), alerts);
        Run(detector, alerts, "right", 3, 40, strange: false);
        Assert.Empty(alerts);
    }

    [Fact]
    public void A_drive_that_has_ended_stays_ended_through_a_restart_and_is_nobodys_silence()
    {
        var options = new DetectionOptions { SilentAfter = new() { ["*"] = TimeSpan.FromSeconds(10) } };
        var first = new CameraDetector("car-1", Package, options);
        var alerts = new List<AlertStep>();
        Run(first, alerts, "right", 0, 20, strange: false);
        first.ObserveDriveEnd(new FrameRef("camera.frames", 0, 20, Begin + 2 * Second), alerts,
            new RecordTime((Begin + 2 * Second) / 1_000_000, default));
        var record = new ArrayBufferWriter<byte>();
        first.WriteState(record, DateTimeOffset.UnixEpoch.AddTicks(Begin / 100));
        var second = new CameraDetector("car-1", Package, options);
        Assert.True(second.TryRestore(record.WrittenSpan));
        second.ObserveAbsence("camera.frames", 0, TimeSpan.FromHours(1), alerts);
        Assert.Empty(alerts);
    }

    [Fact]
    public void Records_of_the_same_millisecond_are_no_fault_of_a_clock()
    {
        var detector = new CameraDetector("car-1", Package, new DetectionOptions());
        for (int i = 0; i < 50; i++)
            Observe(detector, [], i, Begin + i / 10 * 1_000_000, (Begin + i / 10 * 1_000_000) / 1_000_000, strange: false);
        Assert.Equal((ClockFault.None, 0), (detector.ClockFault, detector.ClockCorrections));
    }

    [Fact]
    public void A_real_pause_ends_the_drive_and_a_clock_that_was_set_does_not()
    {
        foreach (bool isPause in new[] { true, false })
        {
            var detector = new CameraDetector("car-1", Package, new DetectionOptions());
            var alerts = new List<AlertStep>();
            for (int i = 0; i < 20; i++)
                Observe(detector, alerts, i, Begin + i * Second / 10, (Begin + i * Second / 10) / 1_000_000, strange: true);
            long later = Begin + 3600 * Second;
            Observe(detector, alerts, 20, later, (isPause ? later : Begin + 2 * Second) / 1_000_000, strange: true);
            Assert.Equal(isPause ? [AlertType.Opened, AlertType.Closed] : [AlertType.Opened], alerts.Select(alert => alert.Type));
        }
    }

    [Fact]
    public void A_state_that_holds_a_poisoned_stamp_heals_itself()
    {
        // As a version wrote it that kept the largest stamp ever seen: 2038, with an open incident whose last strange frame seems to lie
        // there too.
        string digest = Package.For("car-1").Digest;
        long poisoned = 2_147_483_647 * Second;
        string first = $$"""{"topic":"camera.frames","partition":0,"offset":10,"timestampNanoseconds":{{Begin}} }""";
        string incident = $$"""
            {"id":"0123456789abcdef0123456789abcdef","kind":"scene","severity":"warning","step":1,"first":{{first}},
            "firedScore":"residual","lastStrange":{{poisoned}},"strongest":8}
            """;
        string state = $$"""
            {"schema":1,"digest":"{{digest}}","nextOffset":40,"timestamp":{{poisoned}},"writtenSeconds":{{Begin / Second}},
            "evidence":20,"evidenceFrom":{{first}},"wasCalm":true,"incident":{{incident}} }
            """;
        var detector = new CameraDetector("car-1", Package, new DetectionOptions());
        Assert.True(detector.TryRestore(Encoding.UTF8.GetBytes(state)));
        var alerts = new List<AlertStep>();
        Run(detector, alerts, "right", 40, 100, strange: false);
        Assert.Equal([AlertType.Closed], alerts.Select(alert => alert.Type));
        Run(detector, alerts, "right", 140, 30, strange: true);
        Assert.Equal([AlertType.Closed, AlertType.Opened], alerts.Select(alert => alert.Type));
        Assert.Equal(Severity.Warning, alerts[1].Severity);
    }

    [Fact]
    public void What_is_wrong_with_a_clock_is_told_once_and_so_is_its_recovery()
    {
        var detector = new CameraDetector("car-1", Package, new DetectionOptions());
        var told = new List<ClockFault>();
        for (int i = 0; i < 300; i++)
        {
            Observe(detector, [], i, i == 20 ? 2_147_483_647 * Second : Begin + i * Second / 10, (Begin + i * Second / 10) / 1_000_000,
                strange: false);
            if (detector.Timeline.HasChanged) told.Add(detector.ClockFault);
        }
        Assert.Equal([ClockFault.Step, ClockFault.None], told);
        Assert.Equal(2, detector.ClockCorrections);
    }

    [Theory]
    [InlineData(1_790_000_000, 1_790_000_000_000_000_000, true)]
    [InlineData(1_790_000_000_123, 1_790_000_000_123_000_000, true)]
    [InlineData(1_790_000_000_123_456, 1_790_000_000_123_456_000, true)]
    [InlineData(1_790_000_000_123_456_789, 1_790_000_000_123_456_789, false)]
    // Footage of 2020, uploaded late.
    [InlineData(1_590_000_000_000, 1_590_000_000_000_000_000, true)]
    // A clock that counts nanoseconds since its start: five seconds, an hour, a month.
    [InlineData(5_000_000_000, 5_000_000_000, false)]
    [InlineData(3_600_000_000_000_000, 3_600_000_000_000_000, false)]
    [InlineData(long.MaxValue, long.MaxValue, false)]
    public void An_obvious_unit_is_recognised(long stated, long nanoseconds, bool isOtherUnit) =>
        Assert.Equal((nanoseconds, isOtherUnit), FrameTimestamp.Read(stated, Begin));

    [Fact]
    public void An_incident_of_a_camera_that_never_sends_again_ends_by_the_partitions_clock_and_a_forgotten_ones_too()
    {
        var detector = new CameraDetector("car-1", Package, new DetectionOptions { DriveGap = TimeSpan.FromSeconds(60) });
        var alerts = new List<AlertStep>();
        Run(detector, alerts, "right", 0, 40, strange: false);
        Run(detector, alerts, "right", 40, 30, strange: true);
        detector.MarkSeen(TimeSpan.FromSeconds(100));
        detector.ObserveAbsence("camera.frames", 0, TimeSpan.FromSeconds(159), alerts);
        Assert.Single(alerts);
        for (int second = 160; second < 170; second++) detector.ObserveAbsence("camera.frames", 0, TimeSpan.FromSeconds(second), alerts);
        Assert.Equal([AlertType.Opened, AlertType.Closed], alerts.Select(alert => alert.Type));
        Assert.Equal(CloseReason.DriveEnded, alerts[1].Closed);

        var forgotten = new CameraDetector("car-1", Package, new DetectionOptions());
        alerts.Clear();
        Run(forgotten, alerts, "right", 0, 40, strange: false);
        Run(forgotten, alerts, "right", 40, 30, strange: true);
        forgotten.Forget("camera.frames", 0, alerts);
        Assert.Equal([AlertType.Opened, AlertType.Closed], alerts.Select(alert => alert.Type));
        Assert.True(forgotten.IsForgotten);
    }

    [Fact]
    public void A_state_with_every_field_at_its_longest_is_at_most_two_KiB()
    {
        var frame = new FrameRef(new string('t', 40), int.MaxValue, long.MaxValue, long.MaxValue) { Clock = long.MaxValue };
        var state = new DetectorState
        {
            Digest = Package.For("car-1").Digest,
            NextOffset = long.MaxValue,
            Timestamp = long.MaxValue,
            Produced = long.MaxValue,
            Clock = long.MaxValue,
            WrittenSeconds = long.MaxValue,
            Evidence = -double.MaxValue / 3,
            Calm = -double.MaxValue / 3,
            EvidenceFrom = frame,
            Picture = ulong.MaxValue,
            PictureFrom = frame,
            PictureFrames = int.MaxValue,
            Undecodable = int.MaxValue,
            UndecodableFrom = frame,
            Cell = int.MaxValue,
            CellFrames = int.MaxValue,
            WasCalm = true,
            Guaranteed = -double.MaxValue / 3,
            Incident = new OpenIncident(new string('0', 32), AlertKind.Undecodable, Severity.Critical, int.MaxValue, frame,
                new string('s', 32), long.MaxValue, -double.MaxValue / 3, AlertTest.Level),
            Onset = new OnsetMemory
            {
                Evidence = float.MaxValue,
                From = frame,
                Baseline = Enumerable.Repeat((byte)255, OnsetBaseline.BytesFor(OnsetFit.MaxParts)).ToArray(),
            },
            Spot = [255, 255, 255, 255],
            Once = true,
            DriftMean = -double.MaxValue / 3,
            DriftSeconds = -double.MaxValue / 3,
            ClockFault = ClockFault.Backward,
        };
        Assert.InRange(JsonSerializer.SerializeToUtf8Bytes(state, DetectorState.Json).Length, 1024, 2048);
    }

    private static void Run(CameraDetector detector, List<AlertStep> alerts, string clock, int first, int count, bool strange,
        bool frozen = false)
    {
        for (int i = first; i < first + count; i++)
            Observe(detector, alerts, i, Stamp(clock, i), (Begin + i * Second / 10) / 1_000_000, strange, frozen ? 7 : i);
    }

    private static long Stamp(string clock, int i)
    {
        long right = Begin + i * Second / 10;
        return clock switch
        {
            "one in 2038" when i == 20 => 2_147_483_647 * Second,
            "one in 1990" when i == 20 => 631_152_000 * Second,
            "set back by an hour" when i > 20 => right - 3600 * Second,
            "set forward by an hour" when i > 20 => right + 3600 * Second,
            "an hour ahead" => right + 3600 * Second,
            "stands still" => Begin,
            "whole seconds" => right / Second * Second,
            "back and forth" => right + (i % 2 == 0 ? 7200 : -7200) * Second,
            "a number" => i + 1,
            "milliseconds since start" => 5000 + i * 100,
            "ticks" => 639_000_000_000_000_000 + i * 1_000_000L,
            "since start" => 5 * Second + i * Second / 10,
            "negative steps" => Begin - i * Second / 10,
            _ => right,
        };
    }

    private static Verdict Observe(CameraDetector detector, List<AlertStep> alerts, int i, long stamp, long producedMilliseconds,
        bool strange, int? picture = null)
    {
        var network = Package.Card.Network;
        var calibration = Package.Default.Calibration;
        float[] scores = [.. Enumerable.Range(0, Package.Card.Scores.Count).Select(k =>
            (float)(calibration.Location[k] + (strange ? 5 : -0.5) * calibration.Scale[k]))];
        byte[] pixels = new byte[network.Size.Bytes];
        new Random(picture ?? i).NextBytes(pixels);
        var frame = new FrameRef("camera.frames", 0, i, stamp);
        var record = new RecordTime(producedMilliseconds, DateTimeOffset.UnixEpoch.AddTicks((Begin + i * Second / 10) / 100));
        return detector.Observe(new FrameObservation
        {
            Frame = frame,
            Record = record,
            Scores = scores,
            ErrorMap = new float[network.ErrorMapHeight * network.ErrorMapWidth],
            Pixels = pixels
        }, alerts);
    }
}
