using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Whether the cameras of a model wander away from its calibration together; one monitor a model. For the detection thread.
/// </summary>
internal sealed class FleetDrift(IReadOnlyList<ModelPackage> packages, PipelineOptions options, TimeProvider time)
{
    private readonly Dictionary<string, DriftMonitor> _monitors = packages.DistinctBy(package => package.Digest)
        .ToDictionary(package => package.Digest, package => new DriftMonitor(package, options.Kafka.GroupId, options.Detection));

    /// <summary>Takes over what a restored partition knows of the fleet.</summary>
    public void Enter(PartitionAssignment assignment)
    {
        foreach (var monitor in _monitors.Values)
        {
            if (assignment.Reserved.TryGetValue(monitor.Key, out var record)) monitor.Merge(record.Value);
        }
    }

    /// <summary>Takes one camera's frame; what changes for the fleet is the step that is returned.</summary>
    public AlertStep? Observe(PartitionAssignment assignment, FrameRef at, CameraDetector detector, in Verdict verdict)
    {
        if (verdict.IsReplayed) return null;
        var package = detector.Package;
        var monitor = _monitors[package.Digest];
        var (mean, span) = detector.TrackDrift(verdict.PValue, options.Detection.DriftAfter);
        bool changed = monitor.Observe(detector.Camera, mean, span, time.GetUtcNow());
        detector.IsDrifting = monitor.IsDrifting;
        if (monitor.Episode > 0) assignment.Reserve(monitor.Key, monitor.ToRecord());
        if (!changed) return null;
        string fleet = $"fleet:{package.Card.Name}";
        string remedy = $"outlier calibrate --model {package.Path} --frames FOOTAGE";
        // Opened and closed again and again, it is another incident each time.
        return monitor.IsDrifting
            ? new AlertStep(AlertType.Opened, monitor.Incident, 1, fleet, AlertKind.Drift, Severity.Info, at, at, null,
                AlertText.FleetDrifts(package.Card.Name, options.Detection.DriftAfter, remedy))
            : new AlertStep(AlertType.Closed, monitor.Incident, 2, fleet, AlertKind.Drift, Severity.Info, at, at, null,
                AlertText.FleetIsWell)
            { Closed = CloseReason.Calm };
    }
}
