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
/// The evidence is a conformal test martingale with the power bet ε·p^(ε−1) (Vovk, Nouretdinov and Gammerman, ICML 2003), kept from
/// falling below 1 as in CUSUM, so that a trouble after hours of calm is found as fast as one at the start. Neighbouring frames are nearly
/// the same evidence: a bet's logarithm is weighted by the time since the frame before, and counts fully after <see cref="Decorrelation"/>.
/// An open incident closes by the same bets turned round: as much evidence for calm as it took to open.
/// </remarks>
public sealed class CameraDetector
{
    private const double Epsilon = 0.1;

    /// <summary>Evidence beyond this adds nothing; e^100.</summary>
    private const double MaxEvidence = 100;

    /// <summary>Mean of all channels below which a strange picture is a dark one.</summary>
    private const double DarkLevel = 16;

    private const int FrozenFrames = 5;
    private static readonly TimeSpan Decorrelation = TimeSpan.FromMilliseconds(200);
    private readonly string _camera;
    private readonly ModelPackage _package;
    private readonly DetectionOptions _options;
    private readonly CameraModel _model;
    private readonly double _threshold;
    private DetectorStateFields _state;

    public CameraDetector(string camera, ModelPackage package, DetectionOptions options)
    {
        _camera = camera;
        _package = package;
        _options = options;
        _model = package.For(camera);
        _threshold = -Math.Log(options.FalseAlarmProbability);
    }

    /// <summary>Frames below it have been seen.</summary>
    public long NextOffset => _state.NextOffset;

    /// <summary>When the state was last written, and so when the camera was last seen; by the clock, since frames may tell of another year.</summary>
    public DateTimeOffset WrittenAt => DateTimeOffset.FromUnixTimeSeconds(_state.WrittenSeconds);

    public bool HasOpenIncident => _state.Incident is not null;

    /// <summary>Whether the state differs from what was last written.</summary>
    public bool Changed { get; private set; }

    /// <summary>Observes one scored frame; what happens to the incident is added to <paramref name="alerts"/>.</summary>
    public Verdict Observe(in FrameObservation frame, List<AlertStep> alerts)
    {
        double combined = _model.Calibration.Combine(frame.Scores);
        double p = _model.Calibration.PValue(combined);
        if (frame.Frame.Offset < _state.NextOffset) return Say(p, replayed: true);
        double seconds = Advance(frame.Frame);
        _state.Undecodable = 0;
        AddEvidence(p, seconds, frame);
        bool frozen = IsFrozen(frame);
        string? fired = null;
        AlertKind? kind = null;
        if (frozen)
        {
            kind = AlertKind.Frozen;
        }
        else if (_state.Evidence >= _threshold)
        {
            fired = Strangest(frame.Scores);
            kind = MeanLevel(frame.Pixels) < DarkLevel ? AlertKind.Dark : _state.CellFrames >= 3 && fired == "local" ? AlertKind.Obstruction : AlertKind.Scene;
        }
        if (frozen) _state.Calm = 0;
        Follow(kind, fired, frame.Frame, frozen ? _state.PictureFrom : _state.EvidenceFrom, alerts);
        return Say(p, replayed: false);
    }

    /// <summary>Observes a frame of the camera that could not be decoded.</summary>
    public Verdict ObserveUndecodable(FrameRef frame, FrameError error, List<AlertStep> alerts)
    {
        if (frame.Offset < _state.NextOffset) return Say(double.NaN, replayed: true);
        Advance(frame);
        if (_state.Undecodable++ == 0) _state.UndecodableFrom = frame;
        _state.Calm = 0;
        bool many = _state.Undecodable >= _options.UndecodableFrames;
        Follow(many ? AlertKind.Undecodable : null, error.ToString(), frame, _state.UndecodableFrom, alerts);
        return Say(double.NaN, replayed: false);
    }

    /// <summary>Passes over a frame that was not scored because it was too old.</summary>
    public void ObserveSkipped(FrameRef frame)
    {
        if (frame.Offset >= _state.NextOffset) Advance(frame);
    }

    /// <summary>Frames from one offset to before another expired unread: the evidence starts afresh, an open incident stays.</summary>
    public void ObserveLost(long from, long to)
    {
        if (to <= _state.NextOffset) return;
        ForgetEvidence();
        _state.NextOffset = Math.Max(_state.NextOffset, to);
        Changed = true;
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

    private double Advance(FrameRef frame)
    {
        double seconds = _state.Timestamp == 0 ? Decorrelation.TotalSeconds / 2 : (frame.TimestampNanoseconds - _state.Timestamp) / 1e9;
        _state.Timestamp = Math.Max(_state.Timestamp, frame.TimestampNanoseconds);
        _state.NextOffset = frame.Offset + 1;
        Changed = true;
        return Math.Max(seconds, 0);
    }

    private void AddEvidence(double p, double seconds, in FrameObservation frame)
    {
        double bet = Math.Log(Epsilon) + (Epsilon - 1) * Math.Log(p);
        double weight = Math.Min(1, seconds / Decorrelation.TotalSeconds);
        double before = _state.Evidence;
        _state.Evidence = Math.Clamp(before + weight * bet, 0, MaxEvidence);
        _state.Calm = Math.Clamp(_state.Calm - weight * bet, 0, MaxEvidence);
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
        ulong picture = XxHash3.HashToUInt64(frame.Pixels);
        if (picture != _state.Picture || _state.PictureFrom is null)
        {
            _state.Picture = picture;
            _state.PictureFrom = frame.Frame;
            _state.PictureFrames = 1;
            return false;
        }
        _state.PictureFrames++;
        return _state.PictureFrames >= FrozenFrames && Elapsed(_state.PictureFrom.Value, frame.Frame) >= _options.FrozenAfter;
    }

    private void Follow(AlertKind? kind, string? fired, FrameRef frame, FrameRef? from, List<AlertStep> alerts)
    {
        double evidence = _state.Evidence / Math.Log(10);
        var incident = _state.Incident;
        if (incident is null)
        {
            if (kind is not { } opening) return;
            var first = from ?? frame;
            var severity = SeverityRule.Of(opening, evidence, Elapsed(first, frame));
            incident = new OpenIncident(IncidentId(first), opening, severity, 1, first, fired, frame.TimestampNanoseconds, evidence);
            alerts.Add(Step(AlertType.Opened, incident, frame, Describe(incident, frame)));
            _state.Incident = incident;
            return;
        }
        // Hysteresis: below the threshold is not yet calm.
        if (_state.Calm == 0)
        {
            incident = incident with { LastStrange = Math.Max(incident.LastStrange, frame.TimestampNanoseconds), Strongest = Math.Max(incident.Strongest, evidence) };
            var severity = SeverityRule.Of(incident.Kind, incident.Strongest, Elapsed(incident.First, frame));
            if (severity > incident.Severity)
            {
                incident = incident with { Severity = severity, Step = incident.Step + 1 };
                alerts.Add(Step(AlertType.Escalated, incident, frame, Describe(incident, frame)));
            }
            _state.Incident = incident;
            return;
        }
        if (_state.Calm < _threshold || frame.TimestampNanoseconds - incident.LastStrange < _options.CloseAfter.TotalNanoseconds) return;
        incident = incident with { Step = incident.Step + 1 };
        alerts.Add(Step(AlertType.Closed, incident, frame, string.Create(CultureInfo.InvariantCulture, $"calm for {_options.CloseAfter.TotalSeconds:0.#} s")));
        _state.Incident = null;
        ForgetEvidence();
    }

    private AlertStep Step(AlertType type, OpenIncident incident, FrameRef frame, string reason) =>
        new(type, incident.Id, incident.Step, _camera, incident.Kind, incident.Severity, incident.First, frame, incident.Kind is AlertKind.Scene or AlertKind.Obstruction or AlertKind.Dark ? incident.FiredScore : null, reason);

    private string Describe(OpenIncident incident, FrameRef frame)
    {
        double seconds = Elapsed(incident.First, frame).TotalSeconds;
        return incident.Kind switch
        {
            AlertKind.Frozen => string.Create(CultureInfo.InvariantCulture, $"the picture has not changed for {seconds:0.0} s"),
            AlertKind.Undecodable => string.Create(CultureInfo.InvariantCulture, $"{_state.Undecodable} frames in a row cannot be decoded ({incident.FiredScore})"),
            AlertKind.Dark => string.Create(CultureInfo.InvariantCulture, $"the picture is nearly black and strange for {seconds:0.0} s (odds 10^{incident.Strongest:0})"),
            AlertKind.Obstruction => string.Create(CultureInfo.InvariantCulture, $"one place of the picture is strange for {seconds:0.0} s by its {incident.FiredScore} score (odds 10^{incident.Strongest:0})"),
            _ => string.Create(CultureInfo.InvariantCulture, $"the picture is strange for {seconds:0.0} s, most by its {incident.FiredScore} score (odds 10^{incident.Strongest:0})"),
        };
    }

    private Verdict Say(double p, bool replayed) => new(p, _state.Evidence / Math.Log(10), HasOpenIncident, replayed);

    private void ForgetEvidence()
    {
        _state.Evidence = 0;
        _state.Calm = 0;
        _state.EvidenceFrom = null;
        _state.CellFrames = 0;
        _state.PictureFrom = null;
        _state.Undecodable = 0;
    }

    private string Strangest(ReadOnlySpan<float> scores)
    {
        int strangest = 0;
        for (int k = 1; k < scores.Length; k++)
        {
            if (!(_model.Calibration.Standardise(k, scores[k]) <= _model.Calibration.Standardise(strangest, scores[strangest]))) strangest = k;
        }
        return _model.Calibration.Scores[strangest];
    }

    private string IncidentId(FrameRef first)
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"{_camera}\n{first.Topic}\n{first.Partition}\n{first.Offset}\n{first.TimestampNanoseconds}");
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
