using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>Calibrates the onset test: runs normal footage that fitted nothing through the cameras' own running medians.</summary>
internal static class OnsetFit
{
    /// <summary>A camera's state record has room for no more scores (DetectorState).</summary>
    public const int MaxParts = 6;

    /// <summary>Frames of a segment of the slow test, as many as the fast window of most cameras holds.</summary>
    private const int Segment = OnsetBaseline.Recent * OnsetBaseline.Slots;

    /// <summary>Segments of a stretch begin so many frames apart, or further where there are many.</summary>
    private const int Stride = 10;
    private const int MaxSegments = 100;

    /// <summary>As many independent pairs of segments, at least, say something of changes within minutes.</summary>
    private const double MinPairs = 2;

    /// <summary>
    /// No unit is a smaller share of a score's normal spread. Between 0.13 and 0.4 on the two footages that choose designs: other drives
    /// change more than those that were seen.
    /// </summary>
    private const double SmallestUnit = 0.4;

    /// <summary>The frame rates that cameras have: scenes differ more the further frames are apart.</summary>
    private static readonly double[] Rates = [1, 3, 10, 30];

    /// <param name="scores">Names of the scores to watch; null for the combined ones.</param>
    /// <param name="rows">n rows of S scores, stretch by stretch, in time order.</param>
    /// <param name="stretches">Number of rows of each stretch of consecutive frames.</param>
    /// <param name="framesPerSecond">Of the footage; lower rates are shown by leaving frames out.</param>
    /// <param name="basis">See <see cref="OnsetCalibration.Basis"/>.</param>
    /// <returns>Null where every stretch is too short, or more than six scores are watched.</returns>
    public static OnsetCalibration? Fit(Calibration calibration, IReadOnlyList<string>? scores, IReadOnlyList<float[]> rows,
        IReadOnlyList<int> stretches, double framesPerSecond, string basis)
    {
        int[] watched = calibration.IndicesOf(scores ?? calibration.Combines);
        if (watched.Length > MaxParts) return null;
        var series = new List<double[][]>();
        int first = 0;
        foreach (int length in stretches)
        {
            series.Add([.. rows.Skip(first).Take(length).Select(row => Standardised(calibration, watched, row))]);
            first += length;
        }
        int[] steps = [.. Rates.Where(rate => rate < framesPerSecond).Select(rate => (int)Math.Round(framesPerSecond / rate)).Append(1)
            .Distinct().OrderDescending()];
        OnsetNull[] fast = [.. steps.Select(step => FastAt(calibration, watched, series, step, framesPerSecond)).OfType<OnsetNull>()];
        return fast.Length == 0 ? null : new OnsetCalibration
        {
            Scores = scores,
            Basis = basis,
            Fast = fast,
            Slow = SlowOf(calibration, watched, series)
        };
    }

    /// <summary>The scores that are watched in units of their normal spread.</summary>
    internal static double[] Standardised(Calibration calibration, ReadOnlySpan<int> watched, ReadOnlySpan<float> scores)
    {
        double[] values = new double[watched.Length];
        for (int k = 0; k < values.Length; k++) values[k] = calibration.Standardise(watched[k], scores[watched[k]]);
        return values;
    }

    /// <summary>Deviations in the scores' own measure, of what <see cref="Standardised"/> gave.</summary>
    internal static double[] InScores(Calibration calibration, ReadOnlySpan<int> watched, ReadOnlySpan<double> deviations)
    {
        double[] values = new double[deviations.Length];
        for (int k = 0; k < values.Length; k++) values[k] = deviations[k] * calibration.Scale[watched[k]];
        return values;
    }

    private static double[] Smallest(Calibration calibration, int[] watched) =>
        InScores(calibration, watched, [.. Enumerable.Repeat(SmallestUnit, watched.Length)]);

    private static OnsetNull? FastAt(Calibration calibration, int[] watched, List<double[][]> series, int step, double framesPerSecond)
    {
        var deviations = new List<double[]>();
        var lengths = new List<int>();
        foreach (double[][] stretch in series)
        {
            for (int phase = 0; phase < step; phase++)
            {
                var baseline = new OnsetBaseline(watched.Length);
                int before = deviations.Count;
                for (int i = phase; i < stretch.Length; i += step)
                {
                    baseline.Add(stretch[i], step / framesPerSecond);
                    if (baseline.HasFast) deviations.Add(InScores(calibration, watched, baseline.Fast));
                }
                if (deviations.Count > before) lengths.Add(deviations.Count - before);
            }
        }
        if (deviations.Count < Calibration.MinFrames) return null;
        // Every frame is in one phase, and the phases show the same scenes.
        return OnsetNull.Fit(deviations, Smallest(calibration, watched), framesPerSecond / step, values =>
            Math.Max(1, EffectiveFrames.Count(values, lengths, [.. values.Select(_ => true)]) / step));
    }

    /// <summary>
    /// Differences between any two segments of a stretch, both ways: how far normal scenes of one drive lie apart, over whatever time the
    /// footage has.
    /// </summary>
    private static OnsetNull? SlowOf(Calibration calibration, int[] watched, List<double[][]> series)
    {
        var differences = new List<double[]>();
        double pairs = 0;
        foreach (double[][] stretch in series)
        {
            if (stretch.Length < 2 * Segment) continue;
            int stride = Math.Max(Stride, stretch.Length / MaxSegments);
            double[][] medians = [.. Enumerable.Range(0, (stretch.Length - Segment) / stride + 1).Select(i => Median(stretch, i * stride))];
            for (int i = 0; i < medians.Length; i++)
            {
                for (int j = 0; j < medians.Length; j++)
                {
                    if (Math.Abs(i - j) * stride < Segment) continue;
                    differences.Add(InScores(calibration, watched, [.. medians[i].Zip(medians[j], (a, b) => a - b)]));
                }
            }
            pairs += stretch.Length / Segment - 1;
        }
        return pairs < MinPairs ? null : OnsetNull.Fit(differences, Smallest(calibration, watched), 0, _ => pairs);
    }

    private static double[] Median(double[][] stretch, int first) =>
        [.. Enumerable.Range(0, stretch[first].Length).Select(k =>
        {
            double[] sorted = [.. stretch.Skip(first).Take(Segment).Select(values => values[k]).Order()];
            return (sorted[(Segment - 1) / 2] + sorted[Segment / 2]) / 2;
        })];
}
