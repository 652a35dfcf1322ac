using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;

namespace OutlierPipeline.Pipeline;

/// <summary>Cameras of which nothing has come for their time, by the partition's own clock. For the detection thread.</summary>
internal sealed class AbsenceWatch(DetectionOptions options, AlertPublisher alerts, WrongClocks clocks, TimeProvider time)
{
    private readonly List<AlertStep> _steps = [];
    private readonly List<string> _idle = [];

    /// <summary>Looks through a partition's cameras; under its gate.</summary>
    /// <param name="detectorOf">Makes the detector of a camera that is known by its state alone.</param>
    public void Examine(PartitionAssignment assignment, Func<string, CameraDetector> detectorOf)
    {
        if (!assignment.Watch.HasCaughtUp && !assignment.IsReset) return;
        // Cameras that fell silent before this process took over are known by their state alone.
        foreach (string camera in assignment.WakeAbsent(camera => options.SilentAfterFor(camera) is not null)) detectorOf(camera);
        var watched = assignment.Watch.Watched;
        var forget = time.GetUtcNow() - options.ForgetAfter;
        var (topic, partition) = (assignment.Partition.Topic, assignment.Partition.Partition.Value);
        _idle.Clear();
        foreach (var (camera, detector) in assignment.Detectors)
        {
            _steps.Clear();
            if (detector.HasOpenIncident && detector.WrittenAt < forget && !detector.Changed) detector.Forget(topic, partition, _steps);
            else detector.ObserveAbsence(topic, partition, watched, _steps);
            if (!detector.IsShadow) foreach (var step in _steps) alerts.PublishAlone(assignment, camera, step, detector.Package);
            if (detector.IsIdle(watched)) _idle.Add(camera);
        }
        foreach (string camera in _idle)
        {
            assignment.Rest(camera);
            clocks.Forget(camera);
        }
    }
}
