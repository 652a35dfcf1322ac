using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>
/// Watches one camera of one partition: p-values become evidence, evidence becomes an incident that opens, escalates and closes.
/// Not thread-safe.
/// </summary>
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
    private DetectorState _state;
    private Evidence _evidence;
    private IncidentTracker _incidents;
    private FrozenWatch _frozen;
    private DateTimeOffset _seenAt;
    private ClockWatch _clock;
    private CameraClock _time;
    private TimeSpan _watchedSince;

    /// <param name="maxSkew"><c>Frames:MaxClockSkew</c>; five minutes unless it is given.</param>
    public CameraDetector(string camera, ModelPackage package, DetectionOptions options, TimeSpan? maxSkew = null)
    {
        // A wrong step must not end the drive.
        _maxSkew = TimeSpan.FromTicks(Math.Min((maxSkew ?? TimeSpan.FromMinutes(5)).Ticks, options.DriveGap.Ticks));
        _camera = camera;
        _package = package;
        _options = options;
        _model = package.For(camera);
        IsShadow = options.IsShadow(camera);
        _silentAfter = options.SilentAfterFor(camera);
        _threshold = -Math.Log(options.FalseAlarmProbability);
        Remember(new DetectorState { Digest = _model.Digest });
    }

    /// <summary>Frames below it have been seen.</summary>
    public long NextOffset => _state.NextOffset;

    /// <summary>
    /// When the state was last written, and so when the camera was last seen; by the clock, since frames may tell of another year.
    /// </summary>
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

    /// <summary>
    /// Whether the whole fleet has wandered away from the calibration: what this camera shows is then no news, and at most
    /// <see cref="Severity.Info"/>.
    /// </summary>
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
        _evidence.Add(p, tail, seconds, at, frame.ErrorMap);
        _incidents.Follow(Find(frame, at), at, IsDrifting, alerts);
        return Say(p, tail, replayed: false);
    }

    /// <summary>Observes a frame of the camera that could not be decoded.</summary>
    public Verdict ObserveUndecodable(FrameRef frame, FrameError error, List<AlertStep> alerts, RecordTime record = default)
    {
        if (frame.Offset < _state.NextOffset) return Say(double.NaN, null, replayed: true);
        Advance(frame, record, alerts, out frame);
        if (_state.Undecodable++ == 0) _state.UndecodableFrom = frame;
        _evidence.DenyCalm();
        bool many = _state.Undecodable >= _options.UndecodableFrames;
        _incidents.Follow(new Finding(many ? AlertKind.Undecodable : null, error.ToString(), _state.UndecodableFrom), frame,
            IsDrifting, alerts);
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
        (_state.Clock, _state.Timestamp) = (0, 0);
    }

    /// <summary>Frames from one offset to before another expired unread: the evidence starts afresh, an open incident stays.</summary>
    public void ObserveLost(long from, long to)
    {
        if (to <= _state.NextOffset) return;
        _evidence.Forget();
        _state.NextOffset = Math.Max(_state.NextOffset, to);
        Changed = true;
    }

    /// <summary>The topic was recreated: offsets count from its start, the evidence starts afresh, an open incident stays.</summary>
    public void ForgetLog(long start)
    {
        _evidence.Forget();
        _state.NextOffset = start;
        Changed = true;
    }

    /// <summary>The camera sent something while its partition had been watched for so long; see <see cref="ObserveAbsence"/>.</summary>
    public void MarkSeen(TimeSpan watched) => _watchedSince = watched;

    /// <summary>
    /// Looks whether the camera has been absent for too long: an open incident ends after <see cref="DetectionOptions.DriveGap"/>, and a
    /// camera that is expected to send is silent.
    /// </summary>
    /// <param name="watched">
    /// How long the partition has been watched: a clock that runs only while it is restored, read to its end, and the broker answers. An
    /// outage is nobody's silence.
    /// </param>
    public void ObserveAbsence(string topic, int partition, TimeSpan watched, List<AlertStep> alerts)
    {
        // Most cameras: nothing hangs on their absence.
        if (_state.NextOffset == 0 || _state.Incident is null && _silentAfter is null) return;
        var absent = watched - _watchedSince;
        var last = new FrameRef(topic, partition, _state.NextOffset - 1, _state.Timestamp) { Clock = _state.Clock };
        var now = last with { TimestampNanoseconds = Later(last.TimestampNanoseconds, absent), Clock = Later(last.Clock, absent) };
        if (_state.Incident is { Kind: not AlertKind.Silent } && absent >= _options.DriveGap)
        {
            EndDrive(now, alerts);
            Changed = true;
        }
        if (_silentAfter is not { } silentAfter || absent < silentAfter || _state.Clock == 0
            || _state.Incident is { Kind: not AlertKind.Silent }) return;
        _evidence.DenyCalm();
        int before = alerts.Count;
        _incidents.Follow(new Finding(AlertKind.Silent, null, last), now, IsDrifting, alerts);
        if (alerts.Count > before) Changed = true;
    }

    /// <summary>The camera is forgotten: an open incident closes, and the state is to be deleted.</summary>
    public void Forget(string topic, int partition, List<AlertStep> alerts)
    {
        IsForgotten = true;
        var last = new FrameRef(topic, partition, Math.Max(0, _state.NextOffset - 1), _state.Timestamp) { Clock = _state.Clock };
        _incidents.Close(last, CloseReason.DriveEnded, AlertText.Forgotten, null, alerts);
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
    internal bool IsIdle(TimeSpan watched) => !Changed && !IsForgotten && _state.Incident is null && _silentAfter is null
        && watched - _watchedSince >= IdleAfter;

    /// <summary>Whether one frame is all that was ever seen of the camera, and nothing hangs on it.</summary>
    internal bool IsOnce => _state.Once && _state.Incident is null;

    /// <summary>The state as it was last written.</summary>
    internal byte[] ToRecord() => JsonSerializer.SerializeToUtf8Bytes(_state, DetectorState.Json);

    /// <summary>Writes the state as JSON and takes it as written.</summary>
    public void WriteState(IBufferWriter<byte> writer, DateTimeOffset now)
    {
        _state.WrittenSeconds = now.ToUnixTimeSeconds();
        using var json = new Utf8JsonWriter(writer);
        JsonSerializer.Serialize(json, _state, DetectorState.Json);
        Changed = false;
    }

    /// <summary>The state last written did not reach the broker.</summary>
    public void MarkChanged() => Changed = true;

    /// <summary>
    /// Goes on from a written state. Another model or calibration keeps the open incident and starts the evidence afresh.
    /// </summary>
    /// <returns>False if the record cannot be read; the detector then begins anew.</returns>
    public bool TryRestore(ReadOnlySpan<byte> record)
    {
        try
        {
            var state = JsonSerializer.Deserialize<DetectorState>(record, DetectorState.Json);
            if (state is null || state.Schema != 1) return false;
            Remember(state);
            if (state.Clock == 0 && state.Timestamp != 0) Heal();
            if (state.Digest != _model.Digest) _evidence.Forget();
            state.Digest = _model.Digest;
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
            double? stated = record.HasNoStamp ? null : ((double)frame.TimestampNanoseconds - _state.Timestamp) / 1e9;
            (seconds, var step) = _time.Step(stated, produced, wall, _maxSkew);
            if (fault == ClockFault.None) fault = step;
            _state.Clock = Later(_state.Clock, TimeSpan.FromSeconds(seconds));
        }
        LastClockFault = fault;
        LastStep = TimeSpan.FromSeconds(seconds);
        ClockChanged = _clock.Note(fault);
        _state.ClockFault = _clock.Fault;
        IsForgotten = false;
        _state.Once = _state.NextOffset == 0;
        _seenAt = record.SeenAt;
        at = frame with { Clock = _state.Clock };
        if (seconds > _options.DriveGap.TotalSeconds) EndDrive(at, alerts);
        // Where none is stated the last stamp goes on, for whatever is stated next.
        _state.Timestamp = record.HasNoStamp && _state.Timestamp != 0 ? Later(_state.Timestamp, LastStep) : frame.TimestampNanoseconds;
        _state.Produced = record.ProducedMilliseconds;
        _state.NextOffset = frame.Offset + 1;
        Changed = true;
        return seconds;
    }

    /// <summary>
    /// A state of a version that kept the largest stamp ever seen. The time goes on from there; what was measured from one that lies in the
    /// future, by the clock that wrote it,
    /// starts afresh.
    /// </summary>
    private void Heal()
    {
        _state.Clock = _state.Timestamp;
        if (_state.Timestamp / 1_000_000_000 < _state.WrittenSeconds + (long)_maxSkew.TotalSeconds) return;
        _evidence.Forget();
        if (_state.Incident is { } incident)
            _state.Incident = incident with { First = incident.First with { Clock = _state.Clock }, LastStrange = _state.Clock };
    }

    private void EndDrive(FrameRef frame, List<AlertStep> alerts)
    {
        _incidents.Close(frame, CloseReason.DriveEnded, AlertText.DriveEnded, null, alerts);
        _evidence.Forget();
    }

    /// <summary>What a scored frame shows that speaks for an incident.</summary>
    private Finding Find(in FrameObservation frame, FrameRef at)
    {
        var where = PictureRegion.Strangest(frame.ErrorMap, _package.Card.Network);
        // Stored scores are observed without their pictures.
        if (!frame.Pixels.IsEmpty && IsFrozen(at, frame.Pixels))
        {
            _evidence.DenyCalm();
            return new Finding(AlertKind.Frozen, null, _state.PictureFrom, null, where);
        }
        if (!_evidence.IsEnough) return new Finding(null, null, _state.EvidenceFrom, null, where);
        string fired = Strangest(frame.Scores);
        var kind = !frame.Pixels.IsEmpty && MeanLevel(frame.Pixels) < DarkLevel ? AlertKind.Dark
            : _evidence.StaysInPlace && _package.Card.IsLocal(fired) ? AlertKind.Obstruction
            : AlertKind.Scene;
        return new Finding(kind, fired, _state.EvidenceFrom, StrangenessOf(fired, frame.Scores), where);
    }

    [MemberNotNull(nameof(_state), nameof(_evidence), nameof(_incidents))]
    private void Remember(DetectorState state)
    {
        _state = state;
        _clock = new ClockWatch(state.ClockFault);
        _evidence = new Evidence(state, _threshold, _package.Card.Network);
        string remedy = $"outlier calibrate --model {_package.Path} --camera {_camera} --frames FOOTAGE";
        _incidents = new IncidentTracker(_camera, state, _evidence, _options, remedy);
    }

    private bool IsFrozen(FrameRef frame, ReadOnlySpan<byte> pixels)
    {
        ulong picture = _state.Picture;
        bool isSame = _frozen.IsSame(pixels, ref picture);
        _state.Picture = picture;
        if (!isSame || _state.PictureFrom is not { } from)
        {
            _state.PictureFrom = frame;
            _state.PictureFrames = 1;
            return false;
        }
        _state.PictureFrames++;
        return _state.PictureFrames >= FrozenFrames && frame.Since(from) >= _options.FrozenAfter;
    }

    private Verdict Say(double p, double? tail, bool replayed) => new(p, tail, _evidence.Log10, HasOpenIncident, replayed);

    private string Strangest(ReadOnlySpan<float> scores)
    {
        var combining = _model.Calibration.Combining;
        int strangest = combining[0];
        foreach (int k in combining)
        {
            if (!(_model.Calibration.Standardise(k, scores[k]) <= _model.Calibration.Standardise(strangest, scores[strangest])))
                strangest = k;
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

    /// <summary>Nanoseconds some time later, or the last there are.</summary>
    private static long Later(long nanoseconds, TimeSpan time) => time.Ticks * 100 is var more && nanoseconds > long.MaxValue - more
        ? long.MaxValue : nanoseconds + more;

    private static double MeanLevel(ReadOnlySpan<byte> pixels)
    {
        long sum = 0;
        foreach (byte value in pixels) sum += value;
        return pixels.IsEmpty ? 0 : (double)sum / pixels.Length;
    }
}
