using System.Collections.Concurrent;
using System.Threading.Channels;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Alerts;
using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// The thread of the detectors: scored batches in; score records, alerts and dead letters out, frame by frame in each camera's order.
/// </summary>
/// <param name="packages">The packages that are run.</param>
/// <param name="packageOf">The package of a camera.</param>
internal sealed partial class DetectionWorker(ChannelReader<FrameBatch> batches, PartitionTable partitions, ResultPublisher publisher,
    IReadOnlyList<ModelPackage> packages, Func<string, ModelPackage> packageOf, PipelineOptions options, TimeProvider time, ILogger log)
{
    /// <summary>How often absent cameras are looked for.</summary>
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);

    private const int MaxClockLines = 50;

    private static readonly byte[] AlertContentType = System.Text.Encoding.ASCII.GetBytes(AlertEvent.ContentType);
    private readonly List<AlertStep> _alerts = [];
    private List<string>? _idle;
    private long _clocksToldSince;
    private int _clocksTold;
    private readonly Dictionary<string, DriftMonitor> _drift = [];

    /// <summary>Cameras in the order of their first frame, some of which were not seen again.</summary>
    private readonly Queue<(PartitionAssignment Assignment, string Camera)> _once = new();
    private readonly ConcurrentDictionary<string, (PartitionAssignment Assignment, CameraDetector Detector)> _wrongClocks = [];

    /// <summary>An alert was produced; for whoever shows it in the same process.</summary>
    public Action<AlertStep> Alerted { get; set; } = _ => { };

    /// <summary>What became of each frame; for whoever shows it in the same process.</summary>
    public FrameObserver? Observed { get; set; }

    /// <summary>The cameras whose clock is wrong now, what is wrong with it, and for how many frames it was.</summary>
    public IReadOnlyList<(string Camera, ClockFault Fault, long Frames)> WrongClocks =>
        [.. _wrongClocks.Where(IsKnown).Select(entry => (entry.Key, entry.Value.Detector.ClockFault, entry.Value.Detector.ClockCorrections))
        .OrderBy(entry => entry.Key, StringComparer.Ordinal)];

    /// <summary>Runs until the channel is complete.</summary>
    public void Run()
    {
        using var reader = new BlockingReader<FrameBatch>(batches);
        using var records = new ScoreRecord();
        long examined = time.GetTimestamp();
        while (true)
        {
            if (reader.Read(Tick, out var batch))
            {
                for (int i = 0; i < batch.Count; i++)
                {
                    var (frame, slot) = batch[i];
                    long begun = time.GetTimestamp();
                    Observe((ConsumedFrame)frame, slot, batch, records);
                    PipelineTelemetry.RecordStage(Stage.Detect, time.GetElapsedTime(begun));
                }
                batch.Return();
            }
            else if (reader.IsCompleted)
            {
                return;
            }
            if (time.GetElapsedTime(examined) < Tick) continue;
            examined = time.GetTimestamp();
            foreach (var assignment in partitions.Current) FindAbsent(assignment);
            foreach (var gone in _wrongClocks.Where(entry => !IsKnown(entry))) _wrongClocks.TryRemove(gone.Key, out _);
        }
    }

    private void Observe(ConsumedFrame frame, int slot, FrameBatch batch, ScoreRecord records)
    {
        var assignment = frame.Assignment;
        lock (assignment.Gate)
        {
            if (!assignment.IsCurrent)
            {
                publisher.Discard(frame);
                return;
            }
            TellLost(assignment, frame.Offset);
            Enter(assignment);
            if (!IsAdmitted(assignment, frame.Camera!))
            {
                frame.Error = FrameError.TooManyCameras;
                publisher.DeadLetter(frame);
                assignment.Ledger.MarkProcessed(frame.Offset);
                publisher.Complete(frame);
                return;
            }
            using var span = PipelineTelemetry.StartFrameSpan("detect", frame.Trace);
            var detector = DetectorOf(assignment, frame.Camera!, batch.Package);
            var at = new FrameRef(assignment.Partition.Topic, assignment.Partition.Partition.Value, frame.Offset,
                frame.TimestampNanoseconds);
            _alerts.Clear();
            var scores = ReadOnlySpan<float>.Empty;
            Verdict verdict = default;
            var now = time.GetUtcNow();
            var record = new RecordTime(frame.ProducedMilliseconds, now, frame.ClockFault, !frame.IsStamped);
            detector.MarkSeen(assignment.Watch.WatchedAt(now));
            switch (frame.Kind)
            {
                case FrameKind.DriveEnd:
                    detector.ObserveDriveEnd(at, _alerts, record);
                    break;
                case FrameKind.Skipped:
                    detector.ObserveSkipped(at, _alerts, record);
                    publisher.Publish(frame, options.Kafka.ScoresTopic, records.Skipped(frame.Camera!, at, batch.Package.Card));
                    PipelineTelemetry.CountSkipped();
                    break;
                case FrameKind.Undecodable:
                    verdict = detector.ObserveUndecodable(at, frame.Error, _alerts, record);
                    publisher.DeadLetter(frame);
                    break;
                default:
                    scores = batch.Memory.Scores(slot);
                    verdict = detector.Observe(new FrameObservation
                    {
                        Frame = at,
                        Record = record,
                        Scores = scores,
                        ErrorMap = batch.Memory.ErrorMap(slot),
                        Pixels = batch.Memory.Pixels(slot)
                    }, _alerts);
                    publisher.Publish(frame, options.Kafka.ScoresTopic,
                        records.Scored(frame.Camera!, at, batch.Package, scores, verdict, detector.Incident, detector.IsShadow));
                    PipelineTelemetry.CountScored(batch.Package.Card.Name);
                    WatchDrift(frame, at, batch.Package, detector, verdict);
                    break;
            }
            if (verdict.IsReplayed) PipelineTelemetry.CountReplayed();
            else NoteClock(assignment, frame.Camera!, detector);
            if (!scores.IsEmpty && !verdict.IsReplayed) Show(frame, at, batch, slot, verdict, detector);
            if (!detector.IsShadow)
            {
                foreach (var alert in _alerts) Publish(frame, alert, batch, slot, scores, verdict);
            }
            assignment.Ledger.MarkProcessed(frame.Offset);
        }
        publisher.Complete(frame);
    }

    private void Show(ConsumedFrame frame, FrameRef at, FrameBatch batch, int slot, in Verdict verdict, CameraDetector detector)
    {
        if (Observed is not { } observed) return;
        observed(new ObservedFrame
        {
            Camera = frame.Camera!,
            At = at,
            Package = batch.Package,
            Verdict = verdict,
            Incident = detector.Incident,
            IsShadow = detector.IsShadow,
            ClockFault = detector.ClockFault,
            ClockCorrections = detector.ClockCorrections,
            Scores = batch.Memory.Scores(slot),
            ErrorMap = batch.Memory.ErrorMap(slot),
            Latent = batch.Memory.Latent(slot),
            Pixels = batch.Memory.Pixels(slot),
            Encoded = frame.Encoded,
        });
    }

    private void Publish(ConsumedFrame frame, AlertStep alert, FrameBatch batch, int slot, ReadOnlySpan<float> scores, in Verdict verdict)
    {
        var network = batch.Package.Card.Network;
        var rule = options.Pictures.For(alert.Camera);
        byte[] picture = alert.Type == AlertType.Opened && slot >= 0 && !scores.IsEmpty
            ? AlertPicture.Encode(batch.Memory.Pixels(slot), network.Size, batch.Memory.ErrorMap(slot), network.ErrorMapHeight,
                network.ErrorMapWidth, rule)
            : [];
        publisher.Publish(frame, options.Kafka.AlertsTopic,
            AlertEvent.Write(alert, batch.Package, scores, verdict, picture, rule == PictureRule.Blurred), AlertHeaders());
        Tell(alert);
    }

    private void NoteClock(PartitionAssignment assignment, string camera, CameraDetector detector)
    {
        if (detector.LastClockFault is not ClockFault.None and var fault) PipelineTelemetry.CountClockCorrected(fault);
        if (detector.ClockFault != ClockFault.None) _wrongClocks[camera] = (assignment, detector);
        if (!detector.ClockChanged) return;
        if (detector.ClockFault == ClockFault.None) _wrongClocks.TryRemove(camera, out _);
        // Ids are what somebody sends: so many lines a minute, and no more.
        if (time.GetElapsedTime(_clocksToldSince) > TimeSpan.FromMinutes(1)) (_clocksToldSince, _clocksTold) = (time.GetTimestamp(), 0);
        if (++_clocksTold > MaxClockLines) return;
        if (detector.ClockFault == ClockFault.None) Log.ClockWell(log, camera);
        else Log.ClockWrong(log, camera, ClockWatch.Describe(detector.ClockFault));
    }

    /// <summary>Whether a camera's detector is still the one that watches it.</summary>
    private static bool IsKnown(KeyValuePair<string, (PartitionAssignment Assignment, CameraDetector Detector)> entry)
    {
        var (assignment, detector) = entry.Value;
        lock (assignment.Gate) return assignment.IsCurrent && assignment.Detectors.GetValueOrDefault(entry.Key) == detector;
    }

    /// <summary>Tells the detectors of frames that expired unread, once everything before them was seen.</summary>
    /// <param name="next">Of the frame that is seen next.</param>
    private static void TellLost(PartitionAssignment assignment, long next)
    {
        if (assignment.Lost is not { } lost || assignment.LostTold == lost || next < lost.From) return;
        assignment.LostTold = lost;
        foreach (var detector in assignment.Detectors.Values) detector.ObserveLost(lost.From, lost.To);
    }

    /// <summary>Cameras of which nothing has come for their time, by the partition's own clock.</summary>
    private void FindAbsent(PartitionAssignment assignment)
    {
        lock (assignment.Gate)
        {
            if (!assignment.IsCurrent || !assignment.IsRestored) return;
            TellLost(assignment, assignment.Ledger.ProcessedFrontier);
            Enter(assignment);
            if (!assignment.Watch.HasCaughtUp && !assignment.IsReset) return;
            // Cameras that fell silent before this process took over are known by their state alone.
            foreach (string camera in assignment.WakeAbsent(camera => options.Detection.SilentAfterFor(camera) is not null))
                DetectorOf(assignment, camera, packageOf(camera));
            var watched = assignment.Watch.Watched;
            var forget = time.GetUtcNow() - options.Detection.ForgetAfter;
            foreach (var (camera, detector) in assignment.Detectors)
            {
                _alerts.Clear();
                var (topic, partition) = (assignment.Partition.Topic, assignment.Partition.Partition.Value);
                if (detector.HasOpenIncident && detector.WrittenAt < forget && !detector.Changed)
                    detector.Forget(topic, partition, _alerts);
                else detector.ObserveAbsence(topic, partition, watched, _alerts);
                if (!detector.IsShadow) foreach (var alert in _alerts) PublishAlone(assignment, camera, alert, packageOf(camera));
                if (detector.IsIdle(watched)) (_idle ??= []).Add(camera);
            }
            foreach (string camera in _idle ?? [])
            {
                assignment.Rest(camera);
                _wrongClocks.TryRemove(camera, out _);
            }
            _idle?.Clear();
        }
    }

    private void WatchDrift(ConsumedFrame frame, FrameRef at, ModelPackage package, CameraDetector detector, in Verdict verdict)
    {
        if (verdict.IsReplayed) return;
        var monitor = MonitorOf(package);
        var (mean, span) = detector.TrackDrift(verdict.PValue, options.Detection.DriftAfter);
        bool changed = monitor.Observe(frame.Camera!, mean, span, time.GetUtcNow());
        detector.IsDrifting = monitor.IsDrifting;
        if (monitor.Episode > 0) frame.Assignment.Reserve(monitor.Key, monitor.ToRecord());
        if (!changed) return;
        string fleet = $"fleet:{package.Card.Name}";
        // Opened and closed again and again, it is another incident each time.
        var step = monitor.IsDrifting
            ? new AlertStep(AlertType.Opened, monitor.Incident, 1, fleet, AlertKind.Drift, Severity.Info, at, at, null,
                AlertText.FleetDrifts(package.Card.Name, options.Detection.DriftAfter,
                $"outlier calibrate --model {package.Path} --frames FOOTAGE"))
            : new AlertStep(AlertType.Closed, monitor.Incident, 2, fleet, AlertKind.Drift, Severity.Info, at, at, null,
            AlertText.FleetIsWell)
            { Closed = CloseReason.Calm };
        PublishAlone(frame.Assignment, fleet, step, package);
    }

    private DriftMonitor MonitorOf(ModelPackage package) =>
        _drift.TryGetValue(package.Digest, out var known)
        ? known
        : _drift[package.Digest] = new DriftMonitor(package, options.Kafka.GroupId, options.Detection);

    /// <summary>Takes over, once, what a restored partition brings with it.</summary>
    private void Enter(PartitionAssignment assignment)
    {
        if (assignment.IsEntered) return;
        assignment.IsEntered = true;
        // Assignments that have ended are not kept for the cameras that they had.
        for (int left = _once.Count; left > 0; left--)
        {
            if (_once.Dequeue() is var entry && entry.Assignment.IsCurrent) _once.Enqueue(entry);
        }
        foreach (var package in packages)
        {
            var monitor = MonitorOf(package);
            if (assignment.Reserved.TryGetValue(monitor.Key, out var record)) monitor.Merge(record.Value);
        }
        foreach (var (camera, state) in assignment.Restored)
        {
            if (state.AsSpan().IndexOf("\"once\":true"u8) >= 0) _once.Enqueue((assignment, camera));
        }
    }

    /// <summary>
    /// Whether a camera may be watched: one that is known may; a new one as long as there is room, which cameras make that were seen once
    /// and have no incident, the oldest first.
    /// </summary>
    private bool IsAdmitted(PartitionAssignment assignment, string camera)
    {
        if (assignment.Detectors.ContainsKey(camera) || assignment.Restored.ContainsKey(camera)) return true;
        if (partitions.Current.Sum(other => other.Cameras) >= options.Kafka.MaxCameras && !TryEvict()) return false;
        _once.Enqueue((assignment, camera));
        return true;
    }

    private bool TryEvict()
    {
        while (_once.TryDequeue(out var candidate))
        {
            var (assignment, camera) = candidate;
            if (!assignment.IsCurrent) continue;
            lock (assignment.Gate)
            {
                bool isOnce = assignment.Detectors.TryGetValue(camera, out var detector) ? detector.IsOnce
                    : assignment.Restored.TryGetValue(camera, out byte[]? state) && state.AsSpan().IndexOf("\"once\":true"u8) >= 0;
                if (!isOnce) continue;
                assignment.Detectors.Remove(camera);
                assignment.Restored.Remove(camera);
                assignment.Evicted.Add(camera);
                return true;
            }
        }
        return false;
    }

    private void PublishAlone(PartitionAssignment assignment, string camera, AlertStep alert, ModelPackage package)
    {
        publisher.PublishAlone(assignment, options.Kafka.AlertsTopic, System.Text.Encoding.UTF8.GetBytes(camera),
            AlertEvent.Write(alert, package, [], new Verdict(double.NaN, null, 0, alert.Type != AlertType.Closed, false), []),
            AlertHeaders());
        Tell(alert);
    }

    private static Headers AlertHeaders() => new() { { "content-type", AlertContentType } };

    private void Tell(AlertStep alert)
    {
        PipelineTelemetry.CountAlert(alert.Type.ToString().ToLowerInvariant(), alert.Kind.ToString().ToLowerInvariant(),
            alert.Severity.ToString().ToLowerInvariant());
        Log.Alert(log, alert.Type, alert.Camera, alert.Kind, alert.Severity, alert.Reason, alert.Incident);
        Alerted(alert);
    }

    private CameraDetector DetectorOf(PartitionAssignment assignment, string camera, ModelPackage package)
    {
        if (assignment.Detectors.TryGetValue(camera, out var known)) return known;
        var detector = new CameraDetector(camera, package, options.Detection, options.Frames.MaxClockSkew);
        if (assignment.Restored.Remove(camera, out byte[]? state) && !detector.TryRestore(state)) Log.StateUnreadable(log, camera);
        if (assignment.IsReset) detector.ForgetLog(assignment.Start);
        if (assignment.Lost is { } lost && assignment.LostTold == lost) detector.ObserveLost(lost.From, lost.To);
        assignment.Detectors[camera] = detector;
        return detector;
    }

    private static partial class Log
    {
        [LoggerMessage(300, LogLevel.Information, "Alert {Type}: {Camera} {Kind} {Severity}: {Reason} (incident {Incident})")]
        public static partial void Alert(ILogger log, AlertType type, string camera, AlertKind kind, Severity severity, string reason,
            string incident);

        [LoggerMessage(302, LogLevel.Warning, "The clock of camera {Camera}: {Fault}.")]
        public static partial void ClockWrong(ILogger log, string camera, string fault);

        [LoggerMessage(303, LogLevel.Information, "The clock of camera {Camera} is in order again.")]
        public static partial void ClockWell(ILogger log, string camera);

        [LoggerMessage(301, LogLevel.Error, "The state record of camera {Camera} cannot be read; its detector begins anew.")]
        public static partial void StateUnreadable(ILogger log, string camera);
    }
}
