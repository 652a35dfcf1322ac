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
    private static readonly byte[] AlertContentType = System.Text.Encoding.ASCII.GetBytes(AlertEvent.ContentType);
    private readonly List<AlertStep> _alerts = [];

    /// <summary>An alert was produced; for whoever shows it in the same process.</summary>
    public Action<AlertStep> Alerted { get; set; } = _ => { };

    /// <summary>Runs until the channel is complete.</summary>
    public void Run()
    {
        using var reader = new BlockingReader<MicroBatch>(batches);
        using var records = new ScoreRecord();
        while (reader.Read(out var batch))
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
            if (frame.IsSkipped)
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
                publisher.Publish(frame, options.Kafka.ScoresTopic, records.Scored(frame.Camera!, at, batch.Package.Card, scores, verdict));
                PipelineTelemetry.CountScored(batch.Package.Card.Name);
            }
            if (verdict.IsReplayed) PipelineTelemetry.CountReplayed();
            foreach (var alert in _alerts) Publish(frame, alert, batch, slot, scores, verdict);
            assignment.Ledger.MarkProcessed(frame.Offset);
        }
        publisher.Complete(frame);
    }

    private void Publish(Frame frame, AlertStep alert, MicroBatch batch, int slot, ReadOnlySpan<float> scores, in Verdict verdict)
    {
        var network = batch.Package.Card.Network;
        byte[] picture = alert.Type == AlertType.Opened && slot >= 0 && !scores.IsEmpty
            ? AlertPicture.Encode(batch.Tensor.Pixels(slot), network.Size, batch.Tensor.ErrorMap(slot), network.ErrorMapHeight, network.ErrorMapWidth)
            : [];
        publisher.Publish(frame, options.Kafka.AlertsTopic, AlertEvent.Write(alert, batch.Package, scores, verdict, picture), new Headers { { "content-type", AlertContentType } });
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
