using System.Text.Json;
using System.Text.Json.Serialization;

namespace OutlierPipeline.Detection;

/// <summary>
/// What held-back normal footage scored: <c>calibration.json</c> of a model package. Turns a frame's scores into one combined
/// nonconformity score and that into a conformal p-value.
/// </summary>
/// <remarks>
/// The p-value is (1 + #{calibration ≥ score}) / (n + 1): valid at any sample size while test and calibration frames are
/// exchangeable (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, eq. 2.20).
/// </remarks>
public sealed record Calibration
{
    /// <summary>Fewer frames calibrate nothing.</summary>
    public const int MinFrames = 20;

    private const double Sharpness = 4;

    /// <summary>Version of this file's layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>The S scores' names, in the order of the graph's output.</summary>
    public required IReadOnlyList<string> Scores { get; init; }

    /// <summary>Median of each score on normal footage, length S.</summary>
    public required IReadOnlyList<double> Location { get; init; }

    /// <summary>Distance from the median to the 95th percentile of each score on normal footage, length S, positive.</summary>
    public required IReadOnlyList<double> Scale { get; init; }

    /// <summary>The calibration frames' scores, ascending, S lists of n.</summary>
    public required IReadOnlyDictionary<string, double[]> Sorted { get; init; }

    /// <summary>The calibration frames' combined scores, ascending, length n.</summary>
    public required double[] Combined { get; init; }

    /// <summary>Number of calibration frames, n.</summary>
    [JsonIgnore]
    public int Frames => Combined.Length;

    /// <summary>Builds a calibration from the scores of normal frames that fitted nothing else.</summary>
    /// <param name="names">The S scores' names.</param>
    /// <param name="rows">n rows of S scores.</param>
    /// <exception cref="ArgumentException">Fewer than 20 rows, a row of another length, or a score that is not finite.</exception>
    public static Calibration Fit(IReadOnlyList<string> names, IReadOnlyList<float[]> rows)
    {
        if (rows.Count < MinFrames) throw new ArgumentException($"{rows.Count} calibration frames are too few: at least {MinFrames} are needed", nameof(rows));
        if (rows.Any(row => row.Length != names.Count)) throw new ArgumentException($"a row does not hold {names.Count} scores", nameof(rows));
        if (rows.Any(row => row.Any(score => !float.IsFinite(score)))) throw new ArgumentException("a score is not finite", nameof(rows));
        var columns = names.Select((_, k) => rows.Select(row => (double)row[k]).Order().ToArray()).ToArray();
        var location = columns.Select(column => Quantile(column, 0.5)).ToArray();
        var scale = columns.Select((column, k) => Math.Max(Quantile(column, 0.95) - location[k], 1e-6 * (1 + Math.Abs(location[k])))).ToArray();
        var calibration = new Calibration
        {
            Scores = names,
            Location = location,
            Scale = scale,
            Sorted = names.Select((name, k) => (name, columns[k])).ToDictionary(pair => pair.name, pair => pair.Item2),
            Combined = [],
        };
        return calibration with { Combined = rows.Select(row => calibration.Combine(row)).Order().ToArray() };
    }

    /// <summary>Reads and checks <c>calibration.json</c>.</summary>
    /// <exception cref="JsonException">The text is no calibration; the message says what is wrong.</exception>
    public static Calibration Parse(ReadOnlySpan<byte> json)
    {
        var calibration = JsonSerializer.Deserialize<Calibration>(json, Inference.ModelCard.Json) ?? throw new JsonException("the file holds null");
        int scores = calibration.Scores.Count;
        if (calibration.Schema != 1) throw new JsonException($"schema is {calibration.Schema}, this version reads 1");
        if (calibration.Location.Count != scores || calibration.Scale.Count != scores) throw new JsonException($"location and scale must have {scores} entries");
        if (calibration.Scale.Any(scale => !(scale > 0))) throw new JsonException("every scale must be positive");
        if (calibration.Frames < MinFrames) throw new JsonException($"{calibration.Frames} combined scores are too few: at least {MinFrames} are needed");
        foreach (string name in calibration.Scores)
        {
            if (!calibration.Sorted.TryGetValue(name, out double[]? column)) throw new JsonException($"sorted has no entry {name}");
            if (column.Length != calibration.Frames) throw new JsonException($"sorted.{name} has {column.Length} scores, combined has {calibration.Frames}");
            if (!IsAscending(column)) throw new JsonException($"sorted.{name} is not ascending");
        }
        return IsAscending(calibration.Combined) ? calibration : throw new JsonException("combined is not ascending");
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Inference.ModelCard.Json);

    /// <summary>How many times its own normal spread score <paramref name="k"/> lies above its normal median.</summary>
    public double Standardise(int k, float score) => (score - Location[k]) / Scale[k];

    /// <summary>
    /// The combined nonconformity score: a soft maximum of the standardised scores, so that one strong piece of evidence is enough
    /// and frames that differ do not tie. Calibrated itself, so its p-value needs no assumption on how the scores depend on each other.
    /// </summary>
    /// <param name="scores">S scores of one frame. A score that is not finite counts as the largest double: strange beyond measure.</param>
    public double Combine(ReadOnlySpan<float> scores)
    {
        double largest = double.NegativeInfinity;
        for (int k = 0; k < scores.Length; k++)
        {
            if (!float.IsFinite(scores[k])) return double.MaxValue;
            largest = Math.Max(largest, Standardise(k, scores[k]));
        }
        double sum = 0;
        for (int k = 0; k < scores.Length; k++) sum += Math.Exp(Sharpness * (Standardise(k, scores[k]) - largest));
        return largest + Math.Log(sum) / Sharpness;
    }

    /// <summary>The conformal p-value of a combined score: between 1/(n+1) and 1.</summary>
    public double PValue(double combined) => RankPValue(Combined, combined);

    /// <summary>The conformal p-value of score <paramref name="k"/> alone.</summary>
    public double PValue(int k, float score) => RankPValue(Sorted[Scores[k]], score);

    private static double RankPValue(double[] ascending, double score)
    {
        int low = 0;
        int high = ascending.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (ascending[middle] < score) low = middle + 1;
            else high = middle;
        }
        return (1.0 + ascending.Length - low) / (ascending.Length + 1.0);
    }

    private static double Quantile(double[] ascending, double q)
    {
        double position = q * (ascending.Length - 1);
        int below = (int)position;
        int above = Math.Min(below + 1, ascending.Length - 1);
        return ascending[below] + (position - below) * (ascending[above] - ascending[below]);
    }

    private static bool IsAscending(double[] values)
    {
        for (int i = 1; i < values.Length; i++)
        {
            if (!(values[i - 1] <= values[i])) return false;
        }
        return true;
    }
}
