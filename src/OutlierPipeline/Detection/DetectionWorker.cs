using System.Threading.Channels;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Alerting;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Streaming;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Detection;

/// <summary>The thread of the detectors: scored batches in; score records, alerts and dead letters out, frame by frame in each camera's order.</summary>
internal sealed partial class DetectionWorker(ChannelReader<MicroBatch> batches, ResultPublisher publisher, PipelineOptions options, TimeProvider time, ILogger log)
{
    /// <summary>How often silence is looked for.</summary>
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);

    private static readonly byte[] AlertContentType = System.Text.Encoding.ASCII.GetBytes(AlertEvent.ContentType);
    private readonly List<AlertStep> _alerts = [];
    private readonly Dictionary<string, DriftMonitor> _drift = [];

    /// <summary>The partitions that are read now, where silent cameras are looked for.</summary>
    public Func<IReadOnlyCollection<PartitionAssignment>> Assignments { get; set; } = () => [];

    /// <summary>The package of a camera.</summary>
    public Func<string, ModelPackage> PackageFor { get; set; } = _ => throw new InvalidOperationException("no packages");

    /// <summary>An alert was produced; for whoever shows it in the same process.</summary>
    public Action<AlertStep> Alerted { get; set; } = _ => { };

    /// <summary>What became of each frame; for whoever shows it in the same process.</summary>
    public FrameObserver? Observed { get; set; }

    /// <summary>Runs until the channel is complete.</summary>
    public void Run()
    {
        using var reader = new BlockingReader<MicroBatch>(batches);
        using var records = new ScoreRecord();
        long examined = time.GetTimestamp();
        bool watchesSilence = options.Detection.SilentAfter.Count > 0;
        while (true)
        {
            bool read = watchesSilence ? reader.Read(Tick, out var batch) : reader.Read(out batch);
            if (read)
            {
                for (int i = 0; i < batch.Count; i++)
                {
                    var (frame, slot) = batch[i];
                    long begun = time.GetTimestamp();
                    Observe(frame, slot, batch, records);
                    PipelineTelemetry.RecordStage(Stage.Detect, time.GetElapsedTime(begun));
                }
                batch.Return();
            }
            else if (reader.IsCompleted)
            {
                return;
            }
            if (!watchesSilence || time.GetElapsedTime(examined) < Tick) continue;
            examined = time.GetTimestamp();
            foreach (var assignment in Assignments()) FindSilent(assignment);
        }
    }

    private void Observe(Frame frame, int slot, MicroBatch batch, ScoreRecord records)
    {
        var assignment = frame.Assignment;
        lock (assignment.Gate)
        {
            if (!assignment.IsCurrent)
            {
                publisher.Discard(frame);
                return;
            }
            using var span = PipelineTelemetry.StartFrameSpan("detect", frame.Trace);
            var detector = DetectorOf(assignment, frame.Camera!, batch.Package);
            var at = new FrameRef(assignment.Partition.Topic, assignment.Partition.Partition.Value, frame.Offset, frame.TimestampNanoseconds);
            _alerts.Clear();
            var scores = ReadOnlySpan<float>.Empty;
            Verdict verdict = default;
            detector.MarkSeen(time.GetUtcNow());
            if (frame.IsDriveEnd)
            {
                detector.ObserveDriveEnd(at, _alerts);
            }
            else if (frame.IsSkipped)
            {
                detector.ObserveSkipped(at, _alerts);
                publisher.Publish(frame, options.Kafka.ScoresTopic, records.Skipped(frame.Camera!, at, batch.Package.Card));
                PipelineTelemetry.CountSkipped();
            }
            else if (frame.Error != FrameError.None)
            {
                verdict = detector.ObserveUndecodable(at, frame.Error, _alerts);
                publisher.DeadLetter(frame);
            }
            else
            {
                scores = batch.Tensor.Scores(slot);
                verdict = detector.Observe(new FrameObservation { Frame = at, Scores = scores, ErrorMap = batch.Tensor.ErrorMap(slot), Pixels = batch.Tensor.Pixels(slot) }, _alerts);
                publisher.Publish(frame, options.Kafka.ScoresTopic, records.Scored(frame.Camera!, at, batch.Package, scores, verdict, detector.Incident, detector.IsShadow));
                PipelineTelemetry.CountScored(batch.Package.Card.Name);
                WatchDrift(frame, at, batch.Package, detector, verdict);
            }
            if (verdict.IsReplayed) PipelineTelemetry.CountReplayed();
            if (!scores.IsEmpty && !verdict.IsReplayed) Show(frame, at, batch, slot, verdict, detector);
            if (!detector.IsShadow)
            {
                foreach (var alert in _alerts) Publish(frame, alert, batch, slot, scores, verdict);
            }
            assignment.Ledger.MarkProcessed(frame.Offset);
        }
        publisher.Complete(frame);
    }

    private void Show(Frame frame, FrameRef at, MicroBatch batch, int slot, in Verdict verdict, CameraDetector detector)
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
            Scores = batch.Tensor.Scores(slot),
            ErrorMap = batch.Tensor.ErrorMap(slot),
            Latent = batch.Tensor.Latent(slot),
            Pixels = batch.Tensor.Pixels(slot),
            Encoded = frame.Encoded,
        });
    }

    private void Publish(Frame frame, AlertStep alert, MicroBatch batch, int slot, ReadOnlySpan<float> scores, in Verdict verdict)
    {
        var network = batch.Package.Card.Network;
        var rule = options.Pictures.For(alert.Camera);
        byte[] picture = alert.Type == AlertType.Opened && slot >= 0 && !scores.IsEmpty
            ? AlertPicture.Encode(batch.Tensor.Pixels(slot), network.Size, batch.Tensor.ErrorMap(slot), network.ErrorMapHeight,
                network.ErrorMapWidth, rule)
            : [];
        publisher.Publish(frame, options.Kafka.AlertsTopic,
            AlertEvent.Write(alert, batch.Package, scores, verdict, picture, rule == PictureRule.Blurred), AlertHeaders());
        Tell(alert);
    }

    /// <summary>A camera of which nothing waits to be read, and nothing has come for its time.</summary>
    private void FindSilent(PartitionAssignment assignment)
    {
        lock (assignment.Gate)
        {
            if (!assignment.IsCurrent || !assignment.IsRestored || assignment.Lag > 0 || assignment.Ledger.InFlight > 0) return;
            // Cameras that fell silent before this process took over are known by their state alone.
            foreach (string camera in assignment.Restored.Keys.Where(camera => options.Detection.SilentAfterFor(camera) is not null).ToArray()) DetectorOf(assignment, camera, PackageFor(camera));
            foreach (var (camera, detector) in assignment.Detectors)
            {
                _alerts.Clear();
                detector.ObserveSilence(assignment.Partition.Topic, assignment.Partition.Partition.Value, time.GetUtcNow(), _alerts);
                if (!detector.IsShadow) foreach (var alert in _alerts) PublishAlone(assignment, camera, alert, PackageFor(camera));
            }
        }
    }

    private void WatchDrift(Frame frame, FrameRef at, ModelPackage package, CameraDetector detector, in Verdict verdict)
    {
        if (verdict.IsReplayed) return;
        if (!_drift.TryGetValue(package.Digest, out var monitor)) _drift[package.Digest] = monitor = new DriftMonitor(package, options.Detection);
        bool changed = monitor.Observe(frame.Camera!, verdict.PValue, at.TimestampNanoseconds);
        detector.IsDrifting = monitor.IsDrifting;
        if (!changed) return;
        string fleet = $"fleet:{package.Card.Name}";
        if (monitor.IsDrifting) monitor.Incident = ModelPackage.DigestOf(System.Text.Encoding.UTF8.GetBytes($"drift\n{package.Digest}\n{at.Topic}\n{at.Partition}\n{at.Offset}"))["sha256:".Length..][..32];
        var step = monitor.IsDrifting
            ? new AlertStep(AlertType.Opened, monitor.Incident, 1, fleet, AlertKind.Drift, Severity.Info, at, at, null, $"most cameras of {package.Card.Name} have had low p-values for {options.Detection.DriftAfter}: the calibration is old; outlier calibrate --model {package.Path} --frames FOOTAGE")
            : new AlertStep(AlertType.Closed, monitor.Incident, 2, fleet, AlertKind.Drift, Severity.Info, at, at, null, "most cameras are normal again") { Closed = CloseReason.Calm };
        PublishAlone(frame.Assignment, fleet, step, package);
    }

    private void PublishAlone(PartitionAssignment assignment, string camera, AlertStep alert, ModelPackage package)
    {
        publisher.PublishAlone(assignment, options.Kafka.AlertsTopic, System.Text.Encoding.UTF8.GetBytes(camera), AlertEvent.Write(alert, package, [], new Verdict(double.NaN, null, 0, alert.Type != AlertType.Closed, false), []), AlertHeaders());
        Tell(alert);
    }

    private static Headers AlertHeaders() => new() { { "content-type", AlertContentType } };

    private void Tell(AlertStep alert)
    {
        PipelineTelemetry.CountAlert(alert.Type.ToString().ToLowerInvariant(), alert.Kind.ToString().ToLowerInvariant(), alert.Severity.ToString().ToLowerInvariant());
        Log.Alert(log, alert.Type, alert.Camera, alert.Kind, alert.Severity, alert.Reason, alert.Incident);
        Alerted(alert);
    }

    private CameraDetector DetectorOf(PartitionAssignment assignment, string camera, ModelPackage package)
    {
        if (assignment.Detectors.TryGetValue(camera, out var known)) return known;
        var detector = new CameraDetector(camera, package, options.Detection);
        if (assignment.Restored.Remove(camera, out byte[]? state) && !detector.TryRestore(state)) Log.StateUnreadable(log, camera);
        if (assignment.Lost is { } lost) detector.ObserveLost(lost.From, lost.To);
        assignment.Detectors[camera] = detector;
        return detector;
    }

    private static partial class Log
    {
        [LoggerMessage(300, LogLevel.Information, "Alert {Type}: {Camera} {Kind} {Severity}: {Reason} (incident {Incident})")]
        public static partial void Alert(ILogger log, AlertType type, string camera, AlertKind kind, Severity severity, string reason, string incident);

        [LoggerMessage(301, LogLevel.Error, "The state record of camera {Camera} cannot be read; its detector begins anew.")]
        public static partial void StateUnreadable(ILogger log, string camera);
    }
}
