using System.Globalization;
using System.Text;
using System.Text.Json;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>
/// Watches whether the p-values of a whole fleet wander: a season, another batch of cameras. Normal p-values average one half; where those
/// of most cameras stay low for long, it
/// is not the cameras that are strange but the calibration that is old. What each camera tells is part of its own state, and whether the
/// fleet drifts goes with every partition, so that
/// a restart or another replica goes on where it was. Not thread-safe.
/// </summary>
/// <param name="package">The cameras of one model.</param>
/// <param name="group">The consumer group: its replicas are one fleet's.</param>
internal sealed class DriftMonitor(ModelPackage package, string group, DetectionOptions options)
{
    /// <summary>
    /// Before the digest of a model, the key of what is kept in <c>ood.state</c>; its control character keeps it apart from cameras' ids.
    /// </summary>
    public const string KeyPrefix = "\0drift:";

    /// <summary>Mean p-value below which a camera has wandered.</summary>
    private const double Low = 0.2;

    /// <summary>Above this most cameras are well again.</summary>
    private const double Well = 0.35;

    /// <summary>Fewer cameras are no fleet.</summary>
    private const int MinCameras = 5;

    private readonly Dictionary<string, (double Mean, TimeSpan For, DateTimeOffset SeenAt)> _cameras = [];
    private DateTimeOffset _examined;
    private (int Episode, bool IsDrifting, byte[] Json) _record = (-1, false, []);

    public string Key { get; } = KeyPrefix + package.Digest;

    public bool IsDrifting { get; private set; }

    /// <summary>Drifts of the fleet so far; the same on all replicas.</summary>
    public int Episode { get; private set; }

    /// <summary>Id of the drift's incident: one for model, group and episode, whichever replica finds it.</summary>
    public string Incident =>
        ModelPackage.DigestOf(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
        $"drift\n{package.Digest}\n{group}\n{Episode}")))["sha256:".Length..][..32];

    /// <summary>Takes what one camera tells; true when the fleet has begun or ceased to drift.</summary>
    /// <param name="mean">Its mean p-value of late.</param>
    /// <param name="time">Over how much of its time that was taken. Stamps of different cameras are not compared: their clocks
    /// differ.</param>
    /// <param name="now">By the clock of this process.</param>
    public bool Observe(string camera, double mean, TimeSpan time, DateTimeOffset now)
    {
        var window = options.DriftAfter;
        _cameras[camera] = (mean, time, now);
        if (now - _examined < window / 100) return false;
        _examined = now;
        foreach (string gone in _cameras.Where(known => now - known.Value.SeenAt > window).Select(known => known.Key).ToArray())
            _cameras.Remove(gone);
        double[] means = [.. _cameras.Values.Where(known => known.For >= window).Select(known => known.Mean)];
        if (means.Length < MinCameras) return false;
        bool drifts = IsDrifting
            ? means.Count(known => known < Well) > means.Length / 2
            : means.Count(known => known < Low) > means.Length / 2;
        if (drifts == IsDrifting) return false;
        IsDrifting = drifts;
        if (drifts) Episode++;
        return true;
    }

    /// <summary>What goes with each partition that has cameras of the model.</summary>
    public byte[] ToRecord() => _record.Episode == Episode && _record.IsDrifting == IsDrifting
        ? _record.Json
        : (_record = (Episode, IsDrifting, Write())).Json;

    /// <summary>
    /// Takes over what a partition brings with it. A later episode is news; of the same one, an end that was told is an end.
    /// </summary>
    public void Merge(ReadOnlySpan<byte> record)
    {
        try
        {
            var reader = new Utf8JsonReader(record);
            var root = JsonDocument.ParseValue(ref reader).RootElement;
            int episode = root.GetProperty("episode").GetInt32();
            bool drifts = root.GetProperty("isDrifting").GetBoolean();
            if (episode > Episode) (Episode, IsDrifting) = (episode, drifts);
            else if (episode == Episode) IsDrifting &= drifts;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            // A record that cannot be read tells nothing.
        }
    }

    private byte[] Write() =>
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
        $$"""{"schema":1,"episode":{{Episode}},"isDrifting":{{(IsDrifting ? "true" : "false")}}}"""));
}
