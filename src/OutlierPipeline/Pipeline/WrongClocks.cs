using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>The cameras whose clock is wrong, and what is logged of them. Written by the detection thread, read by any.</summary>
internal sealed partial class WrongClocks(TimeProvider time, ILogger log)
{
    private const int MaxLines = 50;

    private readonly ConcurrentDictionary<string, (PartitionAssignment Assignment, CameraDetector Detector)> _cameras = [];
    private long _toldSince;
    private int _told;

    /// <summary>What is wrong with each of them now, and for how many frames it was.</summary>
    public IReadOnlyList<(string Camera, ClockFault Fault, long Frames)> Now =>
        [.. _cameras.Where(IsKnown).Select(entry => (entry.Key, entry.Value.Detector.ClockFault, entry.Value.Detector.ClockCorrections))
        .OrderBy(entry => entry.Key, StringComparer.Ordinal)];

    /// <summary>Takes what a camera's last frame told of its clock.</summary>
    public void Note(PartitionAssignment assignment, CameraDetector detector)
    {
        if (detector.LastClockFault is not ClockFault.None and var fault) PipelineTelemetry.CountClockCorrected(fault);
        if (detector.ClockFault != ClockFault.None) _cameras[detector.Camera] = (assignment, detector);
        if (!detector.ClockChanged) return;
        if (detector.ClockFault == ClockFault.None) Forget(detector.Camera);
        // Ids are what somebody sends: so many lines a minute, and no more.
        if (time.GetElapsedTime(_toldSince) > TimeSpan.FromMinutes(1)) (_toldSince, _told) = (time.GetTimestamp(), 0);
        if (++_told > MaxLines) return;
        if (detector.ClockFault == ClockFault.None) Log.ClockWell(log, detector.Camera);
        else Log.ClockWrong(log, detector.Camera, ClockWatch.Describe(detector.ClockFault));
    }

    public void Forget(string camera) => _cameras.TryRemove(camera, out _);

    /// <summary>Forgets cameras that another process watches now, or nobody.</summary>
    public void ForgetUnknown()
    {
        foreach (var gone in _cameras.Where(entry => !IsKnown(entry))) Forget(gone.Key);
    }

    /// <summary>Whether a camera's detector is still the one that watches it.</summary>
    private static bool IsKnown(KeyValuePair<string, (PartitionAssignment Assignment, CameraDetector Detector)> entry)
    {
        var (assignment, detector) = entry.Value;
        lock (assignment.Gate) return assignment.IsCurrent && assignment.Detectors.GetValueOrDefault(entry.Key) == detector;
    }

    private static partial class Log
    {
        [LoggerMessage(302, LogLevel.Warning, "The clock of camera {Camera}: {Fault}.")]
        public static partial void ClockWrong(ILogger log, string camera, string fault);

        [LoggerMessage(303, LogLevel.Information, "The clock of camera {Camera} is in order again.")]
        public static partial void ClockWell(ILogger log, string camera);
    }
}
