using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>Configuration section <c>Detection</c>.</summary>
public sealed record DetectionOptions
{
    private readonly double? _falseAlarmProbability;

    /// <summary>
    /// False incidents of one camera that never stops, a day, that are permitted on average. A bound while its frames are exchangeable with
    /// the calibration's; those of a new drive are not.
    /// </summary>
    public double FalseAlarmsPerCameraDay { get; init; } = 0.1;

    /// <summary>
    /// The same for one observation: an incident opens when the evidence against "this frame is normal" reaches one over this probability.
    /// Follows from <see cref="FalseAlarmsPerCameraDay"/> unless it is given.
    /// </summary>
    public double FalseAlarmProbability
    {
        get => _falseAlarmProbability ?? FalseAlarmsPerCameraDay / ObservationsPerDay;
        init => _falseAlarmProbability = value;
    }

    /// <summary>
    /// What began suddenly and stays is taken for what the camera shows after this time; after up to five times as long where the drive has
    /// lasted for many minutes before.
    /// </summary>
    public TimeSpan AbsorbAfter { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Whether to watch each camera for what covers a place of the picture, such as dirt or a drop. Takes about 0.2 MiB of memory for a
    /// camera that sends.
    /// </summary>
    public bool Obstructions { get; init; } = true;

    /// <summary>How long a trouble may last before its incident is open. Start-up warns when the calibration is too small for it.</summary>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>An incident closes when its camera has been calm for this long.</summary>
    public TimeSpan CloseAfter { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>A picture that does not change for this long (and five frames) is frozen.</summary>
    public TimeSpan FrozenAfter { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// A camera whose id fits the pattern is silent when it sends nothing for so long. Cars are parked, so no camera is watched by default.
    /// </summary>
    public Dictionary<string, TimeSpan> SilentAfter { get; init; } = [];

    /// <summary>
    /// A longer time between two frames of a camera ends the drive. The evidence starts again from nothing and an open incident closes.
    /// </summary>
    public TimeSpan DriveGap { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// The fleet drifts when most cameras of a model, five at least, have low p-values for so long. Then the model should be recalibrated.
    /// </summary>
    public TimeSpan DriftAfter { get; init; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Whether a calibration of the level by the deployment's own normal drives is taken over by itself, once it is ready and its drives
    /// lie a day apart. Otherwise it is proposed, and somebody takes it over.
    /// </summary>
    public bool CalibrateItself { get; init; }

    /// <summary>Patterns of cameras that are scored and shown, and never alerted on.</summary>
    public List<string> Shadow { get; init; } = [];

    /// <summary>So many frames of a camera in a row that cannot be decoded are an incident.</summary>
    public int UndecodableFrames { get; init; } = 10;

    /// <summary>The state of a camera that sent nothing for this long is deleted.</summary>
    public TimeSpan ForgetAfter { get; init; } = TimeSpan.FromDays(7);

    /// <summary>
    /// The shortest time from the start of a trouble to its incident by the martingale alone, when every frame is stranger than all of the
    /// calibration: the p-value cannot be smaller than 1/(n+1), so few calibration frames make it long.
    /// </summary>
    public TimeSpan ShortestDelay(Calibration calibration)
    {
        double bet = Martingale.LevelBet(calibration, calibration.SmallestPValue, null);
        var independent = calibration.Pace is { } pace ? TimeSpan.FromSeconds(pace.Seconds) : Martingale.Decorrelation;
        return bet <= 0 ? Timeout.InfiniteTimeSpan : independent * (-Math.Log(FalseAlarmProbability) / bet);
    }

    /// <summary>
    /// Bound on the expected number of false incidents of one camera that never stops, a day, while its frames are exchangeable with the
    /// calibration's.
    /// </summary>
    /// <remarks>
    /// A CUSUM of bets alarms falsely after 1/α independent observations on average, or later (Shin, Ramdas and Rinaldo, E-detectors, 2023,
    /// prop. 2.4).
    /// </remarks>
    public double FalseIncidentsPerCameraDay => FalseAlarmProbability * ObservationsPerDay;

    private static double ObservationsPerDay => TimeSpan.FromDays(1) / Martingale.Decorrelation;

    /// <summary>How long a camera may be silent, or null where that is no incident.</summary>
    public TimeSpan? SilentAfterFor(string camera) => CameraPattern.Longest(SilentAfter.Keys, camera) is { } pattern
        ? SilentAfter[pattern]
        : null;

    /// <summary>Whether a camera is never alerted on.</summary>
    public bool IsShadow(string camera) => CameraPattern.Longest(Shadow, camera) is not null;

    /// <summary>Messages for what is out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (!(FalseAlarmsPerCameraDay is > 0 and <= 1000))
            yield return $"Detection:FalseAlarmsPerCameraDay is {FalseAlarmsPerCameraDay}; " +
                $"expected more than 0 and at most 1000, such as 0.1";
        if (AbsorbAfter <= TimeSpan.Zero || AbsorbAfter > TimeSpan.FromHours(1))
            yield return $"Detection:AbsorbAfter is {AbsorbAfter}; expected more than 0 and at most 01:00:00";
        if (!(FalseAlarmProbability is > 0 and < 0.5)) yield return $"Detection:FalseAlarmProbability is {FalseAlarmProbability}; " +
            $"expected more than 0 and less than 0.5, such as 1e-6";
        if (MaxDelay <= TimeSpan.Zero || MaxDelay > TimeSpan.FromHours(1))
            yield return $"Detection:MaxDelay is {MaxDelay}; expected more than 0 and at most 01:00:00";
        foreach (var (pattern, time) in SilentAfter.Where(entry => entry.Value <= TimeSpan.Zero))
            yield return $"Detection:SilentAfter:{pattern} is {time}; expected more than 0, such as 00:00:10";
        if (DriftAfter <= TimeSpan.Zero) yield return $"Detection:DriftAfter is {DriftAfter}; expected more than 0, such as 01:00:00";
        if (DriveGap <= TimeSpan.Zero) yield return $"Detection:DriveGap is {DriveGap}; expected more than 0, such as 00:05:00";
        if (CloseAfter <= TimeSpan.Zero || CloseAfter > TimeSpan.FromHours(1))
            yield return $"Detection:CloseAfter is {CloseAfter}; expected more than 0 and at most 01:00:00";
        if (FrozenAfter <= TimeSpan.Zero || FrozenAfter > TimeSpan.FromHours(1))
            yield return $"Detection:FrozenAfter is {FrozenAfter}; expected more than 0 and at most 01:00:00";
        if (UndecodableFrames is < 2 or > 100_000)
            yield return $"Detection:UndecodableFrames is {UndecodableFrames}; expected 2 to 100000 frames";
        if (ForgetAfter < TimeSpan.FromMinutes(1)) yield return $"Detection:ForgetAfter is {ForgetAfter}; expected at least 00:01:00";
    }
}
