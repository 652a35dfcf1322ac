using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Detection;

/// <summary>What a detector remembers of its camera, frame by frame: the value of a record of <c>ood.state</c>, at most 2 KiB.</summary>
public sealed class DetectorState
{
    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    public int Schema { get; set; } = 1;

    /// <summary>Digest of the graph and the calibration: evidence counts for these alone.</summary>
    public required string Digest { get; set; }

    /// <summary>Frames below it have been seen.</summary>
    public long NextOffset { get; set; }

    /// <summary>Time of the latest frame as stated, Unix nanoseconds.</summary>
    public long Timestamp { get; set; }

    /// <summary>The latest record's timestamp, Unix milliseconds.</summary>
    public long Produced { get; set; }

    /// <summary>The camera's time without the faults of its clock, in nanoseconds. Records of older versions have none.</summary>
    public long Clock { get; set; }

    /// <summary>What was last told to be wrong with the camera's clock.</summary>
    public ClockFault ClockFault { get; set; }

    /// <summary>When this record was written, Unix seconds.</summary>
    public long WrittenSeconds { get; set; }

    /// <summary>The martingale's natural logarithm.</summary>
    public double Evidence { get; set; }

    /// <summary>The same bets turned round: evidence that the camera is normal again.</summary>
    public double Calm { get; set; }

    /// <summary>The first frame of the evidence, if there is any.</summary>
    public FrameRef? EvidenceFrom { get; set; }

    /// <summary>XxHash3 of samples of the picture that stands.</summary>
    public ulong Picture { get; set; }

    /// <summary>Since when that picture stands.</summary>
    public FrameRef? PictureFrom { get; set; }

    /// <summary>How many frames showed it.</summary>
    public int PictureFrames { get; set; }

    /// <summary>Frames in a row that could not be decoded, and the first of them.</summary>
    public int Undecodable { get; set; }

    public FrameRef? UndecodableFrom { get; set; }

    /// <summary>The strangest cell of the error map, and for how many frames of the evidence it has been that one or a neighbour.</summary>
    public int Cell { get; set; }

    public int CellFrames { get; set; }

    /// <summary>Whether the camera was ever normal: one that never was does not fit the model.</summary>
    public bool WasCalm { get; set; }

    /// <summary>The evidence by conformal p-values alone, without the tail's extrapolation.</summary>
    public double Guaranteed { get; set; }

    /// <summary>What the onset test remembers; null where the package has none, and in records of older versions.</summary>
    public OnsetMemory? Onset { get; set; }

    /// <summary>Whether one frame is all that was ever seen of the camera.</summary>
    public bool Once { get; set; }

    /// <summary>
    /// The mean p-value of late, and over how many seconds of the camera's time it was taken: what it tells of the fleet's drift.
    /// </summary>
    public double DriftMean { get; set; }

    public double DriftSeconds { get; set; }

    /// <summary>
    /// A place of the picture that something covers while the rest moves: left, top, width and height in 255ths of the picture.
    /// </summary>
    public byte[]? Spot { get; set; }

    public OpenIncident? Incident { get; set; }

    /// <summary>Takes one frame's p-value into the mean.</summary>
    /// <param name="step">Since the frame before.</param>
    /// <param name="window">The mean forgets within it, by time and not by frames.</param>
    internal (double Mean, TimeSpan For) TrackDrift(double p, TimeSpan step, TimeSpan window)
    {
        if (step > window || DriftSeconds == 0) (DriftMean, DriftSeconds) = (p, 0);
        double share = 1 - Math.Exp(-step / (0.5 * window));
        DriftMean += share * (p - DriftMean);
        DriftSeconds = Math.Min(DriftSeconds + step.TotalSeconds, 2 * window.TotalSeconds);
        return (DriftMean, TimeSpan.FromSeconds(DriftSeconds));
    }

    internal byte[] ToRecord() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    internal void Write(IBufferWriter<byte> writer)
    {
        using var json = new Utf8JsonWriter(writer);
        JsonSerializer.Serialize(json, this, Json);
    }

    /// <summary>The state in a record; null if it cannot be read.</summary>
    internal static DetectorState? Read(ReadOnlySpan<byte> record)
    {
        try
        {
            return JsonSerializer.Deserialize<DetectorState>(record, Json) is { Schema: 1 } state ? state : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Whether a written state is older than a time and has no open incident; one that cannot be read is.</summary>
    internal static bool IsOld(ReadOnlySpan<byte> record, DateTimeOffset before) =>
        Read(record) is not { } state || state.Incident is null && state.WrittenSeconds < before.ToUnixTimeSeconds();
}

/// <summary>An incident that has opened and not closed.</summary>
public sealed record OpenIncident(string Id, AlertKind Kind, Severity Severity, int Step, FrameRef First, string? FiredScore,
    long LastStrange, double Strongest, AlertTest? Test = null)
{
    /// <summary>Whether it is a place that something covers: no score has fired.</summary>
    internal bool IsSpot => Kind == AlertKind.Obstruction && FiredScore is null;
}
