using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

/// <summary>An incident opens on a finding, escalates once a severity, and closes after calm.</summary>
public sealed class IncidentTrackerTests
{
    private static readonly ModelPackage Package = ModelPackage.Load(Repository.StreetDemo);
    private readonly DetectorState _state = new() { Digest = "d", WasCalm = true };
    private readonly DetectionOptions _options = new();
    private readonly Evidence _evidence;
    private readonly IncidentTracker _tracker;
    private readonly List<AlertStep> _alerts = [];
    private int _second;

    public IncidentTrackerTests()
    {
        _evidence = new Evidence(_state, Math.Log(1e6), Package.Card.Network, Package.Default.Calibration);
        _tracker = new IncidentTracker("car-1", _state, _evidence, null, null, null, _options, "outlier calibrate");
    }

    [Fact]
    public void Nothing_found_opens_nothing()
    {
        Follow(0.9, kind: null);
        Assert.Empty(_alerts);
        Assert.Null(_state.Incident);
    }

    [Fact]
    public void It_opens_once_and_its_ids_are_the_same_when_it_is_told_again()
    {
        var first = Follow(0.001, AlertKind.Scene);
        Follow(0.001, AlertKind.Scene);
        var opened = Assert.Single(_alerts);
        Assert.Equal((AlertType.Opened, Severity.Warning, 1), (opened.Type, opened.Severity, opened.Step));
        Assert.Equal(first, opened.First);

        var again = new IncidentTrackerTests();
        again.Follow(0.001, AlertKind.Scene);
        Assert.Equal(opened.EventId, again._alerts[0].EventId);
        var silent = new IncidentTrackerTests();
        silent.Follow(0.001, AlertKind.Silent);
        Assert.NotEqual(opened.Incident, silent._alerts[0].Incident);
    }

    [Fact]
    public void It_escalates_once_when_the_picture_stays_frozen()
    {
        for (int i = 0; i < 12; i++) Follow(0.001, AlertKind.Frozen);
        Assert.Equal([AlertType.Opened, AlertType.Escalated], _alerts.Select(alert => alert.Type));
        Assert.Equal([Severity.Warning, Severity.Critical], _alerts.Select(alert => alert.Severity));
        Assert.Equal([1, 2], _alerts.Select(alert => alert.Step));
        Assert.Equal(SeverityRule.Sustained, _alerts[1].Last.Since(_alerts[0].First));
        // No score fired: the certainty of scores is no part of it.
        Assert.Null(_alerts[0].IsExtrapolated);
    }

    [Fact]
    public void A_camera_that_was_never_calm_or_a_fleet_that_drifts_is_for_information()
    {
        _state.WasCalm = false;
        Follow(0.001, AlertKind.Scene);
        Assert.Equal(Severity.Info, _alerts[0].Severity);
        Assert.Contains("outlier calibrate", _alerts[0].Reason, StringComparison.Ordinal);
        var drifting = new IncidentTrackerTests();
        drifting.Follow(0.001, AlertKind.Scene, isDrifting: true);
        Assert.Equal(Severity.Info, drifting._alerts[0].Severity);
    }

    [Fact]
    public void It_closes_when_all_has_been_well_for_long_enough_and_not_before()
    {
        for (int i = 0; i < 3; i++) Follow(0.001, AlertKind.Scene);
        int last = _second;
        while (_state.Incident is not null) Follow(0.9, kind: null);
        var closed = _alerts[^1];
        Assert.Equal((AlertType.Closed, CloseReason.Calm), (closed.Type, closed.Closed));
        Assert.True(_second - last >= _options.CloseAfter.TotalSeconds, $"closed after {_second - last} s");
        Assert.Equal(0, _evidence.Log10);
        // And what comes then is another incident.
        Follow(0.001, AlertKind.Scene);
        Assert.NotEqual(closed.Incident, _alerts[^1].Incident);
    }

    [Fact]
    public void A_frame_that_is_strange_again_keeps_it_open()
    {
        Follow(0.001, AlertKind.Scene);
        for (int i = 0; i < 40; i++) Follow(i % 2 == 0 ? 0.9 : 1e-6, kind: null);
        Assert.NotNull(_state.Incident);
        Assert.DoesNotContain(_alerts, alert => alert.Type == AlertType.Closed);
    }

    /// <summary>One frame, a second after the one before.</summary>
    private FrameRef Follow(double p, AlertKind? kind, bool isDrifting = false)
    {
        long nanoseconds = ++_second * 1_000_000_000L;
        var frame = new FrameRef("camera.frames", 0, _second, nanoseconds) { Clock = nanoseconds };
        _evidence.Add(p, null, null, 1, frame, new float[Package.Card.Network.ErrorMapHeight * Package.Card.Network.ErrorMapWidth]);
        _tracker.Follow(new Finding(kind, kind is null ? null : "local", kind is null ? null : frame), frame, isDrifting, _alerts);
        return frame;
    }
}
