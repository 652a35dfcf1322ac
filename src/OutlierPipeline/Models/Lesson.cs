namespace OutlierPipeline.Models;

/// <summary>
/// What missed outliers teach: frames that a person says should have alarmed move the weights of the combined scores. One half of the
/// normal frames chooses the weights, the other half calibrates them, so p-values stay valid: what they rank among chose nothing.
/// </summary>
/// <param name="Calibration">With the weights that were chosen; the one before where none find more.</param>
/// <param name="Missed">Frames that taught, those of earlier lessons among them.</param>
/// <param name="FoundBefore">How many of them had a p-value of at most the level.</param>
/// <param name="FoundAfter">How many of them have one now.</param>
/// <param name="Choosing">Normal frames that chose the weights.</param>
/// <param name="Calibrating">Normal frames that calibrate them.</param>
/// <param name="NormalBefore">
/// Share of the calibrating half over the threshold that the choosing half has at the level, as weights were.
/// </param>
/// <param name="NormalAfter">The same with the weights that were chosen: about the level, or they fit the choosing half alone.</param>
public sealed record Lesson(Calibration Calibration, int Missed, int FoundBefore, int FoundAfter, int Choosing, int Calibrating,
    double NormalBefore, double NormalAfter)
{
    /// <summary>Weights are 2 to the power of these.</summary>
    private static readonly double[] Exponents = [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2];

    /// <summary>A weight doubles or halves for so many more missed frames, and moves fourfold for four times as many.</summary>
    private const double FramesPerDoubling = 4;

    /// <summary>A missed frame counts half at the threshold, .73 so far above it: a share of the way from the normal median.</summary>
    private const double Softness = 0.1;

    /// <summary>More rows of either kind than this are thinned out evenly: they choose no better.</summary>
    private const int MaxRows = 600;

    /// <summary>Share of a drive, in its middle, that is in neither half: neighbouring frames are nearly the same.</summary>
    private const double Gap = 0.1;

    /// <summary>Whether the weights changed.</summary>
    public bool Moved => FoundAfter > FoundBefore;

    /// <summary>Chooses weights and calibrates them.</summary>
    /// <param name="before">With its rows.</param>
    /// <param name="missed">Rows of S scores.</param>
    /// <param name="level">The p-value that missed frames should not exceed, and normal ones no more often than it says.</param>
    /// <exception cref="ArgumentException">Nothing was missed, no rows are kept, or too few to be split.</exception>
    public static Lesson Teach(Calibration before, IReadOnlyList<float[]> missed, double level)
    {
        if (missed.Count == 0) throw new ArgumentException("no frame was missed", nameof(missed));
        if (missed.Any(row => row.Any(score => !float.IsFinite(score))))
            throw new ArgumentException("a missed frame has no score", nameof(missed));
        if (before.Rows is not { } rows || before.Drives is not { } drives)
            throw new ArgumentException("it keeps no rows of normal scores, as packages did before: give normal footage with --frames",
                nameof(before));
        var (choosing, calibrating, lengths) = Halves(drives);
        float[][] all = [.. before.Missed ?? [], .. missed];
        int least = Math.Max(Calibration.MinFrames, (int)Math.Ceiling((1 / level - 1) / before.Weight));
        if (calibrating.Count < least || choosing.Count < Calibration.MinFrames)
            throw new ArgumentException($"{rows.Count} normal frames are too few to choose weights on one half and calibrate them on the "
                + $"other: about {Math.Ceiling(2 * least / (1 - Gap)):0} such frames are needed, or a larger --p-value", nameof(before));
        float[][] chooses = [.. choosing.Select(i => rows[i])];
        double[] weights = Choose(before, Thinned(chooses), Thinned(all), all.Length, level);
        var after = before.Weighted(weights, calibrating, lengths, all);
        int foundBefore = Found(before, all, level);
        int foundAfter = Found(after, all, level);
        var calibration = foundAfter > foundBefore ? after : before;
        return new Lesson(calibration, all.Length, foundBefore, Math.Max(foundBefore, foundAfter), choosing.Count, calibrating.Count,
            Over(before), Over(calibration));

        double Over(Calibration of)
        {
            double threshold = Threshold(of, chooses, level);
            return calibrating.Count(i => of.Combine(rows[i]) > threshold) / (double)calibrating.Count;
        }
    }

    private static int Found(Calibration calibration, IReadOnlyList<float[]> rows, double level) =>
        rows.Count(row => calibration.PValue(calibration.Combine(row)) <= level);

    /// <summary>The weights that find most missed frames, less what it costs to move them: two at a time, until no pair gains.</summary>
    private static double[] Choose(Calibration before, float[][] normal, float[][] missed, int count, double level)
    {
        int parts = before.Combines.Count;
        double[] best = new double[parts];
        double gain = Gain(best);
        for (bool better = true; better;)
        {
            better = false;
            for (int i = 0; i < parts; i++)
            {
                for (int j = i; j < parts; j++)
                {
                    foreach (double first in Exponents)
                    {
                        foreach (double second in Exponents)
                        {
                            double[] tried = [.. best];
                            (tried[i], tried[j]) = (first, second);
                            double now = Gain(tried);
                            if (now <= gain + 1e-9) continue;
                            (best, gain, better) = (tried, now, true);
                        }
                    }
                }
            }
        }
        return Of(best);

        double Gain(double[] exponents)
        {
            var tried = before with { Weights = Of(exponents) };
            double[] ascending = [.. normal.Select(row => tried.Combine(row)).Order()];
            double threshold = Quantiles.Of(ascending, 1 - level);
            double width = Softness * Math.Max(threshold - Quantiles.Of(ascending, 0.5), 1e-9);
            double found = missed.Average(row => 1 / (1 + Math.Exp(Math.Clamp((threshold - tried.Combine(row)) / width, -500, 500))));
            return count * found - FramesPerDoubling * exponents.Sum(exponent => exponent * exponent);
        }
    }

    private static double[] Of(double[] exponents) => [.. exponents.Select(exponent => Math.Round(Math.Pow(2, exponent), 4))];

    private static double Threshold(Calibration calibration, float[][] normal, double level) =>
        Quantiles.Of([.. normal.Select(row => calibration.Combine(row)).Order()], 1 - level);

    private static float[][] Thinned(float[][] rows) => rows.Length <= MaxRows
        ? rows
        : [.. Enumerable.Range(0, MaxRows).Select(i => rows[(int)((long)i * rows.Length / MaxRows)])];

    /// <summary>
    /// Whole drives, the longest first, each to the half that has less; each drive's beginning and end where one drive is most of all.
    /// </summary>
    private static (List<int> Choosing, List<int> Calibrating, List<int> Lengths) Halves(IReadOnlyList<int> drives)
    {
        int all = drives.Sum();
        bool[] calibrates = new bool[drives.Count];
        int[] sizes = new int[2];
        foreach (int drive in Enumerable.Range(0, drives.Count).OrderByDescending(drive => drives[drive]))
        {
            calibrates[drive] = sizes[1] < sizes[0];
            sizes[calibrates[drive] ? 1 : 0] += drives[drive];
        }
        bool whole = 3 * sizes.Min() >= all;
        var (choosing, calibrating, lengths) = (new List<int>(), new List<int>(), new List<int>());
        int first = 0;
        for (int drive = 0; drive < drives.Count; first += drives[drive++])
        {
            int half = (int)((1 - Gap) / 2 * drives[drive]);
            int chosen = whole ? calibrates[drive] ? 0 : drives[drive] : half;
            int left = whole ? drives[drive] - chosen : half;
            choosing.AddRange(Enumerable.Range(first, chosen));
            calibrating.AddRange(Enumerable.Range(first + drives[drive] - left, left));
            if (left > 0) lengths.Add(left);
        }
        return (choosing, calibrating, lengths);
    }
}
