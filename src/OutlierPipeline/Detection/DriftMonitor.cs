using OutlierPipeline.Inference;

namespace OutlierPipeline.Detection;

/// <summary>
/// Watches whether the p-values of a whole fleet wander: a season, another batch of cameras. Normal p-values average one half; where those of most cameras stay low for long, it
/// is not the cameras that are strange but the calibration that is old. Not thread-safe.
/// </summary>
/// <param name="package">The cameras of one model.</param>
internal sealed class DriftMonitor(ModelPackage package, DetectionOptions options)
{
    /// <summary>Mean p-value below which a camera has wandered.</summary>
    private const double Low = 0.2;

    /// <summary>Above this most cameras are well again.</summary>
    private const double Well = 0.35;

    /// <summary>Fewer cameras are no fleet.</summary>
    private const int MinCameras = 5;

    private readonly Dictionary<string, (double Mean, long First, long Last)> _cameras = [];
    private long _examined;

    public ModelPackage Package { get; } = package;

    public bool IsDrifting { get; private set; }

    /// <summary>Id of the drift's incident, derived from the frame that showed it.</summary>
    public string Incident { get; set; } = "";

    /// <summary>Takes one frame's p-value; true when the fleet has begun or ceased to drift.</summary>
    public bool Observe(string camera, double p, long timestampNanoseconds)
    {
        long window = (long)options.DriftAfter.TotalNanoseconds;
        if (!_cameras.TryGetValue(camera, out var known) || timestampNanoseconds - known.Last > window) known = (p, timestampNanoseconds, timestampNanoseconds);
        // A mean that forgets within the window, by time and not by frames.
        double share = 1 - Math.Exp(-Math.Max(0, timestampNanoseconds - known.Last) / (0.5 * window));
        _cameras[camera] = (known.Mean + share * (p - known.Mean), known.First, Math.Max(known.Last, timestampNanoseconds));
        if (timestampNanoseconds - _examined < window / 100) return false;
        _examined = timestampNanoseconds;
        return Examine(timestampNanoseconds, window);
    }

    private bool Examine(long now, long window)
    {
        foreach (string gone in _cameras.Where(camera => now - camera.Value.Last > window).Select(camera => camera.Key).ToArray()) _cameras.Remove(gone);
        double[] means = [.. _cameras.Values.Where(camera => camera.Last - camera.First >= window).Select(camera => camera.Mean)];
        if (means.Length < MinCameras) return false;
        bool drifts = IsDrifting ? means.Count(mean => mean < Well) > means.Length / 2 : means.Count(mean => mean < Low) > means.Length / 2;
        bool changed = drifts != IsDrifting;
        IsDrifting = drifts;
        return changed;
    }
}
