using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>What a package's second graph adds, where every frame gets it.</summary>
/// <param name="FalseAlarmRate">Share of the normal frames with a p-value of at most the level, by both graphs.</param>
/// <param name="FalseAlarmRateWithout">The same by the first graph alone: of frames that the second is not computed for.</param>
/// <param name="Outliers">AUROC of each set.</param>
internal sealed record SecondFigures(double FalseAlarmRate, double FalseAlarmRateWithout,
    SortedDictionary<string, SecondOutliers> Outliers);

/// <summary>AUROC of one set of outliers against the normal frames.</summary>
/// <param name="Both">By the combined score of both graphs.</param>
/// <param name="Without">By that of the first.</param>
/// <param name="Scores">By each score of the second.</param>
internal sealed record SecondOutliers(double Both, double Without, SortedDictionary<string, double> Scores);

/// <summary>Judges the second graph of a package on the frames that were scored by the first.</summary>
internal static class SecondJudge
{
    /// <param name="read">Reads a set's footage at another size.</param>
    /// <returns>Null for a package of one graph, or one whose second was never calibrated.</returns>
    public static async Task<SecondFigures?> JudgeAsync(ModelPackage package, string camera, ScoredSet normal,
        IReadOnlyList<ScoredSet> outliers, double level, Func<ScoredSet, FrameSize, Task<DecodedFootage>> read,
        Action<string, double> progress, CancellationToken cancellation)
    {
        var first = package.For(camera).Calibration;
        if (package.Second is not { } graph || first.Second is not { } second) return null;
        using var scorer = new SecondScorer(graph, package.Card.Second!, package.Path);
        float[][] normalRows = await RowsAsync(normal);
        double[] both = Both(normal, normalRows);
        var figures = new SortedDictionary<string, SecondOutliers>(StringComparer.Ordinal);
        foreach (var set in outliers)
        {
            float[][] rows = await RowsAsync(set);
            var scores = new SortedDictionary<string, double>(StringComparer.Ordinal);
            for (int k = 0; k < second.Scores.Count; k++)
                scores[second.Scores[k]] = DetectionMetrics.Auroc(Column(normalRows, k), Column(rows, k));
            figures[set.Name] = new SecondOutliers(DetectionMetrics.Auroc(both, Both(set, rows)),
                DetectionMetrics.Auroc(normal.Combined, set.Combined), scores);
        }
        return new SecondFigures(Share(both.Select(combined => second.PValue(first, combined, above: 0))),
            Share(normal.Combined.Select(first.PValue)), figures);

        async Task<float[][]> RowsAsync(ScoredSet set)
        {
            var size = package.Card.Second!.SizeBeside(package.Card.Network);
            using var larger = size == set.Footage.Size ? null : await read(set, size);
            var footage = larger ?? set.Footage;
            if (footage.Digest != set.Footage.Digest)
                throw new CommandException($"{set.Name}: the footage changed while it was read");
            float[][] rows = new float[footage.Count][];
            for (int i = 0; i < rows.Length; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                rows[i] = scorer.Score(footage[i], footage.Size);
                progress($"second graph over {set.Name}", (i + 1.0) / rows.Length);
            }
            return rows;
        }

        double[] Both(ScoredSet set, float[][] rows) => [.. set.Combined.Zip(rows, (combined, row) => second.Combine(combined, row))];

        double Share(IEnumerable<double> pValues) => pValues.Average(p => p <= level ? 1.0 : 0);
    }

    private static double[] Column(float[][] rows, int k) => [.. rows.Select(row => (double)row[k])];
}
