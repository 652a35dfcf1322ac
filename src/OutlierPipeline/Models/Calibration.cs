using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace OutlierPipeline.Models;

/// <summary>
/// What held-back normal footage scored: <c>calibration.json</c> of a model package. Turns a frame's scores into one combined
/// nonconformity score and that into a conformal p-value.
/// </summary>
/// <remarks>
/// The p-value is (1 + w #{calibration ≥ score}) / (1 + w n): with w = 1 valid at any sample size while test and calibration frames are
/// exchangeable (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, eq. 2.20). Neighbouring frames are nearly the
/// same, so n
/// frames of video count as w n (<see cref="EffectiveFrames"/>): p-values claim no more than the footage can support. The combined score is
/// calibrated itself, so nothing is assumed on how the scores depend on each other.
/// </remarks>
public sealed record Calibration
{
    /// <summary>Fewer frames calibrate nothing.</summary>
    public const int MinFrames = 20;

    private const int CurrentSchema = 2;
    private const double Sharpness = 4;
    private int[]? _combines;

    /// <summary>Version of this file's layout.</summary>
    public int Schema { get; init; } = CurrentSchema;

    /// <summary>The S scores' names, in the order of the graph's output.</summary>
    public required IReadOnlyList<string> Scores { get; init; }

    /// <summary>Those that the combined score is made of.</summary>
    public required IReadOnlyList<string> Combines { get; init; }

    /// <summary>Median of each score on normal footage, length S.</summary>
    public required IReadOnlyList<double> Location { get; init; }

    /// <summary>Distance from the median to the 95th percentile of each score on normal footage, length S, positive.</summary>
    public required IReadOnlyList<double> Scale { get; init; }

    /// <summary>What one frame counts, w: 1 where frames are independent, less where they are alike.</summary>
    public required double Weight { get; init; }

    /// <summary>How normal combined scores go on beyond those that were seen, or null where too few were: an extrapolation.</summary>
    public Tail? Tail { get; init; }

    /// <summary>The calibration frames' scores, ascending, S lists of n.</summary>
    public required IReadOnlyDictionary<string, double[]> Sorted { get; init; }

    /// <summary>The calibration frames' combined scores, ascending, length n.</summary>
    public required double[] Combined { get; init; }

    /// <summary>
    /// What each combined score counts for in the combination, in the order of <see cref="Combines"/>; null where all count 1. Missed
    /// outliers move them (<see cref="Lesson"/>).
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? Weights { get; init; }

    /// <summary>
    /// Normal frames' scores as they came, rows of S, so that weights can be chosen anew; null in packages that were made before they were
    /// kept. Once weights are chosen, half of them calibrate.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<float[]>? Rows { get; init; }

    /// <summary>Number of <see cref="Rows"/> of each drive.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Drives { get; init; }

    /// <summary>Scores of the missed outliers that moved the weights, rows of S: the next ones join them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<float[]>? Missed { get; init; }

    /// <summary>Where the calibration frames' codes lie, for looking at; null in packages that were made before there was one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public LatentMap? LatentMap { get; init; }

    /// <summary>
    /// Where each dimension of the calibration frames' codes lies; null in packages without a density of the code, or that were made before
    /// it was kept.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CodeCalibration? Code { get; init; }

    /// <summary>
    /// Whether the ranks are those of training footage that was left out, until normal footage of the cameras' own calibrates: cautious,
    /// and evidence by the level then gathers over minutes.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsBootstrap { get; init; }

    /// <summary>
    /// How many drives of the cameras' own calibrate the level; null while it is training footage that does, and in packages of earlier
    /// versions.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? DeploymentDrives { get; init; }

    /// <summary>How fast evidence by the level may gather, measured on whole drives that were left out; null where nobody looked.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public LevelPace? Pace { get; init; }

    /// <summary>What changes against a camera's own recent frames are held against; null in packages without an onset test.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public OnsetCalibration? Onset { get; init; }

    /// <summary>What frames are held against that the second graph scored too; null in packages of one graph, and until normal frames
    /// calibrate both.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SecondCalibration? Second { get; init; }

    /// <summary>
    /// <c>bootstrap</c>: training footage that was left out calibrates the level. <c>deployment</c>: footage or scores of the cameras' own.
    /// Null where the package does not say.
    /// </summary>
    [JsonIgnore]
    public string? Origin => IsBootstrap ? "bootstrap" : DeploymentDrives is null ? null : "deployment";

    /// <summary>Number of calibration frames, n.</summary>
    [JsonIgnore]
    public int Frames => Combined.Length;

    /// <summary>What they count as independent ones, w n.</summary>
    [JsonIgnore]
    public double EffectiveFrames => Weight * Frames;

    /// <summary>No p-value is smaller: the false-alarm rate of a frame that this footage can support.</summary>
    [JsonIgnore]
    public double SmallestPValue => 1 / (1 + EffectiveFrames);

    /// <summary>Builds a calibration from the scores of normal frames that fitted nothing else.</summary>
    /// <param name="names">The S scores' names.</param>
    /// <param name="combines">Those that the combined score is made of.</param>
    /// <param name="rows">n rows of S scores, drive by drive, in time order.</param>
    /// <param name="drives">Number of rows of each drive; null if they are one.</param>
    /// <param name="more">Further rows of normal frames that say how far scores spread, as cross-fitted ones of the training frames do;
    /// they calibrate nothing.</param>
    /// <param name="isNew">Which rows are of a frame that shows what no earlier one does; null if nobody looked. One with an earlier row's
    /// scores never is.</param>
    /// <exception cref="ArgumentException">Too few rows, a row of another length, or a score that is not finite.</exception>
    public static Calibration Fit(IReadOnlyList<string> names, IReadOnlyList<string> combines, IReadOnlyList<float[]> rows,
        IReadOnlyList<int>? drives = null, IReadOnlyList<float[]>? more = null, IReadOnlyList<bool>? isNew = null)
    {
        if (rows.Count < MinFrames)
            throw new ArgumentException($"{rows.Count} calibration frames are too few: at least {MinFrames} are needed", nameof(rows));
        if (rows.Any(row => row.Length != names.Count))
            throw new ArgumentException($"a row does not hold {names.Count} scores", nameof(rows));
        if (rows.Concat(more ?? []).Any(row => row.Any(score => !float.IsFinite(score))))
            throw new ArgumentException("a score is not finite", nameof(rows));
        var spread = names.Select((_, k) => rows.Concat(more ?? []).Select(row => (double)row[k]).Order().ToArray()).ToArray();
        var location = spread.Select(column => Quantiles.Of(column, 0.5)).ToArray();
        var scale = spread.Select((column, k) =>
            Math.Max(Quantiles.Of(column, 0.95) - location[k], 1e-6 * (1 + Math.Abs(location[k])))).ToArray();
        return Of(names, combines, location, scale, rows, drives ?? [rows.Count], more ?? [], isNew);
    }

    /// <summary>
    /// The calibration of other frames with the same scores: a camera of its own, another season. It has no map until one is fitted to
    /// their codes.
    /// </summary>
    /// <inheritdoc cref="Fit"/>
    public Calibration Refit(IReadOnlyList<float[]> rows, IReadOnlyList<int> drives, IReadOnlyList<bool>? isNew = null)
    {
        var own = Fit(Scores, Combines, rows, drives, isNew: isNew);
        // Few frames of one camera say where its scores lie, but hardly how far they spread.
        var refitted = Of(Scores, Combines, own.Location, [.. own.Scale.Zip(Scale, Math.Max)], rows, drives, [], isNew, Weights) with
        {
            Missed = Missed,
            DeploymentDrives = drives.Count,
        };
        return refitted.Tail is null ? refitted with { Tail = Tail } : refitted;
    }

    /// <summary>This calibration with further normal frames of one drive, whose scores are all that is left of them.</summary>
    /// <param name="rows">Rows of S scores, in time order.</param>
    public Calibration With(IReadOnlyList<float[]> rows)
    {
        double[] combined = [.. rows.Select(row => Combine(row))];
        double effective = EffectiveFrames + Models.EffectiveFrames.Count(combined, [rows.Count], Unrepeated(rows, null));
        return this with
        {
            Weight = WeightOf(effective, Frames + rows.Count),
            Sorted = Joined(rows),
            Combined = [.. Combined.Concat(combined).Order()],
            Rows = Rows is null ? null : [.. Rows, .. rows],
            Drives = Drives is null ? null : [.. Drives, rows.Count],
        };
    }

    /// <summary>This calibration with other weights, and some of its rows to calibrate them.</summary>
    /// <param name="weights">One for each combined score.</param>
    /// <param name="calibrating">Which rows calibrate; they chose nothing.</param>
    /// <param name="drives">Number of them of each drive.</param>
    /// <param name="missed">What moved the weights.</param>
    internal Calibration Weighted(IReadOnlyList<double> weights, IReadOnlyList<int> calibrating, IReadOnlyList<int> drives,
        IReadOnlyList<float[]> missed)
    {
        // What both graphs scored together was combined with other weights.
        var weighted = this with { Weights = weights, Missed = missed, Second = null };
        float[][] rows = [.. calibrating.Select(i => Rows![i])];
        double[] combined = [.. rows.Select(row => weighted.Combine(row))];
        double effective = Models.EffectiveFrames.Count(combined, drives, Unrepeated(rows, null));
        return weighted with
        {
            // Which frames showed nothing new is not kept with the rows: none counts for more than it did.
            Weight = Math.Min(Weight, WeightOf(effective, rows.Length)),
            Sorted = Columns(Scores, rows),
            Combined = [.. combined.Order()],
            Tail = Tail.Fit([.. Rows!.Select(row => weighted.Combine(row)).Order()]),
        };
    }

    /// <summary>
    /// This calibration, whose p-values rank among left-out footage too: other drives score as that does, higher than the training's own.
    /// Location and spread, and so every score, stay as they are.
    /// </summary>
    /// <param name="rows">n rows of S scores by networks that never saw their drive, stretch by stretch, in time order.</param>
    /// <param name="stretches">Number of rows of each stretch.</param>
    public Calibration WithLeftOut(IReadOnlyList<float[]> rows, IReadOnlyList<int> stretches)
    {
        double[] combined = [.. rows.Select(row => Combine(row))];
        double effective = EffectiveFrames + Models.EffectiveFrames.Count(combined, stretches, Unrepeated(rows, null));
        double[] all = [.. Combined.Concat(combined).Order()];
        return this with
        {
            IsBootstrap = true,
            Second = null,
            Weight = WeightOf(effective, all.Length),
            Sorted = Joined(rows),
            Combined = all,
            Tail = Tail.Fit(all),
            Rows = Rows is null ? null : [.. Rows, .. rows],
            Drives = Drives is null ? null : [.. Drives, .. stretches],
        };
    }

    /// <summary>Reads and checks <c>calibration.json</c>.</summary>
    /// <exception cref="JsonException">The text is no calibration; the message says what is wrong.</exception>
    public static Calibration Parse(ReadOnlySpan<byte> json)
    {
        var calibration = PackageJson.Read<Calibration>(json);
        int scores = calibration.Scores.Count;
        if (calibration.Schema != CurrentSchema)
            throw new JsonException($"schema is {calibration.Schema}, this version reads {CurrentSchema}: train the package again");
        if (calibration.Location.Count != scores || calibration.Scale.Count != scores)
            throw new JsonException($"location and scale must have {scores} entries");
        if (calibration.Scale.Any(scale => !(scale > 0))) throw new JsonException("every scale must be positive");
        if (calibration.Weight is not (> 0 and <= 1)) throw new JsonException("weight must be more than 0 and at most 1");
        if (calibration.Tail is not null and not { Scale: > 0, Shape: > 0 })
            throw new JsonException("the tail's scale and shape must be positive");
        if (calibration.Combines.Count == 0 || calibration.Combines.Except(calibration.Scores).Any())
            throw new JsonException("combines must name some of the scores");
        if (calibration.Frames < MinFrames)
            throw new JsonException($"{calibration.Frames} combined scores are too few: at least {MinFrames} are needed");
        PackageJson.Check("sorted", calibration.Sorted);
        foreach (string name in calibration.Scores)
        {
            if (!calibration.Sorted.TryGetValue(name, out double[]? column)) throw new JsonException($"sorted has no entry {name}");
            if (column.Length != calibration.Frames)
                throw new JsonException($"sorted.{name} has {column.Length} scores, combined has {calibration.Frames}");
            if (!IsAscending(column)) throw new JsonException($"sorted.{name} is not ascending");
        }
        if (calibration.Weights is { } weights && (weights.Count != calibration.Combines.Count || weights.Any(weight => !(weight > 0))))
            throw new JsonException($"weights must be {calibration.Combines.Count} positive numbers, one for each combined score");
        if (calibration.Rows?.Concat(calibration.Missed ?? []).Any(row => row.Length != scores) == true)
            throw new JsonException($"rows and missed must have {scores} scores each");
        if (calibration.Rows?.Count != calibration.Drives?.Sum(drive => (long)drive))
            throw new JsonException("drives must sum to the number of rows");
        if (calibration.Pace is { } pace && !(pace.Seconds > 0 && pace.Allowance >= 0))
            throw new JsonException("pace: seconds must be positive, allowance at least 0");
        calibration.LatentMap?.Check();
        calibration.Second?.Check();
        calibration.Code?.Check(calibration.Scores);
        calibration.Onset?.Check(calibration.Scores, calibration.Combines);
        return IsAscending(calibration.Combined) ? calibration : throw new JsonException("combined is not ascending");
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ModelCard.Compact);

    /// <summary>How many times its own normal spread score <paramref name="k"/> lies above its normal median.</summary>
    public double Standardise(int k, float score) => (score - Location[k]) / Scale[k];

    /// <summary>Indices of the scores that the combined one is made of.</summary>
    [JsonIgnore]
    internal ReadOnlySpan<int> Combining => _combines ??= IndicesOf(Combines);

    /// <summary>Indices of scores by their names.</summary>
    internal int[] IndicesOf(IEnumerable<string> names) => [.. names.Select(name => Array.IndexOf([.. Scores], name))];

    /// <summary>
    /// The combined nonconformity score: a soft maximum of the standardised scores times their weights, so that one strong piece of
    /// evidence is enough and frames that differ do not tie.
    /// </summary>
    /// <param name="scores">S scores of one frame. A score that is not finite counts as the largest double: strange beyond measure.</param>
    public double Combine(ReadOnlySpan<float> scores)
    {
        var combining = Combining;
        double largest = double.NegativeInfinity;
        for (int i = 0; i < combining.Length; i++)
        {
            if (!float.IsFinite(scores[combining[i]])) return double.MaxValue;
            largest = Math.Max(largest, Part(i, scores));
        }
        double sum = 0;
        for (int i = 0; i < combining.Length; i++) sum += Math.Exp(Sharpness * (Part(i, scores) - largest));
        return largest + Math.Log(sum) / Sharpness;
    }

    /// <summary>The <paramref name="i"/>th combined score as it stands in the combination.</summary>
    private double Part(int i, ReadOnlySpan<float> scores)
    {
        int k = Combining[i];
        return Standardise(k, scores[k]) * (Weights?[i] ?? 1);
    }

    /// <summary>A frame's combined score, its p-value, and that by the tail's fit where ranks can say no less.</summary>
    /// <param name="scores">S scores of the first graph.</param>
    /// <param name="second">The second graph's, where it was computed: it counts where both are calibrated.</param>
    public (double Combined, double PValue, double? TailPValue) Judge(ReadOnlySpan<float> scores, SecondScores? second)
    {
        double combined = Combine(scores);
        if (second is not { } more || Second is null) return (combined, PValue(combined), TailPValue(combined));
        double both = Second.Combine(combined, more.Scores);
        return (both, Second.PValue(this, both, more.Above), Second.TailPValue(this, both, more.Above));
    }

    /// <summary>The conformal p-value of a combined score: between <see cref="SmallestPValue"/> and 1.</summary>
    public double PValue(double combined) => RankPValue(Combined, combined);

    /// <summary>The conformal p-value of score <paramref name="k"/> alone.</summary>
    public double PValue(int k, float score) => RankPValue(Sorted[Scores[k]], score);

    /// <summary>
    /// The p-value by <see cref="Tail"/> where it is smaller than ranks among the calibration can say; else null. An extrapolation, and no
    /// part of any guarantee.
    /// </summary>
    public double? TailPValue(double combined) => Tail is not null && combined > Tail.Threshold && Tail.PValue(combined) is var tail
        && tail < SmallestPValue ? tail : null;

    private static Calibration Of(IReadOnlyList<string> names, IReadOnlyList<string> combines, IReadOnlyList<double> location,
        IReadOnlyList<double> scale, IReadOnlyList<float[]> rows, IReadOnlyList<int> drives, IReadOnlyList<float[]> more,
        IReadOnlyList<bool>? isNew, IReadOnlyList<double>? weights = null)
    {
        var calibration = new Calibration
        {
            Scores = names,
            Combines = combines,
            Location = location,
            Scale = scale,
            Weight = 1,
            Weights = weights,
            Sorted = Columns(names, rows),
            Combined = [],
            Rows = rows,
            Drives = drives,
        };
        double[] combined = [.. rows.Select(row => calibration.Combine(row))];
        return calibration with
        {
            Weight = WeightOf(Models.EffectiveFrames.Count(combined, drives, Unrepeated(rows, isNew)), rows.Count),
            Combined = [.. combined.Order()],
            Tail = Tail.Fit([.. combined.Concat(more.Select(row => calibration.Combine(row))).Order()]),
        };
    }

    private static Dictionary<string, double[]> Columns(IReadOnlyList<string> names, IReadOnlyList<float[]> rows) =>
        names.Select((name, k) => (name, rows.Select(row => (double)row[k]).Order().ToArray())).ToDictionary(pair =>
            pair.name, pair => pair.Item2);

    private Dictionary<string, double[]> Joined(IReadOnlyList<float[]> rows) => Scores.Select((name, k) =>
        (name, Sorted[name].Concat(rows.Select(row => (double)row[k])).Order().ToArray())).ToDictionary(pair => pair.name, pair =>
        pair.Item2);

    private static double WeightOf(double effective, int frames) => Math.Max(Math.Round(effective / frames, 6), 1e-6);

    /// <summary>Which rows count: those of new frames whose scores no earlier row has.</summary>
    private static bool[] Unrepeated(IReadOnlyList<float[]> rows, IReadOnlyList<bool>? isNew)
    {
        var seen = new HashSet<string>();
        return [.. rows.Select((row, i) => (isNew?[i] ?? true) && seen.Add(Convert.ToHexString(MemoryMarshal.AsBytes(row.AsSpan()))))];
    }

    private double RankPValue(double[] ascending, double score) => RankPValue(ascending, Weight, score);

    /// <summary>(1 + w #{values ≥ score}) / (1 + w n).</summary>
    internal static double RankPValue(double[] ascending, double weight, double score)
    {
        int low = 0;
        int high = ascending.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (ascending[middle] < score) low = middle + 1;
            else high = middle;
        }
        return (1 + weight * (ascending.Length - low)) / (1 + weight * ascending.Length);
    }

    internal static bool IsAscending(double[] values)
    {
        for (int i = 1; i < values.Length; i++)
        {
            if (!(values[i - 1] <= values[i])) return false;
        }
        return true;
    }
}
