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

    /// <summary>A camera that is absent for so long keeps no detector: many an id is sent once and never again.</summary>
    private static readonly TimeSpan IdleAfter = TimeSpan.FromSeconds(30);

    private readonly string _camera;
    private readonly ModelPackage _package;
    private readonly DetectionOptions _options;
    private readonly CameraModel _model;
    private readonly double _threshold;
    private readonly TimeSpan _maxSkew;
    private readonly TimeSpan? _silentAfter;
    private DetectorStateFields _state;
    private FrozenWatch _frozen;
    private DateTimeOffset _seenAt;
    private PictureRegion? _where;
    private ClockWatch _clock;
    private double _borrowed;
    private TimeSpan _watchedSince;

    /// <param name="maxSkew"><c>Frames:MaxClockSkew</c>; five minutes unless it is given.</param>
    public CameraDetector(string camera, ModelPackage package, DetectionOptions options, TimeSpan? maxSkew = null)
    {
        _maxSkew = maxSkew ?? TimeSpan.FromMinutes(5);
        _camera = camera;
        _package = package;
        _options = options;
        _model = package.For(camera);
        IsShadow = options.IsShadow(camera);
        _silentAfter = options.SilentAfterFor(camera);
        _threshold = -Math.Log(options.FalseAlarmProbability);
    }

    /// <summary>Frames below it have been seen.</summary>
    public long NextOffset => _state.NextOffset;

    /// <summary>When the state was last written, and so when the camera was last seen; by the clock, since frames may tell of another year.</summary>
    public DateTimeOffset WrittenAt => DateTimeOffset.FromUnixTimeSeconds(_state.WrittenSeconds);

    public bool HasOpenIncident => _state.Incident is not null;

    /// <summary>Whether the camera is scored and shown, and never alerted on.</summary>
    public bool IsShadow { get; }

    /// <summary>Whether the camera has been absent for so long that its state is to be deleted.</summary>
    public bool IsForgotten { get; private set; }

    /// <summary>What is wrong with the camera's clock.</summary>
    public ClockFault ClockFault => _clock.Fault;

    /// <summary>Frames whose time was corrected since the process began.</summary>
    public long ClockCorrections => _clock.Corrected;

    /// <summary>What was wrong with the time of the last frame.</summary>
    internal ClockFault LastClockFault { get; private set; }

    /// <summary>The time between the last two frames.</summary>
    internal TimeSpan LastStep { get; private set; }

    /// <summary>Whether the last frame changed what there is to say of the clock.</summary>
    internal bool ClockChanged { get; private set; }

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
        double seconds = Advance(frame.Frame, frame.Record, alerts, out var at);
        _state.Undecodable = 0;
        AddEvidence(p, tail, seconds, at, frame.ErrorMap);
        // Stored scores are observed without their pictures.
        bool frozen = !frame.Pixels.IsEmpty && IsFrozen(at, frame.Pixels);
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
        Follow(kind, fired, at, frozen ? _state.PictureFrom : _state.EvidenceFrom, alerts, fired is null ? null : StrangenessOf(fired, frame.Scores));
        _where = null;
        return Say(p, tail, replayed: false);
    }

    /// <summary>Observes a frame of the camera that could not be decoded.</summary>
    public Verdict ObserveUndecodable(FrameRef frame, FrameError error, List<AlertStep> alerts, RecordTime record = default)
    {
        if (frame.Offset < _state.NextOffset) return Say(double.NaN, null, replayed: true);
        Advance(frame, record, alerts, out frame);
        if (_state.Undecodable++ == 0) _state.UndecodableFrom = frame;
        _state.Calm = 0;
        bool many = _state.Undecodable >= _options.UndecodableFrames;
        Follow(many ? AlertKind.Undecodable : null, error.ToString(), frame, _state.UndecodableFrom, alerts, null);
        return Say(double.NaN, null, replayed: false);
    }

    /// <summary>Passes over a frame that was not scored because it was too old.</summary>
    public void ObserveSkipped(FrameRef frame, List<AlertStep> alerts, RecordTime record = default)
    {
        if (frame.Offset >= _state.NextOffset) Advance(frame, record, alerts, out _);
    }

    /// <summary>The drive is over: the evidence starts afresh, an open incident closes.</summary>
    public void ObserveDriveEnd(FrameRef frame, List<AlertStep> alerts, RecordTime record = default)
    {
        if (frame.Offset < _state.NextOffset) return;
        EndDrive(frame, alerts);
        Advance(frame, record, alerts, out _);
        // The next drive's first frame follows on nothing.
        _state.Clock = 0;
    }

    /// <summary>Frames from one offset to before another expired unread: the evidence starts afresh, an open incident stays.</summary>
    public void ObserveLost(long from, long to)
    {
        if (to <= _state.NextOffset) return;
        ForgetEvidence();
        _state.NextOffset = Math.Max(_state.NextOffset, to);
        Changed = true;
    }

    /// <summary>The topic was recreated: offsets count from its start, the evidence starts afresh, an open incident stays.</summary>
    public void ForgetLog(long start)
    {
        ForgetEvidence();
        _state.NextOffset = start;
        Changed = true;
    }

    /// <summary>The camera sent something while its partition had been watched for so long; see <see cref="ObserveAbsence"/>.</summary>
    public void MarkSeen(TimeSpan watched) => _watchedSince = watched;

    /// <summary>
    /// Looks whether the camera has been absent for too long: an open incident ends after <see cref="DetectionOptions.DriveGap"/>, and a camera that is expected to send is silent.
    /// </summary>
    /// <param name="watched">
    /// How long the partition has been watched: a clock that runs only while it is restored, read to its end, and the broker answers. An outage is nobody's silence.
    /// </param>
    public void ObserveAbsence(string topic, int partition, TimeSpan watched, List<AlertStep> alerts)
    {
        // Most cameras: nothing hangs on their absence.
        if (_state.NextOffset == 0 || _state.Incident is null && _silentAfter is null) return;
        var absent = watched - _watchedSince;
        var last = new FrameRef(topic, partition, _state.NextOffset - 1, _state.Timestamp) { Clock = _state.Clock };
        var now = last with { TimestampNanoseconds = last.TimestampNanoseconds + absent.Ticks * 100, Clock = last.Clock + absent.Ticks * 100 };
        if (_state.Incident is { Kind: not AlertKind.Silent } && absent >= _options.DriveGap)
        {
            EndDrive(now, alerts);
            Changed = true;
        }
        if (_silentAfter is not { } silentAfter || absent < silentAfter || _state.Clock == 0 || _state.Incident is { Kind: not AlertKind.Silent }) return;
        _state.Calm = 0;
        int before = alerts.Count;
        Follow(AlertKind.Silent, null, now, last, alerts, null);
        if (alerts.Count > before) Changed = true;
    }

    /// <summary>The camera is forgotten: an open incident closes, and the state is to be deleted.</summary>
    public void Forget(string topic, int partition, List<AlertStep> alerts)
    {
        IsForgotten = true;
        var last = new FrameRef(topic, partition, Math.Max(0, _state.NextOffset - 1), _state.Timestamp) { Clock = _state.Clock };
        if (_state.Incident is { } incident) Close(incident, last, CloseReason.DriveEnded, "the camera has not been seen for long and is forgotten", alerts);
    }

    /// <summary>Takes one frame's p-value into what the camera tells of the fleet's drift.</summary>
    /// <param name="window">A mean forgets within it, by time and not by frames.</param>
    internal (double Mean, TimeSpan For) TrackDrift(double p, TimeSpan window)
    {
        if (LastStep > window || _state.DriftSeconds == 0) (_state.DriftMean, _state.DriftSeconds) = (p, 0);
        double share = 1 - Math.Exp(-LastStep / (0.5 * window));
        _state.DriftMean += share * (p - _state.DriftMean);
        _state.DriftSeconds = Math.Min(_state.DriftSeconds + LastStep.TotalSeconds, 2 * window.TotalSeconds);
        return (_state.DriftMean, TimeSpan.FromSeconds(_state.DriftSeconds));
    }

    /// <summary>Whether nothing is lost if the camera is kept as its written state alone until it sends again.</summary>
    internal bool IsIdle(TimeSpan watched) => !Changed && !IsForgotten && _state.Incident is null && _silentAfter is null && watched - _watchedSince >= IdleAfter;

    /// <summary>Whether one frame is all that was ever seen of the camera, and nothing hangs on it.</summary>
    internal bool IsOnce => _state.Once && _state.Incident is null;

    /// <summary>The state as it was last written.</summary>
    internal byte[] ToRecord() => JsonSerializer.SerializeToUtf8Bytes(_state.ToRecord(_model.Digest), DetectorState.Json);

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
            if (state.Clock == 0 && state.Timestamp != 0) Heal();
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
    internal static bool IsOld(ReadOnlySpan<byte> record, DateTimeOffset before)
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

    /// <summary>The time since the camera's frame before, in seconds; the drive ends where it is long.</summary>
    /// <param name="at">The frame, with the camera's time without the faults of its clock.</param>
    private double Advance(FrameRef frame, RecordTime record, List<AlertStep> alerts, out FrameRef at)
    {
        double seconds = Martingale.Decorrelation.TotalSeconds / 2;
        var fault = record.Fault;
        if (_state.Clock == 0)
        {
            _state.Clock = Math.Max(1, frame.TimestampNanoseconds);
        }
        else
        {
            long? produced = record.ProducedMilliseconds > 0 && _state.Produced > 0 ? record.ProducedMilliseconds - _state.Produced : null;
            TimeSpan? wall = record.SeenAt != default && _seenAt != default ? record.SeenAt - _seenAt : null;
            (seconds, var step) = CameraClock.Step((double)frame.TimestampNanoseconds - _state.Timestamp, produced, wall, _maxSkew, ref _borrowed);
            if (fault == ClockFault.None) fault = step;
            _state.Clock += (long)(seconds * 1e9);
        }
        LastClockFault = fault;
        LastStep = TimeSpan.FromSeconds(seconds);
        ClockChanged = _clock.Note(fault);
        IsForgotten = false;
        _state.Once = _state.NextOffset == 0;
        _seenAt = record.SeenAt;
        at = frame with { Clock = _state.Clock };
        if (seconds > _options.DriveGap.TotalSeconds) EndDrive(at, alerts);
        _state.Timestamp = frame.TimestampNanoseconds;
        _state.Produced = record.ProducedMilliseconds;
        _state.NextOffset = frame.Offset + 1;
        Changed = true;
        return seconds;
    }

    /// <summary>
    /// A state of a version that kept the largest stamp ever seen. The time goes on from there; what was measured from one that lies in the future, by the clock that wrote it,
    /// starts afresh.
    /// </summary>
    private void Heal()
    {
        _state.Clock = _state.Timestamp;
        if (_state.Timestamp / 1_000_000_000 < _state.WrittenSeconds + (long)_maxSkew.TotalSeconds) return;
        ForgetEvidence();
        if (_state.Incident is { } incident) _state.Incident = incident with { First = incident.First with { Clock = _state.Clock }, LastStrange = _state.Clock };
    }

    private void EndDrive(FrameRef frame, List<AlertStep> alerts)
    {
        if (_state.Incident is { } incident) Close(incident, frame, CloseReason.DriveEnded, "the drive ended", alerts);
        ForgetEvidence();
    }

    private void AddEvidence(double p, double? tail, double seconds, FrameRef frame, ReadOnlySpan<float> errorMap)
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
        _state.EvidenceFrom ??= frame;
        if (bet <= 0) return;
        int columns = _package.Card.Network.ErrorMapWidth;
        int cell = IndexOfLargest(errorMap);
        bool near = Math.Abs(cell / columns - _state.Cell / columns) <= 1 && Math.Abs(cell % columns - _state.Cell % columns) <= 1;
        _state.CellFrames = near ? _state.CellFrames + 1 : 1;
        _state.Cell = cell;
    }

    private bool IsFrozen(FrameRef frame, ReadOnlySpan<byte> pixels)
    {
        if (!_frozen.IsSame(pixels, ref _state.Picture) || _state.PictureFrom is not { } from)
        {
            _state.PictureFrom = frame;
            _state.PictureFrames = 1;
            return false;
        }
        _state.PictureFrames++;
        return _state.PictureFrames >= FrozenFrames && frame.Since(from) >= _options.FrozenAfter;
    }

    private void Follow(AlertKind? kind, string? fired, FrameRef frame, FrameRef? from, List<AlertStep> alerts, double? strangeness)
    {
        double evidence = _state.Evidence / Math.Log(10);
        var incident = _state.Incident;
        if (incident is null)
        {
            if (kind is not { } opening) return;
            var first = from ?? frame;
            var severity = SeverityOf(opening, evidence, frame.Since(first));
            incident = new OpenIncident(IncidentId(first, opening), opening, severity, 1, first, fired, frame.Clock, evidence);
            alerts.Add(Step(AlertType.Opened, incident, frame, Describe(incident, frame)) with { Strangeness = strangeness });
            _state.Incident = incident;
            // Hours of calm before it say nothing of whether it is over.
            _state.Calm = 0;
            return;
        }
        // Hysteresis: below the threshold is not yet calm.
        if (_state.Calm == 0)
        {
            incident = incident with { LastStrange = frame.Clock, Strongest = Math.Max(incident.Strongest, evidence) };
            var severity = SeverityOf(incident.Kind, incident.Strongest, frame.Since(incident.First));
            if (severity > incident.Severity)
            {
                incident = incident with { Severity = severity, Step = incident.Step + 1 };
                alerts.Add(Step(AlertType.Escalated, incident, frame, Describe(incident, frame)) with { Strangeness = strangeness });
            }
            _state.Incident = incident;
            return;
        }
        if (_state.Calm < _threshold || frame.Clock - incident.LastStrange < _options.CloseAfter.TotalNanoseconds) return;
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
        double seconds = frame.Since(incident.First).TotalSeconds;
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
