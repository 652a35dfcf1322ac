namespace OutlierPipeline.Evaluation;

/// <summary>How well scores tell outliers from normal frames; higher scores are stranger, ties count half.</summary>
public static class DetectionMetrics
{
    /// <summary>Area under the ROC curve: the probability that an outlier scores higher than a normal frame.</summary>
    /// <remarks>Hanley and McNeil, Radiology 1982: the Mann-Whitney statistic.</remarks>
    /// <exception cref="ArgumentException">One of the sets is empty.</exception>
    public static double Auroc(ReadOnlySpan<double> normal, ReadOnlySpan<double> outlier)
    {
        Check(normal, outlier);
        double[] sorted = normal.ToArray();
        Array.Sort(sorted);
        double wins = 0;
        foreach (double score in outlier) wins += Wins(sorted, score);
        return wins / ((double)normal.Length * outlier.Length);
    }

    /// <summary>Area under the precision-recall curve, outliers being what is looked for: the average precision.</summary>
    /// <remarks>Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct thresholds; nothing is interpolated (Davis and Goadrich, ICML 2006).</remarks>
    /// <inheritdoc cref="Auroc"/>
    public static double AveragePrecision(ReadOnlySpan<double> normal, ReadOnlySpan<double> outlier)
    {
        Check(normal, outlier);
        double[] low = normal.ToArray();
        double[] high = outlier.ToArray();
        Array.Sort(low);
        Array.Sort(high);
        double area = 0;
        int n = low.Length - 1;
        int o = high.Length - 1;
        while (o >= 0)
        {
            // One step a distinct threshold: all that score at least as high.
            double threshold = high[o];
            int before = o;
            while (o >= 0 && high[o] >= threshold) o--;
            while (n >= 0 && low[n] >= threshold) n--;
            int found = high.Length - 1 - o;
            int alarms = low.Length - 1 - n;
            area += (double)(before - o) / high.Length * found / (found + alarms);
        }
        return area;
    }

    /// <summary>Share of normal frames at or above the highest threshold that still finds the given share of outliers.</summary>
    /// <inheritdoc cref="Auroc"/>
    public static double FalsePositiveRate(ReadOnlySpan<double> normal, ReadOnlySpan<double> outlier, double truePositiveRate = 0.95)
    {
        Check(normal, outlier);
        double[] high = outlier.ToArray();
        Array.Sort(high);
        int needed = (int)Math.Ceiling(truePositiveRate * high.Length - 1e-9);
        double threshold = high[high.Length - needed];
        int above = 0;
        foreach (double score in normal) above += score >= threshold ? 1 : 0;
        return (double)above / normal.Length;
    }

    /// <summary>
    /// Bootstrap interval of the area under the ROC curve. Whole blocks of neighbouring frames (as long as the root of their number) are
    /// drawn, since single ones are no independent evidence.
    /// </summary>
    /// <remarks>
    /// Künsch, The jackknife and the bootstrap for general stationary observations, Annals of Statistics 1989; percentile interval.
    /// </remarks>
    /// <inheritdoc cref="Auroc"/>
    public static (double Low, double High) AurocInterval(ReadOnlySpan<double> normal, ReadOnlySpan<double> outlier, int seed,
        double level = 0.95, int replicates = 1000) => Interval(AurocReplicates(normal, [outlier.ToArray()], seed, replicates)[0], level);

    /// <summary>
    /// The bootstrap's replicates of the areas of several sets of outliers against the same normal frames, sets by replicates. In one
    /// replicate all have the same normal blocks, and those of as many frames the same blocks of outliers: so replicates of different sets
    /// can be averaged.
    /// </summary>
    /// <inheritdoc cref="AurocInterval"/>
    public static double[][] AurocReplicates(ReadOnlySpan<double> normal, IReadOnlyList<double[]> outliers, int seed, int replicates)
    {
        var normals = Blocks(normal.Length);
        double[][] ascending = new double[normals.Length][];
        for (int a = 0; a < normals.Length; a++)
        {
            ascending[a] = normal[normals[a]].ToArray();
            Array.Sort(ascending[a]);
        }
        var sets = new List<(double[,] Wins, int[] Lengths)>();
        foreach (double[] outlier in outliers)
        {
            Check(normal, outlier);
            var blocks = Blocks(outlier.Length);
            double[,] wins = new double[normals.Length, blocks.Length];
            for (int a = 0; a < normals.Length; a++)
            {
                for (int b = 0; b < blocks.Length; b++)
                {
                    foreach (double score in outlier.AsSpan(blocks[b])) wins[a, b] += Wins(ascending[a], score);
                }
            }
            sets.Add((wins, [.. blocks.Select(block => block.GetOffsetAndLength(int.MaxValue).Length)]));
        }
        var random = new Random(seed);
        double[][] areas = [.. sets.Select(_ => new double[replicates])];
        for (int r = 0; r < replicates; r++)
        {
            var drawn = sets.Select(set => set.Lengths.Length).Distinct().ToDictionary(count => count, Draw);
            int[] drawnNormals = Draw(normals.Length);
            double frames = drawnNormals.Sum(a => (double)ascending[a].Length);
            for (int s = 0; s < sets.Count; s++)
            {
                double won = 0;
                int[] ofSet = drawn[sets[s].Lengths.Length];
                foreach (int a in drawnNormals)
                {
                    foreach (int b in ofSet) won += sets[s].Wins[a, b];
                }
                areas[s][r] = won / (frames * ofSet.Sum(b => (double)sets[s].Lengths[b]));
            }
        }
        return areas;

        int[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(count))];
    }

    /// <summary>Percentile interval of a bootstrap's replicates.</summary>
    public static (double Low, double High) Interval(IReadOnlyList<double> replicates, double level = 0.95)
    {
        double[] sorted = [.. replicates.Order()];
        int last = sorted.Length - 1;
        return (sorted[(int)((1 - level) / 2 * last)], sorted[(int)Math.Ceiling((1 + level) / 2 * last)]);
    }

    /// <summary>
    /// Bootstrap interval of the share of frames of which something is true; whole blocks of neighbouring frames are drawn, none reaching
    /// over two drives.
    /// </summary>
    /// <param name="drives">Number of frames of each drive.</param>
    public static (double Low, double High) RateInterval(IReadOnlyList<bool> hits, IReadOnlyList<int> drives, int seed,
        double level = 0.95, int replicates = 1000)
    {
        var blocks = new List<(int Hits, int Frames)>();
        int first = 0;
        foreach (int drive in drives)
        {
            foreach (var block in Blocks(drive))
            {
                var (offset, length) = block.GetOffsetAndLength(drive);
                blocks.Add((Enumerable.Range(first + offset, length).Count(i => hits[i]), length));
            }
            first += drive;
        }
        var random = new Random(seed);
        double[] rates = new double[replicates];
        for (int r = 0; r < replicates; r++)
        {
            var drawn = Enumerable.Range(0, blocks.Count).Select(_ => blocks[random.Next(blocks.Count)]).ToArray();
            rates[r] = drawn.Sum(block => block.Hits) / (double)drawn.Sum(block => block.Frames);
        }
        return Interval(rates, level);
    }

    /// <summary>Points of the ROC curve, from (0, 0) to (1, 1), one a distinct threshold.</summary>
    public static (double[] FalsePositiveRates, double[] TruePositiveRates) RocCurve(ReadOnlySpan<double> normal,
        ReadOnlySpan<double> outlier)
    {
        Check(normal, outlier);
        double[] low = normal.ToArray();
        double[] high = outlier.ToArray();
        Array.Sort(low);
        Array.Sort(high);
        var x = new List<double> { 0 };
        var y = new List<double> { 0 };
        int n = low.Length - 1;
        int o = high.Length - 1;
        while (n >= 0 || o >= 0)
        {
            double threshold = Math.Max(n >= 0 ? low[n] : double.NegativeInfinity, o >= 0 ? high[o] : double.NegativeInfinity);
            while (o >= 0 && high[o] >= threshold) o--;
            while (n >= 0 && low[n] >= threshold) n--;
            x.Add((double)(low.Length - 1 - n) / low.Length);
            y.Add((double)(high.Length - 1 - o) / high.Length);
        }
        return ([.. x], [.. y]);
    }

    /// <summary>How many of the sorted scores lie below one, equal ones counted half.</summary>
    private static double Wins(double[] ascending, double score)
    {
        int below = Position(ascending, score, orEqual: false);
        int notAbove = Position(ascending, score, orEqual: true);
        return 0.5 * (below + notAbove);
    }

    private static int Position(double[] ascending, double score, bool orEqual)
    {
        int low = 0;
        int high = ascending.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (ascending[middle] < score || orEqual && ascending[middle] == score) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    private static Range[] Blocks(int count)
    {
        int length = (int)Math.Ceiling(Math.Sqrt(count));
        return [.. Enumerable.Range(0, (count + length - 1) / length).Select(i => (i * length)..Math.Min(count, (i + 1) * length))];
    }

    private static void Check(ReadOnlySpan<double> normal, ReadOnlySpan<double> outlier)
    {
        if (normal.IsEmpty || outlier.IsEmpty) throw new ArgumentException("there must be normal frames and outliers to tell apart");
    }
}
