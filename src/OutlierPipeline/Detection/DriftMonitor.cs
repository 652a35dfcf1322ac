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

    private readonly Dictionary<string, Watched> _cameras = [];
    private DateTimeOffset _examined;

    public ModelPackage Package { get; } = package;

    public bool IsDrifting { get; private set; }

    /// <summary>Id of the drift's incident, derived from the frame that showed it.</summary>
    public string Incident { get; set; } = "";

    /// <summary>Takes one frame's p-value; true when the fleet has begun or ceased to drift.</summary>
    /// <param name="step">The time since the camera's frame before. Stamps of different cameras are not compared: their clocks differ.</param>
    /// <param name="now">By the clock of this process.</param>
    public bool Observe(string camera, double p, TimeSpan step, DateTimeOffset now)
    {
        var window = options.DriftAfter;
        if (!_cameras.TryGetValue(camera, out var known) || step > window) known = new Watched(p, TimeSpan.Zero, now);
        // A mean that forgets within the window, by time and not by frames.
        double share = 1 - Math.Exp(-step / (0.5 * window));
        _cameras[camera] = new Watched(known.Mean + share * (p - known.Mean), known.For + step, now);
        if (now - _examined < window / 100) return false;
        _examined = now;
        return Examine(now, window);
    }

    private bool Examine(DateTimeOffset now, TimeSpan window)
    {
        foreach (string gone in _cameras.Where(camera => now - camera.Value.SeenAt > window).Select(camera => camera.Key).ToArray()) _cameras.Remove(gone);
        double[] means = [.. _cameras.Values.Where(camera => camera.For >= window).Select(camera => camera.Mean)];
        if (means.Length < MinCameras) return false;
        bool drifts = IsDrifting ? means.Count(mean => mean < Well) > means.Length / 2 : means.Count(mean => mean < Low) > means.Length / 2;
        bool changed = drifts != IsDrifting;
        IsDrifting = drifts;
        return changed;
    }

    /// <summary>A camera's mean p-value, over how much of its time it was taken, and when it was last seen.</summary>
    private readonly record struct Watched(double Mean, TimeSpan For, DateTimeOffset SeenAt);
}
