using System.Buffers;
using System.Globalization;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;

namespace OutlierPipeline.Detection;

/// <summary>
/// Watches one camera of one partition: p-values become evidence, evidence becomes an incident that opens, escalates and closes.
/// Not thread-safe.
/// </summary>
/// <remarks>
/// The evidence is a conformal test martingale (see <see cref="Martingale"/>) kept from falling below 1 as in CUSUM, so that a trouble after hours of calm is
/// found as fast as one at the start (Cai and Koutsoukos, ICCPS 2020, use such a detector on the same footing). Frames stranger than ranks among the calibration can say bet by the fit of its
/// tail: so what is gross is found within a few frames, whatever the size of the calibration. The evidence without that extrapolation is kept beside it, and an alert says which
/// of the two it rests on. An open incident closes by the same bets turned round: as much evidence for calm as it took to open.
/// </remarks>
public sealed class CameraDetector
{
    /// <summary>Mean of all channels below which a strange picture is a dark one.</summary>
    private const double DarkLevel = 16;

    private const int FrozenFrames = 5;

    private readonly string _camera;
    private readonly ModelPackage _package;
    private readonly DetectionOptions _options;
    private readonly CameraModel _model;
    private readonly double _threshold;
    private DetectorStateFields _state;
    private FrozenWatch _frozen;
    private DateTimeOffset _seenAt;
    private PictureRegion? _where;

    public CameraDetector(string camera, ModelPackage package, DetectionOptions options)
    {
        _camera = camera;
        _package = package;
        _options = options;
        _model = package.For(camera);
        IsShadow = options.IsShadow(camera);
        _threshold = -Math.Log(options.FalseAlarmProbability);
    }

    /// <summary>Frames below it have been seen.</summary>
    public long NextOffset => _state.NextOffset;

    /// <summary>When the state was last written, and so when the camera was last seen; by the clock, since frames may tell of another year.</summary>
    public DateTimeOffset WrittenAt => DateTimeOffset.FromUnixTimeSeconds(_state.WrittenSeconds);

    public bool HasOpenIncident => _state.Incident is not null;

    /// <summary>Whether the camera is scored and shown, and never alerted on.</summary>
    public bool IsShadow { get; }

    /// <summary>The open incident's id, or null.</summary>
    public string? Incident => _state.Incident?.Id;

    /// <summary>Whether the state differs from what was last written.</summary>
    public bool Changed { get; private set; }

    /// <summary>Whether the whole fleet has wandered away from the calibration: what this camera shows is then no news, and at most <see cref="Severity.Info"/>.</summary>
    public bool IsDrifting { get; set; }

    /// <summary>Observes one scored frame; what happens to the incident is added to <paramref name="alerts"/>.</summary>
    public Verdict Observe(in FrameObservation frame, List<AlertStep> alerts)
    {
        double combined = _model.Calibration.Combine(frame.Scores);
        double p = _model.Calibration.PValue(combined);
        double? tail = _model.Calibration.TailPValue(combined);
        if (frame.Frame.Offset < _state.NextOffset) return Say(p, tail, replayed: true);
        double seconds = Advance(frame.Frame, alerts);
        _state.Undecodable = 0;
        AddEvidence(p, tail, seconds, frame);
        // Stored scores are observed without their pictures.
        bool frozen = !frame.Pixels.IsEmpty && IsFrozen(frame);
        string? fired = null;
        AlertKind? kind = null;
        if (frozen)
        {
            kind = AlertKind.Frozen;
        }
        else if (_state.Evidence >= _threshold)
        {
            fired = Strangest(frame.Scores);
            kind = !frame.Pixels.IsEmpty && MeanLevel(frame.Pixels) < DarkLevel ? AlertKind.Dark : _state.CellFrames >= 3 && ModelCard.IsLocal(fired) ? AlertKind.Obstruction : AlertKind.Scene;
        }
        if (frozen) _state.Calm = 0;
        if (_state.Calm >= _threshold / 2) _state.WasCalm = true;
        _where = RegionOf(frame.ErrorMap);
        Follow(kind, fired, frame.Frame, frozen ? _state.PictureFrom : _state.EvidenceFrom, alerts, fired is null ? null : StrangenessOf(fired, frame.Scores));
        _where = null;
        return Say(p, tail, replayed: false);
    }

    /// <summary>Observes a frame of the camera that could not be decoded.</summary>
    public Verdict ObserveUndecodable(FrameRef frame, FrameError error, List<AlertStep> alerts)
    {
        if (frame.Offset < _state.NextOffset) return Say(double.NaN, null, replayed: true);
        Advance(frame, alerts);
        if (_state.Undecodable++ == 0) _state.UndecodableFrom = frame;
        _state.Calm = 0;
        bool many = _state.Undecodable >= _options.UndecodableFrames;
        Follow(many ? AlertKind.Undecodable : null, error.ToString(), frame, _state.UndecodableFrom, alerts, null);
        return Say(double.NaN, null, replayed: false);
    }

    /// <summary>Passes over a frame that was not scored because it was too old.</summary>
    public void ObserveSkipped(FrameRef frame, List<AlertStep> alerts)
    {
        if (frame.Offset >= _state.NextOffset) Advance(frame, alerts);
    }

    /// <summary>The drive is over: the evidence starts afresh, an open incident closes.</summary>
    public void ObserveDriveEnd(FrameRef frame, List<AlertStep> alerts)
    {
        if (frame.Offset < _state.NextOffset) return;
        EndDrive(frame, alerts);
        Advance(frame, alerts);
        // The next drive's first frame follows on nothing.
        _state.Timestamp = 0;
    }

    /// <summary>Frames from one offset to before another expired unread: the evidence starts afresh, an open incident stays.</summary>
    public void ObserveLost(long from, long to)
    {
        if (to <= _state.NextOffset) return;
        ForgetEvidence();
        _state.NextOffset = Math.Max(_state.NextOffset, to);
        Changed = true;
    }

    /// <summary>The camera sent something: by the clock, whatever its frames say.</summary>
    public void MarkSeen(DateTimeOffset now) => _seenAt = now;

    /// <summary>Looks, by the clock, whether the camera has fallen silent; to be called where nothing of it waits to be read.</summary>
    public void ObserveSilence(string topic, int partition, DateTimeOffset now, List<AlertStep> alerts)
    {
        if (_options.SilentAfterFor(_camera) is not { } silentAfter || _state.NextOffset == 0 || _state.Timestamp == 0) return;
        var seen = _seenAt > WrittenAt ? _seenAt : WrittenAt;
        if (seen == DateTimeOffset.UnixEpoch || now - seen < silentAfter || _state.Incident is { Kind: not AlertKind.Silent }) return;
        var last = new FrameRef(topic, partition, _state.NextOffset - 1, _state.Timestamp);
        _state.Calm = 0;
        Follow(AlertKind.Silent, null, last with { TimestampNanoseconds = last.TimestampNanoseconds + (now - seen).Ticks * 100 }, last, alerts, null);
        if (alerts.Count > 0) Changed = true;
    }

    /// <summary>Writes the state as JSON and takes it as written.</summary>
    public void WriteState(IBufferWriter<byte> writer, DateTimeOffset now)
    {
        _state.WrittenSeconds = now.ToUnixTimeSeconds();
        using var json = new Utf8JsonWriter(writer);
        JsonSerializer.Serialize(json, _state.ToRecord(_model.Digest), DetectorState.Json);
        Changed = false;
    }

    /// <summary>The state last written did not reach the broker.</summary>
    public void MarkChanged() => Changed = true;

    /// <summary>Goes on from a written state. Another model or calibration keeps the open incident and starts the evidence afresh.</summary>
    /// <returns>False if the record cannot be read; the detector then begins anew.</returns>
    public bool TryRestore(ReadOnlySpan<byte> record)
    {
        try
        {
            var state = JsonSerializer.Deserialize<DetectorState>(record, DetectorState.Json);
            if (state is null || state.Schema != 1) return false;
            _state = new DetectorStateFields(state);
            if (state.Digest != _model.Digest) ForgetEvidence();
            Changed = false;
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Whether a written state is older than a time and has no open incident; one that cannot be read is.</summary>
    internal static bool IsForgotten(ReadOnlySpan<byte> record, DateTimeOffset before)
    {
        try
        {
            var state = JsonSerializer.Deserialize<DetectorState>(record, DetectorState.Json);
            return state is null || state.Incident is null && state.WrittenSeconds < before.ToUnixTimeSeconds();
        }
        catch (JsonException)
        {
            return true;
        }
    }

    private double Advance(FrameRef frame, List<AlertStep> alerts)
    {
        double seconds = _state.Timestamp == 0 ? Martingale.Decorrelation.TotalSeconds / 2 : (frame.TimestampNanoseconds - _state.Timestamp) / 1e9;
        if (seconds > _options.DriveGap.TotalSeconds) EndDrive(frame, alerts);
        _state.Timestamp = Math.Max(_state.Timestamp, frame.TimestampNanoseconds);
        _state.NextOffset = frame.Offset + 1;
        Changed = true;
        return Math.Max(seconds, 0);
    }

    private void EndDrive(FrameRef frame, List<AlertStep> alerts)
    {
        if (_state.Incident is { } incident) Close(incident, frame, CloseReason.DriveEnded, "the drive ended", alerts);
        ForgetEvidence();
    }

    private void AddEvidence(double p, double? tail, double seconds, in FrameObservation frame)
    {
        double bet = Martingale.Bet(tail is { } extrapolated ? Math.Clamp(extrapolated, Martingale.SmallestExtrapolated, p) : p);
        double weight = Martingale.Weight(seconds);
        _state.Guaranteed = Math.Clamp(_state.Guaranteed + weight * Martingale.Bet(p), 0, Martingale.Max);
        _state.Evidence = Math.Clamp(_state.Evidence + weight * bet, 0, Martingale.Max);
        _state.Calm = Math.Clamp(_state.Calm - weight * bet, 0, Martingale.Max);
        if (_state.Evidence == 0)
        {
            _state.EvidenceFrom = null;
            _state.CellFrames = 0;
            return;
        }
        _state.EvidenceFrom ??= frame.Frame;
        if (bet <= 0) return;
        int columns = _package.Card.Network.ErrorMapWidth;
        int cell = IndexOfLargest(frame.ErrorMap);
        bool near = Math.Abs(cell / columns - _state.Cell / columns) <= 1 && Math.Abs(cell % columns - _state.Cell % columns) <= 1;
        _state.CellFrames = near ? _state.CellFrames + 1 : 1;
        _state.Cell = cell;
    }

    private bool IsFrozen(in FrameObservation frame)
    {
        if (!_frozen.IsSame(frame.Pixels, ref _state.Picture) || _state.PictureFrom is null)
        {
            _state.PictureFrom = frame.Frame;
            _state.PictureFrames = 1;
            return false;
        }
        _state.PictureFrames++;
        return _state.PictureFrames >= FrozenFrames && Elapsed(_state.PictureFrom.Value, frame.Frame) >= _options.FrozenAfter;
    }

    private void Follow(AlertKind? kind, string? fired, FrameRef frame, FrameRef? from, List<AlertStep> alerts, double? strangeness)
    {
        double evidence = _state.Evidence / Math.Log(10);
        var incident = _state.Incident;
        if (incident is null)
        {
            if (kind is not { } opening) return;
            var first = from ?? frame;
            var severity = SeverityOf(opening, evidence, Elapsed(first, frame));
            incident = new OpenIncident(IncidentId(first, opening), opening, severity, 1, first, fired, frame.TimestampNanoseconds, evidence);
            alerts.Add(Step(AlertType.Opened, incident, frame, Describe(incident, frame)) with { Strangeness = strangeness });
            _state.Incident = incident;
            // Hours of calm before it say nothing of whether it is over.
            _state.Calm = 0;
            return;
        }
        // Hysteresis: below the threshold is not yet calm.
        if (_state.Calm == 0)
        {
            incident = incident with { LastStrange = Math.Max(incident.LastStrange, frame.TimestampNanoseconds), Strongest = Math.Max(incident.Strongest, evidence) };
            var severity = SeverityOf(incident.Kind, incident.Strongest, Elapsed(incident.First, frame));
            if (severity > incident.Severity)
            {
                incident = incident with { Severity = severity, Step = incident.Step + 1 };
                alerts.Add(Step(AlertType.Escalated, incident, frame, Describe(incident, frame)) with { Strangeness = strangeness });
            }
            _state.Incident = incident;
            return;
        }
        if (_state.Calm < _threshold || frame.TimestampNanoseconds - incident.LastStrange < _options.CloseAfter.TotalNanoseconds) return;
        Close(incident, frame, CloseReason.Calm, string.Create(CultureInfo.InvariantCulture, $"calm for {_options.CloseAfter.TotalSeconds:0.#} s"), alerts);
        ForgetEvidence();
    }

    private void Close(OpenIncident incident, FrameRef frame, CloseReason reason, string text, List<AlertStep> alerts)
    {
        alerts.Add(Step(AlertType.Closed, incident with { Step = incident.Step + 1 }, frame, text) with { Closed = reason });
        _state.Incident = null;
    }

    /// <summary>Where the model does not fit, the camera or the whole fleet needs a calibration, and nobody has to act now.</summary>
    private Severity SeverityOf(AlertKind kind, double evidence, TimeSpan duration) =>
        kind is AlertKind.Scene or AlertKind.Obstruction && (IsMisfit || IsDrifting) ? Severity.Info : SeverityRule.Of(kind, evidence, duration);

    /// <summary>The camera was strange from its first frame and never calm.</summary>
    private bool IsMisfit => !_state.WasCalm;

    private AlertStep Step(AlertType type, OpenIncident incident, FrameRef frame, string reason) =>
        new(type, incident.Id, incident.Step, _camera, incident.Kind, incident.Severity, incident.First, frame, incident.Kind is AlertKind.Scene or AlertKind.Obstruction or AlertKind.Dark ? incident.FiredScore : null, reason) 
        {
            Where = _where,
            IsExtrapolated = incident.Kind is AlertKind.Scene or AlertKind.Obstruction or AlertKind.Dark && type != AlertType.Closed ? _state.Guaranteed < _threshold : null,
        };

    private string Describe(OpenIncident incident, FrameRef frame)
    {
        double seconds = Elapsed(incident.First, frame).TotalSeconds;
        return incident.Kind switch
        {
            AlertKind.Frozen => string.Create(CultureInfo.InvariantCulture, $"the picture has not changed for {seconds:0.0} s"),
            AlertKind.Silent => string.Create(CultureInfo.InvariantCulture, $"nothing has come for {seconds:0} s"),
            AlertKind.Scene or AlertKind.Obstruction when IsMisfit => $"strange from the first frame on: the model may not fit this camera; outlier calibrate --model {_package.Path} --camera {_camera} --frames FOOTAGE",
            AlertKind.Undecodable => string.Create(CultureInfo.InvariantCulture, $"{_state.Undecodable} frames in a row cannot be decoded ({incident.FiredScore})"),
            AlertKind.Dark => string.Create(CultureInfo.InvariantCulture, $"the picture is nearly black and strange for {seconds:0.0} s (odds 10^{incident.Strongest:0})"),
            AlertKind.Obstruction => string.Create(CultureInfo.InvariantCulture, $"one place of the picture is strange for {seconds:0.0} s by its {incident.FiredScore} score (odds 10^{incident.Strongest:0})"),
            _ => string.Create(CultureInfo.InvariantCulture, $"the picture is strange for {seconds:0.0} s, most by its {incident.FiredScore} score (odds 10^{incident.Strongest:0})"),
        };
    }

    private Verdict Say(double p, double? tail, bool replayed) => new(p, tail, _state.Evidence / Math.Log(10), HasOpenIncident, replayed);

    private void ForgetEvidence()
    {
        _state.Evidence = 0;
        _state.Calm = 0;
        _state.Guaranteed = 0;
        _state.EvidenceFrom = null;
        _state.CellFrames = 0;
        _state.PictureFrom = null;
        _state.Undecodable = 0;
    }

    private string Strangest(ReadOnlySpan<float> scores)
    {
        var combining = _model.Calibration.Combining;
        int strangest = combining[0];
        foreach (int k in combining)
        {
            if (!(_model.Calibration.Standardise(k, scores[k]) <= _model.Calibration.Standardise(strangest, scores[strangest]))) strangest = k;
        }
        return _model.Calibration.Scores[strangest];
    }

    private double StrangenessOf(string score, ReadOnlySpan<float> scores)
    {
        for (int k = 0; k < scores.Length; k++)
        {
            if (_model.Calibration.Scores[k] == score) return _model.Calibration.Standardise(k, scores[k]);
        }
        return 0;
    }

    private PictureRegion? RegionOf(ReadOnlySpan<float> errorMap)
    {
        if (errorMap.IsEmpty) return null;
        var network = _package.Card.Network;
        int cell = IndexOfLargest(errorMap);
        return new PictureRegion((double)(cell % network.ErrorMapWidth) / network.ErrorMapWidth, (double)(cell / network.ErrorMapWidth) / network.ErrorMapHeight, 1.0 / network.ErrorMapWidth, 1.0 / network.ErrorMapHeight);
    }

    /// <summary>Derived, so that what is done twice has the same; a silent camera's last frame may be another incident's first.</summary>
    private string IncidentId(FrameRef first, AlertKind kind)
    {
        string text = kind == AlertKind.Silent ? "silent\n" : "";
        text += string.Create(CultureInfo.InvariantCulture, $"{_camera}\n{first.Topic}\n{first.Partition}\n{first.Offset}\n{first.TimestampNanoseconds}");
        return Convert.ToHexStringLower(XxHash128.Hash(Encoding.UTF8.GetBytes(text)));
    }

    private static TimeSpan Elapsed(FrameRef from, FrameRef to) => TimeSpan.FromTicks((to.TimestampNanoseconds - from.TimestampNanoseconds) / 100);

    private static double MeanLevel(ReadOnlySpan<byte> pixels)
    {
        long sum = 0;
        foreach (byte value in pixels) sum += value;
        return pixels.IsEmpty ? 0 : (double)sum / pixels.Length;
    }

    private static int IndexOfLargest(ReadOnlySpan<float> map)
    {
        int largest = 0;
        for (int i = 1; i < map.Length; i++)
        {
            if (map[i] > map[largest]) largest = i;
        }
        return largest;
    }
}
