using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>How p-values become evidence.</summary>
/// <remarks>
/// The power bet ε·p^(ε−1), whose expectation is 1 while p-values are uniform (Vovk, Nouretdinov and Gammerman, ICML 2003). Neighbouring
/// frames are
/// nearly the same evidence: a bet's logarithm is weighted by the time since the frame before, and counts fully after
/// <see cref="Decorrelation"/>; a bet to
/// a power below 1 still has an expectation of at most 1 (Jensen).
/// </remarks>
internal static class Martingale
{
    private const double Epsilon = 0.1;

    /// <summary>No single frame bets on less, however far the tail's fit goes.</summary>
    public const double SmallestExtrapolated = 1e-6;

    /// <summary>Evidence beyond this adds nothing; e^100.</summary>
    public const double Max = 100;

    /// <summary>
    /// From here on frames count as independent. Chosen on 40 minutes of normal frames at 10 a second, whose evidence then rose to 7.3
    /// nats, what independent frames would have reached
    /// too; it takes 13.8 to open an incident at odds of a million.
    /// </summary>
    public static readonly TimeSpan Decorrelation = TimeSpan.FromMilliseconds(125);

    /// <summary>
    /// The same of the level while it is calibrated on training footage that was left out: a new drive moves all of its frames, which then
    /// say the same thing again and again.
    /// </summary>
    private const double BootstrapSeconds = 5;

    /// <summary>
    /// The same of the onset. Its windows overlap, so neighbours are alike for longer; but a change is forgotten when it fills half of the
    /// fast window. With a tenth of a second three of 100 rendered normal drives opened an incident, with this none (docs/quality.md).
    /// </summary>
    private const double OnsetSeconds = 0.15;

    /// <summary>The slow deviation is one observation for so long at least.</summary>
    private const double ShortestSlowSeconds = 30;

    /// <summary>The bet's natural logarithm.</summary>
    public static double Bet(double p) => Math.Log(Epsilon) + (Epsilon - 1) * Math.Log(p);

    /// <summary>Seconds from which on the level's frames count as independent: as its calibration knows.</summary>
    public static double LevelSeconds(Calibration calibration) =>
        calibration.Pace?.Seconds ?? (calibration.IsBootstrap ? BootstrapSeconds : Decorrelation.TotalSeconds);

    /// <summary>The bet on a frame by the level.</summary>
    /// <param name="p">Conformal p-value.</param>
    /// <param name="tail">The p-value by the tail's fit, where that is smaller than ranks can say.</param>
    public static double LevelBet(Calibration calibration, double p, double? tail) =>
        Bet(tail is { } extrapolated ? Math.Clamp(extrapolated, SmallestExtrapolated, p) : p) - (calibration.Pace?.Allowance ?? 0);

    /// <summary>Share of a bet by the level that counts.</summary>
    /// <param name="seconds">Since the frame before.</param>
    public static double LevelWeight(Calibration calibration, double seconds) => Math.Min(1, seconds / LevelSeconds(calibration));

    /// <inheritdoc cref="LevelWeight"/>
    public static double OnsetWeight(double seconds) => Math.Min(1, seconds / OnsetSeconds);

    /// <inheritdoc cref="LevelWeight"/>
    /// <param name="slot">Seconds between two moments of the slow window.</param>
    public static double SlowWeight(double seconds, double slot) => Math.Min(1, seconds / Math.Max(0.5 * slot, ShortestSlowSeconds));
}
