namespace OutlierPipeline.Evaluation;

/// <summary>One of the rarest frames.</summary>
/// <param name="Index">In the footage.</param>
/// <param name="Rarity">See <see cref="LatentHistogram.Rarity"/>.</param>
/// <param name="Above">Share of the footage's frames that are less rare.</param>
/// <param name="Alike">Frames that were passed over since this one, or one like it, stands for them.</param>
public sealed record RareFrame(int Index, double Rarity, double Above, int Alike);

/// <summary>Finds the rarest frames by the density of their codes, of frames that look alike one.</summary>
public static class RareFrames
{
    /// <summary>
    /// Root mean square over the code's dimensions, in deviations of each over the footage, below which two frames look alike. A second of
    /// driving is nearer, another scene farther: two frames drawn by chance lie 1.4 apart.
    /// </summary>
    public const double DefaultApart = 1;

    /// <param name="codes">n rows of Z.</param>
    /// <param name="count">Frames wanted, of each drive if <paramref name="drives"/> says more than one.</param>
    /// <param name="drives">Number of frames of each drive whose rarest are wanted; null for the rarest of all.</param>
    /// <returns>The rarest first, drive by drive; fewer where the others look like them.</returns>
    public static IReadOnlyList<RareFrame> Find(IReadOnlyList<float[]> codes, int count, IReadOnlyList<int>? drives = null,
        double apart = DefaultApart)
    {
        var histogram = new LatentHistogram(codes);
        double[] rarities = [.. codes.Select(code => histogram.Rarity(code))];
        double[] sorted = [.. rarities.Order()];
        double[] deviations = [.. Enumerable.Range(0, codes[0].Length).Select(d => Deviation([.. codes.Select(code => (double)code[d])]))];
        var found = new List<RareFrame>();
        int first = 0;
        foreach (int length in drives ?? [codes.Count])
        {
            var chosen = new List<(int Index, int Alike)>();
            foreach (int i in Enumerable.Range(first, length).OrderByDescending(i => rarities[i]))
            {
                int like = chosen.FindIndex(other => Distance(codes[i], codes[other.Index], deviations) < apart);
                if (like >= 0) chosen[like] = chosen[like] with { Alike = chosen[like].Alike + 1 };
                else if (chosen.Count < count) chosen.Add((i, 0));
            }
            found.AddRange(chosen.Select(frame => new RareFrame(frame.Index, rarities[frame.Index],
                (double)LowerBound(sorted, rarities[frame.Index]) / sorted.Length, frame.Alike)));
            first += length;
        }
        return found;
    }

    private static int LowerBound(double[] sorted, double value)
    {
        int at = Array.BinarySearch(sorted, value);
        if (at < 0) return ~at;
        while (at > 0 && sorted[at - 1] == value) at--;
        return at;
    }

    private static double Deviation(double[] values)
    {
        double mean = values.Average();
        return Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
    }

    private static double Distance(float[] a, float[] b, double[] deviations)
    {
        double sum = 0;
        int dimensions = 0;
        for (int d = 0; d < a.Length; d++)
        {
            if (deviations[d] < 1e-6) continue;
            double difference = (a[d] - b[d]) / deviations[d];
            sum += difference * difference;
            dimensions++;
        }
        return dimensions == 0 ? 0 : Math.Sqrt(sum / dimensions);
    }
}
