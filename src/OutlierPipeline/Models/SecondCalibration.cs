using System.Text.Json;
using System.Text.Json.Serialization;

namespace OutlierPipeline.Models;

/// <summary>
/// What held-back normal frames scored by both graphs of a package. A score that is sometimes missing is another statistic: frames with it
/// are held against these, and frames without it against <see cref="Calibration"/> alone.
/// </summary>
/// <remarks>
/// Which frames get the second graph is a rule of the service, and the rule is replayed on the calibration frames. Of frames that are
/// chosen by their place in the log the p-value is the rank among all. Frames that are chosen since their first p-value is at most a rank
/// among the calibration frames of which this is true, times a: so for t ≤ a no more than a share t of normal frames has a p-value of t,
/// and for t &gt; a nothing changes.
/// </remarks>
public sealed record SecondCalibration
{
    private const double Sharpness = 4;
    private double[]? _all;
    private (double Above, double[] Ascending)? _above;

    /// <summary>The second graph's scores, S, in the order of its output.</summary>
    public required IReadOnlyList<string> Scores { get; init; }

    /// <summary>Those that join the combined score of the first graph.</summary>
    public required IReadOnlyList<string> Combines { get; init; }

    /// <summary>Median of each score on normal footage, length S.</summary>
    public required IReadOnlyList<double> Location { get; init; }

    /// <summary>Distance from the median to the 95th percentile, length S, positive.</summary>
    public required IReadOnlyList<double> Scale { get; init; }

    /// <summary>What one frame counts: 1 where frames are independent, less where they are alike.</summary>
    public required double Weight { get; init; }

    /// <summary>The calibration frames' combined scores by the first graph alone, in time order, length n.</summary>
    public required double[] First { get; init; }

    /// <summary>The same frames' by both.</summary>
    public required double[] Both { get; init; }

    /// <summary>How normal scores by both go on beyond those that were seen; null where too few were, and in older packages.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Tail? Tail { get; init; }

    /// <summary>Builds it from normal frames that fitted nothing else: those of the first graph's calibration.</summary>
    /// <param name="first">What the first graph's scores are held against.</param>
    /// <param name="rows">n rows of the first graph's scores, drive by drive, in time order.</param>
    /// <param name="second">The same frames' by the second graph, rows of S.</param>
    /// <param name="drives">Number of rows of each drive.</param>
    /// <param name="isNew">Which rows are of a frame that shows what no earlier one does.</param>
    /// <exception cref="ArgumentException">A score is not finite, or rows do not fit.</exception>
    public static SecondCalibration Fit(Calibration first, IReadOnlyList<string> names, IReadOnlyList<string> combines,
        IReadOnlyList<float[]> rows, IReadOnlyList<float[]> second, IReadOnlyList<int> drives, IReadOnlyList<bool> isNew)
    {
        if (rows.Count != second.Count || second.Any(row => row.Length != names.Count || !row.All(float.IsFinite)))
            throw new ArgumentException($"expected {rows.Count} rows of {names.Count} finite scores", nameof(second));
        double[][] columns = [.. names.Select((_, k) => second.Select(row => (double)row[k]).Order().ToArray())];
        double[] location = [.. columns.Select(column => Quantiles.Of(column, 0.5))];
        var calibration = new SecondCalibration
        {
            Scores = names,
            Combines = combines,
            Location = location,
            Scale = [.. columns.Select((column, k) =>
                Math.Max(Quantiles.Of(column, 0.95) - location[k], 1e-6 * (1 + Math.Abs(location[k]))))],
            Weight = 1,
            First = [.. rows.Select(row => first.Combine(row))],
            Both = [],
        };
        double[] both = [.. second.Select((row, i) => calibration.Combine(calibration.First[i], row))];
        double weight = EffectiveFrames.Count(both, drives, isNew) / both.Length;
        return calibration with
        {
            Both = both,
            Weight = Math.Clamp(Math.Round(weight, 6), 1e-6, 1),
            Tail = Tail.Fit([.. both.Order()]),
        };
    }

    /// <summary>The combined score of both graphs: the soft maximum goes on over the second's scores.</summary>
    /// <param name="first">The first graph's combined score.</param>
    /// <param name="second">S scores. One that is not finite counts as strange beyond measure.</param>
    public double Combine(double first, ReadOnlySpan<float> second)
    {
        double largest = first;
        for (int k = 0; k < Scores.Count; k++)
        {
            if (!Combines.Contains(Scores[k])) continue;
            if (!float.IsFinite(second[k])) return double.MaxValue;
            largest = Math.Max(largest, Standardise(k, second[k]));
        }
        double sum = Math.Exp(Sharpness * (first - largest));
        for (int k = 0; k < Scores.Count; k++)
        {
            if (Combines.Contains(Scores[k])) sum += Math.Exp(Sharpness * (Standardise(k, second[k]) - largest));
        }
        return largest + Math.Log(sum) / Sharpness;
    }

    /// <summary>How many times its own normal spread score <paramref name="k"/> lies above its normal median.</summary>
    public double Standardise(int k, float score) => (score - Location[k]) / Scale[k];

    /// <summary>The conformal p-value of a frame that has both.</summary>
    /// <param name="first">What the first graph's scores are held against.</param>
    /// <param name="both">The combined score of both.</param>
    /// <param name="above">The first p-value at which frames are chosen; 0 for a frame that was chosen by its place.</param>
    public double PValue(Calibration first, double both, double above) => above == 0
        ? Calibration.RankPValue(_all ??= [.. Both.Order()], Weight, both)
        : above * Calibration.RankPValue(Chosen(first, above), Weight, both);

    /// <summary>
    /// The p-value by <see cref="Tail"/> where it is smaller than a frame of this sort can have by rank; else null. It is of all frames, so
    /// frames that are chosen since they are strange have no smaller one more often than it says. An extrapolation.
    /// </summary>
    /// <inheritdoc cref="PValue"/>
    public double? TailPValue(Calibration first, double both, double above) => Tail is not null && both > Tail.Threshold
        && Tail.PValue(both) is var tail && tail < PValue(first, double.PositiveInfinity, above) ? tail : null;

    /// <exception cref="JsonException">Something does not fit.</exception>
    internal void Check()
    {
        int scores = Scores.Count;
        if (scores is 0 or > SecondGraph.MaxScores || Location.Count != scores || Scale.Count != scores)
            throw new JsonException($"second: scores, location and scale must have the same 1 to {SecondGraph.MaxScores} entries");
        if (Combines.Count == 0 || Combines.Except(Scores).Any())
            throw new JsonException("second.combines must name some of second.scores");
        if (Scale.Any(scale => !(scale > 0))) throw new JsonException("every second.scale must be positive");
        if (Weight is not (> 0 and <= 1)) throw new JsonException("second.weight must be more than 0 and at most 1");
        if (Tail is not null and not { Scale: > 0, Shape: > 0 })
            throw new JsonException("second: the tail's scale and shape must be positive");
        if (First.Length < Calibration.MinFrames || First.Length != Both.Length)
            throw new JsonException($"second.first and second.both must have the same {Calibration.MinFrames} numbers or more");
    }

    private double[] Chosen(Calibration first, double above)
    {
        if (_above is { } known && known.Above == above) return known.Ascending;
        double[] ascending = [.. Both.Where((_, i) => first.PValue(First[i]) <= above).Order()];
        _above = (above, ascending);
        return ascending;
    }
}
