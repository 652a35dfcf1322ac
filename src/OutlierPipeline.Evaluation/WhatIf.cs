using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Evaluation;

/// <summary>What other settings would have done with the same scores.</summary>
/// <param name="Cameras">Cameras, or sets and drives of an evaluation.</param>
/// <param name="CameraDays">Time that they were watched, gaps left out.</param>
/// <param name="Incidents">Incidents that open.</param>
/// <param name="Delays">Of each camera, frames before its first incident; null where none opens.</param>
public sealed record WhatIf(int Cameras, double CameraDays, int Incidents, IReadOnlyDictionary<string, int?> Delays)
{
    /// <summary>Runs the detector over stored scores, without the network.</summary>
    public static WhatIf Run(IEnumerable<StoredScore> scores, ModelPackage package, DetectionOptions options)
    {
        var detectors = new Dictionary<string, (CameraDetector Detector, int Frames, long Last)>();
        var delays = new Dictionary<string, int?>();
        var alerts = new List<AlertStep>();
        double seconds = 0;
        int incidents = 0;
        foreach (var score in scores)
        {
            if (!detectors.TryGetValue(score.Camera, out var known))
                known = (new CameraDetector(score.Camera, package, options), 0, score.TimestampNanoseconds);
            double gap = UnixNanoseconds.SecondsBetween(known.Last, score.TimestampNanoseconds);
            if (gap > 0 && gap < options.DriveGap.TotalSeconds) seconds += gap;
            var frame = new FrameRef("", 0, known.Frames, score.TimestampNanoseconds);
            known.Detector.Observe(new FrameObservation { Frame = frame, Scores = score.Scores, ErrorMap = [], Pixels = [] }, alerts);
            incidents += alerts.Count(alert => alert.Type == AlertType.Opened);
            if (!delays.TryGetValue(score.Camera, out int? delay) || delay is null)
                delays[score.Camera] = known.Detector.HasOpenIncident ? known.Frames : null;
            alerts.Clear();
            detectors[score.Camera] = (known.Detector, known.Frames + 1, Math.Max(known.Last, score.TimestampNanoseconds));
        }
        return new WhatIf(detectors.Count, seconds / 86400, incidents, delays);
    }
}
