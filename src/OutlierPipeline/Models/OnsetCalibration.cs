using System.Text.Json;
using System.Text.Json.Serialization;

namespace OutlierPipeline.Models;

/// <summary>
/// How far the scores of normal footage wander from a camera's own running medians: what the onset test holds a change against. A section
/// of <c>calibration.json</c>; older packages have none.
/// </summary>
public sealed record OnsetCalibration
{
    /// <summary>Bases: whole drives that were left out of the training, halves of drives, footage that calibrated.</summary>
    public const string OfDrives = "drives left out";
    public const string OfHalves = "halves of drives left out";
    public const string OfCalibration = "calibration footage";

    /// <summary>
    /// Names of the scores whose deviations are watched; null in packages of earlier versions, where they are the combined ones. More of
    /// them say something of a change than of one frame: what differs from drive to drive, and is no part of the combined score for that,
    /// stays the same within one.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Scores { get; init; }

    /// <summary>What the deviations were measured on.</summary>
    public required string Basis { get; init; }

    /// <summary>Changes within seconds, for every frame rate that the footage could show, ascending.</summary>
    public required IReadOnlyList<OnsetNull> Fast { get; init; }

    /// <summary>Changes within minutes; null where the footage is too short to show any.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public OnsetNull? Slow { get; init; }

    /// <summary>
    /// The deviations that hold for a camera: those of the highest rate that is not above its own, since scenes differ more the further
    /// frames are apart. Null for a camera slower than all of them.
    /// </summary>
    /// <param name="stepSeconds">Between two frames of the camera.</param>
    public OnsetNull? For(double stepSeconds)
    {
        OnsetNull? found = null;
        foreach (var rate in Fast)
        {
            // Rates are never exactly what they are said to be.
            if (rate.FramesPerSecond * stepSeconds <= 1.5) found = rate;
        }
        return found;
    }

    /// <exception cref="JsonException">What was read is no section; the message says why.</exception>
    /// <param name="scores">Names of the package's scores.</param>
    /// <param name="combined">Names of those that the combined one is made of.</param>
    internal void Check(IReadOnlyList<string> scores, IReadOnlyList<string> combined)
    {
        if (Scores?.Count == 0 || Scores?.Except(scores).Any() == true || Scores?.Distinct().Count() < Scores?.Count)
            throw new JsonException("onset.scores must name some of the scores, each once");
        int parts = (Scores ?? combined).Count;
        if (Fast.Count == 0) throw new JsonException("onset.fast is empty");
        foreach (var of in Slow is null ? Fast : [.. Fast, Slow])
        {
            if (of.Units.Count != parts || of.Units.Any(unit => !(unit > 0)))
                throw new JsonException($"onset: units must be {parts} positive numbers, one for each score that is watched");
            if (of.Weight is not (> 0 and <= 1)) throw new JsonException("onset: weight must be more than 0 and at most 1");
            if (of.Sorted.Length == 0 || !Calibration.IsAscending(of.Sorted)) throw new JsonException("onset: sorted is not ascending");
            if (!(of.Tail.Scale > 0)) throw new JsonException("onset: the tail's scale must be positive");
        }
    }
}

/// <summary>Deviations of normal footage at one frame rate, and what a deviation of a camera is worth against them.</summary>
public sealed record OnsetNull
{
    /// <summary>More values than this say no more.</summary>
    private const int MaxValues = 1000;

    /// <summary>Units are this quantile of the deviations, in deviations of a normal distribution.</summary>
    private const double UnitQuantile = 0.99;
    private const double UnitDeviations = 2.33;

    /// <summary>Few deviations know little of their units: the smallest ones there are count as so many independent ones.</summary>
    private const double UsualCount = 10;

    /// <summary>
    /// The tail begins above this share of the values, and no lower, and is no shorter, than that of a normal distribution; so many
    /// excesses of nearly twice its mean count with those that were seen.
    /// </summary>
    private const double TailShare = 0.1;
    private const double TailShape = 0.1;
    private const double NormalThreshold = 1.28;
    private const double NormalExcess = 0.47;
    private const int UsualExcesses = 5;
    private const double UsualExcess = 0.8;

    /// <summary>Of the soft maximum: as the level's.</summary>
    private const double Sharpness = 4;

    /// <summary>Frames a second; 0 where the rate does not matter.</summary>
    public double FramesPerSecond { get; init; }

    /// <summary>One for each score that is watched, in its own measure.</summary>
    public required IReadOnlyList<double> Units { get; init; }

    /// <summary>The combined deviations, ascending.</summary>
    public required double[] Sorted { get; init; }

    /// <summary>What one of them counts: neighbours are nearly the same.</summary>
    public required double Weight { get; init; }

    /// <summary>How they go on beyond what was seen: an extrapolation.</summary>
    public required Tail Tail { get; init; }

    /// <summary>Fits to the deviations of normal footage.</summary>
    /// <param name="deviations">n rows, of each score that is watched.</param>
    /// <param name="smallest">No unit is smaller.</param>
    /// <param name="effective">As how many independent ones the combined deviations count.</param>
    internal static OnsetNull Fit(IReadOnlyList<double[]> deviations, IReadOnlyList<double> smallest, double framesPerSecond,
        Func<double[], double> effective)
    {
        double[] raw = [.. smallest.Select((least, k) => Math.Max(1e-9 * least,
            Quantiles.Of([.. deviations.Select(row => row[k]).Order()], UnitQuantile) / UnitDeviations))];
        double independent = effective([.. deviations.Select(row => Combine(row, raw))]);
        double share = independent / (independent + UsualCount);
        double[] units = [.. raw.Zip(smallest, (unit, least) =>
            Math.Max(least, Math.Exp(share * Math.Log(unit) + (1 - share) * Math.Log(least))))];
        double[] all = [.. deviations.Select(row => Combine(row, units)).Order()];
        int count = Math.Max(1, (int)(TailShare * all.Length));
        double threshold = all[Math.Max(0, all.Length - count - 1)];
        double excess = Math.Max(NormalExcess,
            (all[^count..].Sum(value => value - threshold) + UsualExcesses * UsualExcess) / (count + UsualExcesses));
        double[] kept = all.Length <= MaxValues
            ? all
            : [.. Enumerable.Range(0, MaxValues).Select(i => all[(int)((long)i * (all.Length - 1) / (MaxValues - 1))])];
        return new OnsetNull
        {
            FramesPerSecond = framesPerSecond,
            Units = units,
            Sorted = [.. kept.Select(value => Math.Round(value, 6))],
            Weight = Math.Clamp(Math.Round(independent / kept.Length, 6), 1e-6, 1),
            Tail = new Tail(Math.Max(NormalThreshold, share * threshold), TailShape, excess * (1 - TailShape)),
        };
    }

    /// <summary>One figure of the deviations: a soft maximum, in units of normal ones.</summary>
    public double Combine(ReadOnlySpan<double> deviations) => Combine(deviations, Units);

    /// <summary>
    /// The conformal p-value of a combined deviation, between 1 / (1 + w n) and 1; no smaller than that of a normal deviation of unit
    /// spread. Calm footage must not make every ripple on another road strange.
    /// </summary>
    public double PValue(double combined) => Math.Max(Calibration.RankPValue(Sorted, Weight, combined), Normal(combined));

    /// <summary>The p-value by the tail's fit where it is smaller than ranks can say; else null.</summary>
    public double? TailPValue(double combined) => combined > Tail.Threshold && Tail.PValue(combined) is var tail
        && tail < 1 / (1 + Weight * Sorted.Length) ? tail : null;

    private static double Combine(ReadOnlySpan<double> deviations, IReadOnlyList<double> units)
    {
        double largest = double.NegativeInfinity;
        for (int k = 0; k < deviations.Length; k++) largest = Math.Max(largest, deviations[k] / units[k]);
        double sum = 0;
        for (int k = 0; k < deviations.Length; k++) sum += Math.Exp(Sharpness * (deviations[k] / units[k] - largest));
        return largest + Math.Log(sum) / Sharpness;
    }

    /// <summary>Share of a normal distribution above a value.</summary>
    /// <remarks>Zelen and Severo in Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.2.17; to 8 decimals.</remarks>
    private static double Normal(double value)
    {
        double x = Math.Abs(value);
        double t = 1 / (1 + 0.2316419 * x);
        double above = Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI) * t
            * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
        return value >= 0 ? above : 1 - above;
    }
}
