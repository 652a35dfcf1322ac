using System.Threading.Channels;
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
/// <param name="packageOf">The package of a camera.</param>
internal sealed partial class DetectionWorker(ChannelReader<FrameBatch> batches, PartitionTable partitions, ResultPublisher publisher,
    AlertPublisher alerts, FleetDrift drift, WrongClocks clocks, Func<string, ModelPackage> packageOf, PipelineOptions options,
    TimeProvider time, ILogger log)
{
    /// <summary>How often absent cameras are looked for.</summary>
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);

    private readonly List<AlertStep> _alerts = [];
    private readonly CameraAdmission _admission = new(partitions, options.Kafka.MaxCameras);
    private readonly AbsenceWatch _absence = new(options.Detection, alerts, clocks, time);

    /// <summary>What became of each frame; for whoever shows it in the same process.</summary>
    public FrameObserver? Observed { get; set; }

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
            clocks.ForgetUnknown();
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
            if (_admission.IsAdmitted(assignment, frame.Camera!))
            {
                Watch(frame, slot, batch, records);
            }
            else
            {
                frame.Error = FrameError.TooManyCameras;
                publisher.DeadLetter(frame);
            }
            assignment.Ledger.MarkProcessed(frame.Offset);
        }
        publisher.Complete(frame);
    }

    /// <summary>The camera's detector observes the frame, and what it says is published.</summary>
    private void Watch(ConsumedFrame frame, int slot, FrameBatch batch, ScoreRecord records)
    {
        using var span = PipelineTelemetry.StartFrameSpan("detect", frame.Trace);
        var assignment = frame.Assignment;
        var detector = DetectorOf(assignment, frame.Camera!, batch.Package);
        if (assignment.Published.TryGetValue(frame.Camera!, out long next))
        {
            if (frame.Offset < next)
            {
                // Its results were committed with the state, though the partition's offset lies behind: lanes differ in speed.
                PipelineTelemetry.CountReplayed();
                return;
            }
            assignment.Published.Remove(frame.Camera!);
        }
        var at = new FrameRef(assignment.Partition.Topic, assignment.Partition.Partition.Value, frame.Offset, frame.TimestampNanoseconds);
        var now = time.GetUtcNow();
        var record = new RecordTime(frame.ProducedMilliseconds, now, frame.ClockFault, !frame.IsStamped);
        detector.MarkSeen(assignment.Watch.WatchedAt(now));
        _alerts.Clear();
        var scores = ReadOnlySpan<float>.Empty;
        Verdict verdict = default;
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
                var observation = new FrameObservation
                {
                    Frame = at,
                    Record = record,
                    Scores = scores,
                    ErrorMap = batch.Memory.ErrorMap(slot),
                    Latent = batch.Memory.Latent(slot),
                    Second = batch.Second(slot),
                    Profile = batch.Memory.Profile(slot),
                    Pixels = batch.Memory.Pixels(slot),
                    Encoded = frame.Encoded,
                };
                verdict = detector.Observe(observation, _alerts);
                publisher.Publish(frame, options.Kafka.ScoresTopic,
                    records.Scored(frame.Camera!, at, batch.Package, scores, batch.Second(slot), verdict, detector.Incident,
                        detector.IsShadow));
                PipelineTelemetry.CountScored(batch.Package.Card.Name);
                if (drift.Observe(assignment, at, detector, verdict) is { } step)
                    alerts.PublishAlone(assignment, step.Camera, step, batch.Package);
                if (!verdict.IsReplayed) Observed?.Invoke(observation, verdict, detector);
                break;
        }
        if (verdict.IsReplayed) PipelineTelemetry.CountReplayed();
        else clocks.Note(assignment, detector);
        if (!detector.IsShadow) alerts.Publish(frame, _alerts, batch, slot, scores, verdict);
    }

    /// <summary>Tells the detectors of frames that expired unread, once everything before them was seen.</summary>
    /// <param name="next">Of the frame that is seen next.</param>
    private static void TellLost(PartitionAssignment assignment, long next)
    {
        if (assignment.Lost is not { } lost || assignment.LostTold == lost || next < lost.From) return;
        assignment.LostTold = lost;
        foreach (var detector in assignment.Detectors.Values) detector.ObserveLost(lost.From, lost.To);
    }

    private void FindAbsent(PartitionAssignment assignment)
    {
        lock (assignment.Gate)
        {
            if (!assignment.IsCurrent || !assignment.IsRestored) return;
            TellLost(assignment, assignment.Ledger.ProcessedFrontier);
            Enter(assignment);
            _absence.Examine(assignment, camera => DetectorOf(assignment, camera, packageOf(camera)));
        }
    }

    /// <summary>Takes over, once, what a restored partition brings with it.</summary>
    private void Enter(PartitionAssignment assignment)
    {
        if (assignment.IsEntered) return;
        assignment.IsEntered = true;
        _admission.Enter(assignment);
        drift.Enter(assignment);
    }

    private CameraDetector DetectorOf(PartitionAssignment assignment, string camera, ModelPackage package)
    {
        if (assignment.Detectors.TryGetValue(camera, out var known)) return known;
        var detector = new CameraDetector(camera, package, options.Detection, options.Frames.MaxClockSkew);
        if (assignment.Restored.Remove(camera, out byte[]? state) && !detector.TryRestore(state)) Log.StateUnreadable(log, camera);
        if (options.Kafka.Delivery == Delivery.ExactlyOnce && !assignment.IsReset && detector.NextOffset > assignment.Start)
            assignment.Published[camera] = detector.NextOffset;
        if (assignment.IsReset) detector.ForgetLog(assignment.Start);
        if (assignment.Lost is { } lost && assignment.LostTold == lost) detector.ObserveLost(lost.From, lost.To);
        assignment.Detectors[camera] = detector;
        return detector;
    }

    private static partial class Log
    {
        [LoggerMessage(301, LogLevel.Error, "The state record of camera {Camera} cannot be read; its detector starts afresh.")]
        public static partial void StateUnreadable(ILogger log, string camera);
    }
}
