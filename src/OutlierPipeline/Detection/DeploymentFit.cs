using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>
/// Calibrates the level on a deployment's own normal drives. P-values rank among their frames; how fast evidence may gather is measured on
/// whole drives that were left out, since all frames of a drive are moved together.
/// </summary>
internal static class DeploymentFit
{
    /// <summary>Fewer drives do not say how drives differ.</summary>
    public const int MinDrives = 40;

    /// <summary>More drives say no more that would be worth their memory.</summary>
    public const int MaxDrives = 200;

    /// <summary>
    /// Drives that begin in the same hour, at most: a fleet's first forty must not all be of one afternoon, and the most there can be
    /// are of more than a day.
    /// </summary>
    public const int MaxOfHour = MaxDrives / 28;

    /// <summary>Frames of one drive that p-values rank among.</summary>
    private const int FramesOfDrive = 40;

    private const int Folds = 10;

    /// <summary>No drive that was left out comes further on the way to an incident.</summary>
    private const double FarthestLeftOut = 1 / 3.0;

    /// <summary>Seconds from which on frames may count as independent.</summary>
    private static readonly double[] Seconds = [0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

    /// <summary>The hour that a drive begins in, counted from 1970.</summary>
    public static long HourOf(long nanoseconds) => Math.DivRem(nanoseconds, (long)TimeSpan.FromHours(1).TotalNanoseconds).Quotient;

    /// <summary>The drives that calibrate: the latest, and not too many of one hour.</summary>
    public static NormalDrive[] Choose(IEnumerable<NormalDrive> drives) =>
        [.. drives.GroupBy(drive => HourOf(drive.FromNanoseconds)).SelectMany(hour => hour.Take(MaxOfHour))
            .OrderBy(drive => drive.FromNanoseconds).TakeLast(MaxDrives)];

    /// <summary>The calibration by these drives.</summary>
    /// <param name="before">The package's: its scores, weights and spread stay.</param>
    /// <param name="falseAlarmProbability">That is permitted for one observation.</param>
    /// <exception cref="ArgumentException">Too few drives; the message says how many are needed.</exception>
    public static Calibration Fit(Calibration before, IReadOnlyList<NormalDrive> drives, double falseAlarmProbability)
    {
        if (drives.Count < MinDrives)
            throw new ArgumentException($"{drives.Count} normal drives are too few: at least {MinDrives} are needed, each with at least "
                + $"{NormalDrives.MinSample} frames a second apart", nameof(drives));
        float[][][] rows = [.. drives.Select(drive => Thinned(drive.Rows))];
        double[][] bets = new double[drives.Count][];
        for (int fold = 0; fold < Folds; fold++)
        {
            var others = Refit(before, [.. rows.Where((_, i) => i % Folds != fold)]);
            for (int i = fold; i < drives.Count; i += Folds) bets[i] = [.. drives[i].Rows.Select(row => Bet(others, row))];
        }
        double allowance = Allowance([.. bets.Select(of => of.Average()).Order()], SharePermitted(drives, falseAlarmProbability));
        double most = -Math.Log(falseAlarmProbability) * FarthestLeftOut;
        double seconds = Seconds.FirstOrDefault(tried =>
            bets.Select((of, i) => Largest(of, allowance, drives[i].StepSeconds / tried)).Max() <= most, Seconds[^1]);
        return Refit(before, rows) with { Pace = new LevelPace(seconds, Math.Round(allowance, 4)) };
    }

    /// <summary>Share of drives that may alarm falsely.</summary>
    private static double SharePermitted(IReadOnlyList<NormalDrive> drives, double falseAlarmProbability) =>
        Math.Min(1, falseAlarmProbability * drives.Average(drive => (drive.ToNanoseconds - drive.FromNanoseconds) / 1e9)
            / Martingale.Decorrelation.TotalSeconds);

    /// <summary>
    /// What the mean bet of a drive exceeds in no more than that share of drives: the next one may be stranger than all of these. Beyond
    /// them the means are taken to fall off exponentially, as fast as their upper third does.
    /// </summary>
    private static double Allowance(double[] means, double share)
    {
        int upper = means.Length / 3;
        double excess = means[^upper..].Average() - means[^(upper + 1)];
        return Math.Max(0, means[^1] + excess * Math.Max(0, Math.Log(1 / (means.Length * share))));
    }

    /// <summary>The evidence's largest value over a drive's sample, in nats.</summary>
    /// <param name="weight">Of a bet; more than 1 where the sample is sparser than frames that count as independent.</param>
    private static double Largest(double[] bets, double allowance, double weight)
    {
        double evidence = 0;
        double largest = 0;
        foreach (double bet in bets)
        {
            evidence = Math.Max(0, evidence + weight * (bet - allowance));
            largest = Math.Max(largest, evidence);
        }
        return largest;
    }

    private static double Bet(Calibration calibration, float[] row)
    {
        double combined = calibration.Combine(row);
        return Martingale.LevelBet(calibration, calibration.PValue(combined), calibration.TailPValue(combined));
    }

    /// <summary>What changes within a drive is as it was, and the map has no codes to be fitted to.</summary>
    private static Calibration Refit(Calibration before, float[][][] drives) =>
        before.Refit([.. drives.SelectMany(drive => drive)], [.. drives.Select(drive => drive.Length)]) with
        {
            Onset = before.Onset,
            LatentMap = before.LatentMap,
            Code = before.Code,
        };

    private static float[][] Thinned(float[][] rows) => rows.Length <= FramesOfDrive
        ? rows
        : [.. Enumerable.Range(0, FramesOfDrive).Select(i => rows[(int)((long)i * rows.Length / FramesOfDrive)])];
}
