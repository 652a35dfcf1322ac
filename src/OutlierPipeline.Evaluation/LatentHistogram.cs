namespace OutlierPipeline.Evaluation;

/// <summary>How common frames are in a model's latent space: a histogram of each dimension of their codes, taken as independent.</summary>
/// <remarks>
/// Amini, Soleimany, Schwarting, Bhatia and Rus, Uncovering and Mitigating Algorithmic Bias through Learned Latent Structure, AIES 2019,
/// eq. 3 and 4: a frame is drawn with a weight of ∏ 1 / (Q(z) + α). With dozens of dimensions the product leaves a handful of frames, so
/// that it is raised to a power here: see <see cref="Weights"/>.
/// </remarks>
public sealed class LatentHistogram
{
    /// <summary>Of equal width between the smallest and the largest value of a dimension.</summary>
    public const int Bins = 10;

    /// <summary>α: added to the density of a bin, where a uniform one has 1 everywhere.</summary>
    public const double Smoothing = 0.05;

    /// <summary>As how many of the frames, as a share, the weighted ones count, unless another share is asked for.</summary>
    public const double EffectiveShare = 0.5;

    private readonly float[] _lowest;
    private readonly float[] _widths;
    private readonly double[][] _rarities;

    /// <param name="codes">n rows of Z.</param>
    /// <exception cref="ArgumentException">There are none.</exception>
    public LatentHistogram(IReadOnlyList<float[]> codes)
    {
        if (codes.Count == 0) throw new ArgumentException("a histogram needs codes");
        int dimensions = codes[0].Length;
        _lowest = [.. Enumerable.Range(0, dimensions).Select(d => codes.Min(code => code[d]))];
        _widths = [.. Enumerable.Range(0, dimensions).Select(d => (codes.Max(code => code[d]) - _lowest[d]) / Bins)];
        _rarities = new double[dimensions][];
        for (int d = 0; d < dimensions; d++)
        {
            double[] counts = new double[Bins];
            foreach (float[] code in codes) counts[BinOf(d, code[d])]++;
            _rarities[d] = [.. counts.Select(count => -Math.Log(count * Bins / codes.Count + Smoothing))];
        }
    }

    /// <summary>How rare a frame is: the mean over the dimensions of −ln (Q(z) + α), higher for what is rarer.</summary>
    /// <param name="code">Z numbers.</param>
    public double Rarity(ReadOnlySpan<float> code)
    {
        double sum = 0;
        for (int d = 0; d < _rarities.Length; d++) sum += _rarities[d][BinOf(d, code[d])];
        return sum / _rarities.Length;
    }

    /// <summary>
    /// With what weight each frame is drawn, with a mean of 1: inversely to its density, to the power at which the weighted frames count
    /// as that share of all (Kish: the squared sum of the weights over the sum of their squares).
    /// </summary>
    /// <param name="rarities">See <see cref="Rarity"/>.</param>
    /// <param name="effectiveShare">More than 0, less than 1: the less, the more the rare ones count.</param>
    public static double[] Weights(IReadOnlyList<double> rarities, double effectiveShare = EffectiveShare)
    {
        double highest = rarities.Max();
        double low = 0, high = 1;
        while (Share(At(high)) > effectiveShare && high < 1e6) high *= 2;
        // Frames that are all alike have no rare ones among them.
        if (high >= 1e6) return [.. rarities.Select(_ => 1.0)];
        for (int i = 0; i < 60; i++)
        {
            double middle = (low + high) / 2;
            (low, high) = Share(At(middle)) > effectiveShare ? (middle, high) : (low, middle);
        }
        double[] weights = At(low);
        double mean = weights.Average();
        return [.. weights.Select(weight => weight / mean)];

        double[] At(double power) => [.. rarities.Select(rarity => Math.Exp(power * (rarity - highest)))];
    }

    /// <summary>As many indices as there are weights, drawn with replacement: each about as often as its weight says, in order.</summary>
    /// <remarks>Systematic resampling: no index is drawn more or less often than its weight rounded up or down.</remarks>
    public static int[] Draw(IReadOnlyList<double> weights, int seed)
    {
        double step = weights.Sum() / weights.Count;
        double next = new Random(seed).NextDouble() * step;
        double sum = 0;
        var drawn = new List<int>(weights.Count);
        for (int i = 0; i < weights.Count; i++)
        {
            sum += weights[i];
            for (; next < sum && drawn.Count < weights.Count; next += step) drawn.Add(i);
        }
        while (drawn.Count < weights.Count) drawn.Add(weights.Count - 1);
        return [.. drawn];
    }

    private static double Share(double[] weights)
    {
        double sum = weights.Sum();
        return sum * sum / weights.Sum(weight => weight * weight) / weights.Length;
    }

    private int BinOf(int dimension, float value)
    {
        float width = _widths[dimension];
        return width > 0 ? Math.Clamp((int)((value - _lowest[dimension]) / width), 0, Bins - 1) : 0;
    }
}
