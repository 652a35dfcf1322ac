using System.Text.Json.Serialization;
using OutlierPipeline.Evaluation;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>Figures of one slice of the normal frames.</summary>
/// <param name="By">What cut it: <c>drive</c>, <c>hour</c>, <c>rarest</c>, <c>clusters</c>, or a tag.</param>
/// <param name="Rate">Share of its frames among the strangest of all normal frames, as many of these as the level says: with no favour to
/// any slice it is the level.</param>
/// <param name="RateCi">95 % block bootstrap interval.</param>
/// <param name="Auroc">Of all outliers against its frames; null without outliers.</param>
/// <param name="OwnRate">Share of its frames at or below the level by p-values among its own frames alone; null where it has too few.
/// </param>
/// <param name="OwnNeeds">As many frames as that takes.</param>
/// <param name="Before">The same by the package that was named with <c>--before</c>.</param>
internal sealed record SliceFigures(string By, string Name, int Frames, double Rate, double[] RateCi,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Auroc,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? OwnRate, int OwnNeeds,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SliceFigures? Before);

/// <summary>Whether some normal frames raise more alarms than others, at one rate of false alarms over all of them.</summary>
/// <param name="level">The rate over all frames.</param>
internal sealed class SliceJudge(double level, int seed)
{
    /// <param name="outliers">Scores of all outliers.</param>
    public SliceFigures Judge(Slice slice, ScoredSet normal, double[] outliers, SliceFigures? before)
    {
        double[] sorted = [.. normal.Combined.Order()];
        double threshold = sorted[Math.Min(sorted.Length - 1, (int)Math.Floor((1 - level) * sorted.Length))];
        bool[] hits = [.. slice.Frames.Select(i => normal.Combined[i] >= threshold)];
        var (low, high) = DetectionMetrics.RateInterval(hits, Runs(slice, normal), seed);
        double[] scores = [.. slice.Frames.Select(i => normal.Combined[i])];
        int needs = (int)Math.Ceiling(2 / level);
        return new SliceFigures(slice.By, slice.Name, slice.Frames.Length, hits.Count(hit => hit) / (double)hits.Length, [low, high],
            outliers.Length == 0 ? null : DetectionMetrics.Auroc(scores, outliers), slice.Frames.Length < needs ? null : OwnRate(scores),
            needs, before);
    }

    /// <summary>
    /// Share of a slice's frames whose p-value among frames of the slice is at most the level: each half in time is ranked in the other.
    /// </summary>
    /// <remarks>
    /// Mondrian conformal prediction: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, sec. 4.5.
    /// </remarks>
    private double OwnRate(double[] scores)
    {
        int half = scores.Length / 2;
        int strange = Count(scores[..half], scores[half..]) + Count(scores[half..], scores[..half]);
        return strange / (double)scores.Length;

        int Count(double[] judged, double[] others) => judged.Count(score =>
            (1.0 + others.Count(other => other >= score)) / (1 + others.Length) <= level);
    }

    /// <summary>How many of a slice's frames each drive has.</summary>
    private static int[] Runs(Slice slice, ScoredSet normal) =>
        [.. normal.Footage.Drives.Select(drive => slice.Frames.Count(i => i >= drive.First && i < drive.First + drive.Count))
            .Where(count => count > 0)];
}
