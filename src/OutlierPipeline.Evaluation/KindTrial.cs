using OutlierPipeline.Footage;

namespace OutlierPipeline.Evaluation;

/// <summary>Normal frames of one drive against every kind of outlier, by one or several detectors on the very same frames.</summary>
public sealed class KindTrial
{
    private readonly IReadOnlyList<FrameDetector> _detectors;
    private readonly double[][] _normal;
    private readonly List<KindScores> _kinds = [];

    private KindTrial(IReadOnlyList<FrameDetector> detectors, double[][] normal)
    {
        _detectors = detectors;
        _normal = normal;
        Columns = [.. detectors.SelectMany(detector => detector.Columns)];
    }

    /// <summary>Names of all detectors' scores.</summary>
    public IReadOnlyList<string> Columns { get; }

    /// <summary>Real outliers first (group <c>real</c>), then the kinds.</summary>
    public IReadOnlyList<KindScores> Kinds => _kinds;

    /// <summary>Runs all detectors.</summary>
    /// <param name="outliers">Names and footage of real outliers.</param>
    /// <param name="kinds">Those to draw over normal frames.</param>
    /// <param name="frames">Normal frames that each kind is drawn over at most, evenly spread.</param>
    public static KindTrial Run(DecodedFootage normal, IReadOnlyList<(string Name, DecodedFootage Footage)> outliers,
        IReadOnlyList<OutlierKind> kinds, IReadOnlyList<FrameDetector> detectors, int frames, int seed, CancellationToken cancellation)
    {
        var trial = new KindTrial(detectors, Rows(detectors, normal.Count, normal.Read, cancellation));
        foreach (var (name, footage) in outliers)
            trial._kinds.Add(new KindScores("real", name, [Rows(detectors, footage.Count, footage.Read, cancellation)]));
        int count = Math.Min(frames, normal.Count);
        int[] chosen = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * normal.Count / count))];
        foreach (var kind in kinds)
        {
            var rows = kind.Corruptions.Select(corruption =>
            {
                byte[][] drawn = [.. chosen.Select(i =>
                {
                    byte[] frame = new byte[normal.Size.Bytes];
                    OutlierKinds.Draw(corruption, normal, i, frame, OutlierKinds.Severity, seed);
                    return frame;
                })];
                return Rows(detectors, drawn.Length, (i, rgb) => drawn[i].CopyTo(rgb), cancellation);
            });
            trial._kinds.Add(new KindScores(kind.Group, kind.Name, [.. rows]));
        }
        return trial;
    }

    /// <summary>One score of the normal frames.</summary>
    public double[] Normal(int column) => [.. _normal.Select(row => row[column])];

    /// <summary>
    /// Bootstrap replicates of the AUROC of every kind by one score, kinds by replicates; the first of each is the figure itself. A kind
    /// of several corruptions is their mean. Blocks of neighbouring frames are drawn, and for all kinds the same.
    /// </summary>
    public double[][] Areas(int column, int seed, int replicates = 1000)
    {
        double[] normal = Normal(column);
        var sets = _kinds.SelectMany(kind => kind.Rows.Select(rows => rows.Select(row => row[column]).ToArray())).ToArray();
        double[][] drawn = DetectionMetrics.AurocReplicates(normal, sets, seed, replicates);
        double[][] areas = new double[_kinds.Count][];
        for (int k = 0, set = 0; k < areas.Length; k++)
        {
            int parts = _kinds[k].Rows.Count;
            areas[k] = [.. Enumerable.Range(-1, replicates + 1).Select(r => Enumerable.Range(set, parts).Average(s =>
                r < 0 ? DetectionMetrics.Auroc(normal, sets[s]) : drawn[s][r]))];
            set += parts;
        }
        return areas;
    }

    private static double[][] Rows(IReadOnlyList<FrameDetector> detectors, int count, FootageScorer.Fill fill,
        CancellationToken cancellation)
    {
        double[][][] all = [.. detectors.Select(detector => detector.Score(count, fill, cancellation))];
        return [.. Enumerable.Range(0, count).Select(i => all.SelectMany(rows => rows[i]).ToArray())];
    }
}

/// <summary>What the frames of one kind scored.</summary>
/// <param name="Rows">For each of its corruptions, n rows of all columns.</param>
public sealed record KindScores(string Group, string Name, IReadOnlyList<double[][]> Rows);
