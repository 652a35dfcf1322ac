using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>Watches one camera: p-values become evidence, and evidence an incident's life. Not thread-safe.</summary>
public sealed class CameraDetector
{
    /// <summary>A camera that is absent for so long keeps no detector: many an id is sent once and never again.</summary>
    private static readonly TimeSpan IdleAfter = TimeSpan.FromSeconds(30);

    private readonly DetectionOptions _options;
    private CameraModel _model;
    private readonly double _threshold;
    private readonly TimeSpan _maxSkew;
    private readonly TimeSpan? _silentAfter;
    private DetectorState _state;
    private Evidence _evidence;
    private IncidentTracker _incidents;
    private CameraTimeline _timeline;
    private FindingRules _rules;
    private OnsetWatch? _onset;
    private ObstructionWatch? _spots;
    private StrangeFrames? _strange;
    private TimeSpan _watchedSince;

    /// <param name="maxSkew"><c>Frames:MaxClockSkew</c>; five minutes unless it is given.</param>
    public CameraDetector(string camera, ModelPackage package, DetectionOptions options, TimeSpan? maxSkew = null)
    {
        // A wrong step must not end the drive.
        _maxSkew = TimeSpan.FromTicks(Math.Min((maxSkew ?? TimeSpan.FromMinutes(5)).Ticks, options.DriveGap.Ticks));
        (Camera, Package, _options) = (camera, package, options);
        (IsShadow, _silentAfter) = (options.IsShadow(camera), options.SilentAfterFor(camera));
        _threshold = -Math.Log(options.FalseAlarmProbability);
        Remember(new DetectorState { Digest = package.For(camera).Digest });
    }

    public string Camera { get; }

    public ModelPackage Package { get; }

    /// <summary>Frames below it have been seen.</summary>
    public long NextOffset => _state.NextOffset;

    /// <summary>When the state was last written, and so when the camera was last seen, by the clock and not by frames.</summary>
    public DateTimeOffset WrittenAt => DateTimeOffset.FromUnixTimeSeconds(_state.WrittenSeconds);

    public bool HasOpenIncident => _state.Incident is not null;

    /// <summary>Whether the camera is scored and shown, and never alerted on.</summary>
    public bool IsShadow { get; }

    /// <summary>Whether the camera has been absent for so long that its state is to be deleted.</summary>
    public bool IsForgotten { get; private set; }

    /// <summary>What is wrong with the camera's clock.</summary>
    public ClockFault ClockFault => _timeline.Fault;

    /// <summary>Frames whose time was corrected since the process began.</summary>
    public long ClockCorrections => _timeline.Corrected;

    internal CameraTimeline Timeline => _timeline;

    /// <summary>The open incident's id, or null.</summary>
    public string? Incident => _state.Incident?.Id;

    /// <summary>Whether the state differs from what was last written.</summary>
    public bool Changed { get; private set; }

    /// <summary>Whether the whole fleet drifts: what this camera shows is then no news, and at most <see cref="Severity.Info"/>.</summary>
    public bool IsDrifting { get; set; }

    /// <summary>Observes one scored frame; what happens to the incident is added to <paramref name="alerts"/>.</summary>
    public Verdict Observe(in FrameObservation frame, List<AlertStep> alerts)
    {
        if (!ReferenceEquals(_model, Package.For(Camera))) TryRestore(ToRecord()); // A calibration was taken over.
        var (combined, p, tail) = _model.Calibration.Judge(frame.Scores, frame.Second);
        if (frame.Frame.Offset < _state.NextOffset) return Say(p, tail, replayed: true) with { Score = combined };
        var at = Advance(frame.Frame, frame.Record, alerts);
        _state.Undecodable = 0;
        double seconds = _timeline.LastStep.TotalSeconds;
        var onset = _onset?.Add(frame.Scores, seconds, _state.Incident?.Test == AlertTest.Onset ? _options.AbsorbAfter : null);
        bool isStrange = _evidence.Add(p, tail, onset, seconds, at, frame.ErrorMap);
        _strange?.Add(frame, isStrange, isQuiet: _state.Incident is null && _evidence.IsNone);
        _spots?.Add(frame.Pixels, Package.Card.Network.Backbone is null ? [] : frame.ErrorMap, seconds, at);
        _incidents.Follow(_rules.Find(frame, at, onset), at, IsDrifting, alerts);
        return Say(p, tail, replayed: false) with { Score = combined, Onset = onset?.Onset, OnsetPValue = onset?.PValue };
    }

    /// <summary>Observes a frame of the camera that could not be decoded.</summary>
    public Verdict ObserveUndecodable(FrameRef frame, FrameError error, List<AlertStep> alerts, RecordTime record = default)
    {
        if (frame.Offset < _state.NextOffset) return Say(double.NaN, null, replayed: true);
        frame = Advance(frame, record, alerts);
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
        if (frame.Offset >= _state.NextOffset) Advance(frame, record, alerts);
    }

    /// <summary>The drive is over: the evidence starts afresh, an open incident closes.</summary>
    public void ObserveDriveEnd(FrameRef frame, List<AlertStep> alerts, RecordTime record = default)
    {
        if (frame.Offset < _state.NextOffset) return;
        EndDrive(frame, alerts);
        Advance(frame, record, alerts);
        _timeline.Break();
    }

    /// <summary>Frames from one offset to before another expired unread: the evidence starts afresh, an open incident stays.</summary>
    public void ObserveLost(long from, long to)
    {
        if (to > _state.NextOffset) ForgetLog(to);
    }

    /// <summary>The topic was recreated: offsets count from its start, the evidence starts afresh, an open incident stays.</summary>
    public void ForgetLog(long start)
    {
        BeginAnew();
        _state.NextOffset = start;
        Changed = true;
    }

    /// <summary>The camera sent something while its partition had been watched for so long; see <see cref="ObserveAbsence"/>.</summary>
    public void MarkSeen(TimeSpan watched) => _watchedSince = watched;

    /// <summary>
    /// Looks whether the camera has been absent for too long: an open incident ends after <see cref="DetectionOptions.DriveGap"/>, and a
    /// camera that is expected to send is silent.
    /// </summary>
    /// <param name="watched">By a clock that runs while the partition is restored and read to its end, and the broker answers.</param>
    public void ObserveAbsence(string topic, int partition, TimeSpan watched, List<AlertStep> alerts)
    {
        // Most cameras: nothing hangs on their absence.
        if (_state.NextOffset == 0 || _state.Incident is null && _silentAfter is null) return;
        var absent = watched - _watchedSince;
        var now = _timeline.Last(topic, partition, absent);
        if (_state.Incident is { Kind: not AlertKind.Silent } && absent >= _options.DriveGap)
        {
            EndDrive(now, alerts);
            Changed = true;
        }
        if (_silentAfter is not { } silentAfter || absent < silentAfter || _state.Clock == 0
            || _state.Incident is { Kind: not AlertKind.Silent }) return;
        _evidence.DenyCalm();
        int before = alerts.Count;
        _incidents.Follow(new Finding(AlertKind.Silent, null, _timeline.Last(topic, partition)), now, IsDrifting, alerts);
        if (alerts.Count > before) Changed = true;
    }

    /// <summary>The camera is forgotten: an open incident closes, and the state is to be deleted.</summary>
    public void Forget(string topic, int partition, List<AlertStep> alerts)
    {
        IsForgotten = true;
        _incidents.Close(_timeline.Last(topic, partition), CloseReason.DriveEnded, AlertText.Forgotten, null, alerts);
    }

    /// <summary>Takes one frame's p-value into what the camera tells of the fleet's drift.</summary>
    internal (double Mean, TimeSpan For) TrackDrift(double p, TimeSpan window) => _state.TrackDrift(p, _timeline.LastStep, window);

    /// <summary>Whether nothing is lost if the camera is kept as its written state alone until it sends again.</summary>
    internal bool IsIdle(TimeSpan watched) => !Changed && !IsForgotten && _state.Incident is null && _silentAfter is null
        && watched - _watchedSince >= IdleAfter;

    /// <summary>Whether one frame is all that was ever seen of the camera, and nothing hangs on it.</summary>
    internal bool IsOnce => _state.Once && _state.Incident is null;

    /// <summary>The state as it was last written.</summary>
    internal byte[] ToRecord() => _state.ToRecord();

    /// <summary>Writes the state as JSON and takes it as written.</summary>
    public void WriteState(IBufferWriter<byte> writer, DateTimeOffset now)
    {
        _state.WrittenSeconds = now.ToUnixTimeSeconds();
        if (_onset is null) _state.Onset = null; else _state.Onset!.Baseline = _onset.Save();
        _state.Write(writer);
        Changed = false;
    }

    /// <summary>The state last written did not reach the broker.</summary>
    public void MarkChanged() => Changed = true;

    /// <summary>Goes on from a written state; of another model or calibration only the open incident stays.</summary>
    /// <returns>False if the record cannot be read; the detector then begins anew.</returns>
    public bool TryRestore(ReadOnlySpan<byte> record)
    {
        if (DetectorState.Read(record) is not { } state) return false;
        Remember(state);
        if (!_timeline.TryHeal() || state.Digest != _model.Digest) BeginAnew();
        state.Digest = _model.Digest;
        Changed = false;
        return true;
    }

    /// <summary>Steps on to a frame; the drive ends where it comes long after the one before.</summary>
    /// <returns>The frame, with the camera's time without the faults of its clock.</returns>
    private FrameRef Advance(FrameRef frame, RecordTime record, List<AlertStep> alerts)
    {
        var at = _timeline.Advance(frame, record);
        if (_timeline.LastStep > _options.DriveGap) EndDrive(at, alerts);
        IsForgotten = false;
        Changed = true;
        return at;
    }

    private void EndDrive(FrameRef frame, List<AlertStep> alerts)
    {
        _incidents.Close(frame, CloseReason.DriveEnded, AlertText.DriveEnded, null, alerts);
        BeginAnew();
        _spots?.ForgetPlace();
    }

    /// <summary>What was seen before says nothing of what follows.</summary>
    private void BeginAnew()
    {
        _evidence.Forget();
        _onset?.Forget();
        _spots?.Break();
        _strange?.Forget();
    }

    [MemberNotNull(nameof(_model), nameof(_state), nameof(_evidence), nameof(_incidents), nameof(_timeline), nameof(_rules))]
    private void Remember(DetectorState state)
    {
        (_model, _state) = (Package.For(Camera), state);
        _timeline = new CameraTimeline(state, _maxSkew);
        _evidence = new Evidence(state, _threshold, Package.Card.Network, _model.Calibration);
        _onset = _model.Calibration.Onset is { } onset ? new OnsetWatch(_model.Calibration, onset, state.Onset?.Baseline) : null;
        _strange = new StrangeFrames(Package, _model.Calibration);
        _spots = _options.Obstructions ? new ObstructionWatch(Package.Card.Network.Size, _model.Mask, state) : null;
        _rules = new FindingRules(state, _evidence, _spots, _model.Calibration, Package.Card, _options.FrozenAfter);
        string remedy = $"outlier calibrate --model {Package.Path} --camera {Camera} --frames FOOTAGE";
        _incidents = new IncidentTracker(Camera, state, _evidence, _onset, _spots, _strange, _options, remedy);
    }

    private Verdict Say(double p, double? tail, bool replayed) => new(p, tail, _evidence.Log10, HasOpenIncident, replayed);
}
