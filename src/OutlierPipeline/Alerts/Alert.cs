using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Alerts;

/// <summary>What kind of trouble an incident is.</summary>
public enum AlertKind
{
    /// <summary>The whole picture is unlike the training footage: weather, light, place.</summary>
    Scene,

    /// <summary>Something stays in one place of the picture: dirt on the lens, dead rows.</summary>
    Obstruction,

    /// <summary>The picture does not change while time goes on.</summary>
    Frozen,

    /// <summary>The picture is strange and nearly black.</summary>
    Dark,

    /// <summary>The camera sends no frames.</summary>
    Silent,

    /// <summary>The camera sends what cannot be decoded.</summary>
    Undecodable,

    /// <summary>The whole fleet wanders away from the calibration.</summary>
    Drift,
}

/// <summary>Which test opened an incident.</summary>
public enum AlertTest
{
    /// <summary>The picture is unlike normal footage.</summary>
    Level,

    /// <summary>The picture is unlike what the same camera showed before.</summary>
    Onset,
}

/// <summary>What calibrated a test.</summary>
/// <param name="Name"><c>bootstrap</c>: training footage; <c>deployment</c>: the cameras' own normal drives.</param>
/// <param name="Drives">How many drives of the cameras' own; null for training footage.</param>
public sealed record CalibrationOrigin(string Name, int? Drives);

/// <summary>What to do about an incident: docs/severity.md.</summary>
public enum Severity
{
    /// <summary>Recalibrate.</summary>
    Info,

    /// <summary>Look today.</summary>
    Warning,

    /// <summary>Act now: sustained and gross.</summary>
    Critical,
}

/// <summary>The steps of an incident's life.</summary>
public enum AlertType
{
    Opened,
    Escalated,
    Closed,
}

/// <summary>Why an incident closed.</summary>
public enum CloseReason
{
    /// <summary>The camera is normal again.</summary>
    Calm,

    /// <summary>It has stayed for so long that it is what the camera shows now.</summary>
    Absorbed,

    /// <summary>The drive is over, by a record that says so or by a long gap.</summary>
    DriveEnded,
}

/// <summary>A place in the picture as the model sees it, in shares of its width and height.</summary>
public readonly record struct PictureRegion(double X, double Y, double Width, double Height)
{
    /// <summary>The strangest place of an error map, <c>[h, w]</c>; null where there is none.</summary>
    internal static PictureRegion? Strangest(ReadOnlySpan<float> errorMap, NetworkCard network)
    {
        if (errorMap.IsEmpty) return null;
        int cell = StrangestCell(errorMap);
        double width = network.ErrorMapWidth;
        double height = network.ErrorMapHeight;
        return new PictureRegion(cell % network.ErrorMapWidth / width, cell / network.ErrorMapWidth / height, 1 / width, 1 / height);
    }

    /// <summary>The number of an error map's largest cell; 0 in an empty one.</summary>
    internal static int StrangestCell(ReadOnlySpan<float> errorMap)
    {
        int largest = 0;
        for (int i = 1; i < errorMap.Length; i++)
        {
            if (errorMap[i] > errorMap[largest]) largest = i;
        }
        return largest;
    }
}

/// <summary>One frame's place in Kafka and in time (Unix nanoseconds), as the camera states it.</summary>
public readonly record struct FrameRef(string Topic, int Partition, long Offset, long TimestampNanoseconds)
{
    /// <summary>
    /// The camera's time without the faults of its clock, in nanoseconds; only differences mean something. 0 where it is the stated one.
    /// </summary>
    public long Clock { get; init; }

    /// <summary>The time that passed from another frame of the camera to this one.</summary>
    public TimeSpan Since(FrameRef earlier) => UnixNanoseconds.ToDuration(Time - earlier.Time);

    private long Time => Clock != 0 ? Clock : TimestampNanoseconds;
}

/// <summary>One step of an incident, to be published.</summary>
/// <param name="Incident">The incident's id, the same in all its steps.</param>
/// <param name="Step">1 for the opening, then counting.</param>
/// <param name="First">The first frame of the evidence.</param>
/// <param name="Last">The frame at which the step was taken.</param>
/// <param name="FiredScore">The score that was strangest on its own, or null where no score fired.</param>
/// <param name="Reason">A readable sentence.</param>
public sealed record AlertStep(AlertType Type, string Incident, int Step, string Camera, AlertKind Kind, Severity Severity, FrameRef First,
    FrameRef Last, string? FiredScore, string Reason)
{
    /// <summary>Why it closed; null before.</summary>
    public CloseReason? Closed { get; init; }

    /// <summary>
    /// Whether the evidence rests on the extrapolated tail: by conformal p-values alone it would not be enough. Null where no score fired.
    /// </summary>
    public bool? IsExtrapolated { get; init; }

    /// <summary>Which test opened the incident; null where no score fired, or the package knows one test alone.</summary>
    public AlertTest? Test { get; init; }

    /// <summary>What calibrated that test; null where no score fired, the incident has closed, or the package does not say.</summary>
    public CalibrationOrigin? Calibration { get; init; }

    /// <summary>The strangest place of the last frame; null where no picture was scored.</summary>
    public PictureRegion? Where { get; init; }

    /// <summary>How many times its normal spread the score that fired lies above its normal median; null where no score fired.</summary>
    public double? Strangeness { get; init; }

    /// <summary>What the picture looks like; null where no score fired, the package has no causes, or the incident has closed.</summary>
    public Cause? Cause { get; init; }

    /// <summary>
    /// The dimensions of the code along which the strange frames are most unusual; empty where no score fired, the code is normal, the
    /// package does not know where its codes lie, or the incident has closed.
    /// </summary>
    public IReadOnlyList<UnusualDimension> Along { get; init; } = [];

    /// <summary>The CloudEvent's id: what is published twice carries the same.</summary>
    public string EventId => $"{Incident}-{Step}";
}

/// <summary>What the detector says of one frame.</summary>
/// <param name="PValue">The level's: conformal p-value of the combined score; NaN without a score.</param>
/// <param name="TailPValue">The p-value by the tail's fit where that is smaller than ranks among the calibration can say, else null:
/// extrapolated, and no part of any guarantee.</param>
/// <param name="Martingale">Evidence against normality, as a base-10 logarithm: 6 is odds of a million to one.</param>
/// <param name="IsOutlier">Whether an incident is open.</param>
/// <param name="IsReplayed">The frame was seen before; the evidence is that of later frames.</param>
public readonly record struct Verdict(double PValue, double? TailPValue, double Martingale, bool IsOutlier, bool IsReplayed)
{
    /// <summary>The combined score, which the p-value ranks; NaN without a score.</summary>
    public double Score { get; init; } = double.NaN;

    /// <summary>
    /// The deviation from the camera's own recent frames, in units of normal ones, and its p-value; null where the package has no onset
    /// test, or too few frames were seen.
    /// </summary>
    public double? Onset { get; init; }

    /// <inheritdoc cref="Onset"/>
    public double? OnsetPValue { get; init; }
}
