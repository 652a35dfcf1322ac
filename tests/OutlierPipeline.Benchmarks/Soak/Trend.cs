namespace OutlierPipeline.Benchmarks.Soak;

/// <summary>
/// A straight line through the means of blocks of a series. Neighbouring samples resemble each other; means of blocks of minutes hardly do,
/// so that the interval of their line is that of independent values.
/// </summary>
/// <param name="SlopePerHour">In the series' unit.</param>
/// <param name="HalfWidth">Half of the slope's interval of 99 %; infinite where there are too few blocks to tell.</param>
/// <param name="Blocks">How many.</param>
internal sealed record Trend(double Mean, double SlopePerHour, double HalfWidth, int Blocks)
{
    /// <summary>The normal distribution's quantile at 99.5 %.</summary>
    private const double Z = 2.5758293035489;

    private const int LeastBlocks = 5;

    /// <summary>What is below this share of the mean, an hour, is the rounding of sums.</summary>
    private const double Rounding = 1e-9;

    public string Verdict =>
        double.IsInfinity(HalfWidth) ? "too short to tell"
        : Math.Abs(SlopePerHour) <= HalfWidth || Math.Abs(SlopePerHour) <= Rounding * Math.Abs(Mean) ? "flat"
        : SlopePerHour > 0 ? "grows" : "falls";

    /// <param name="samples">In the order of time; the first of them begins the first block.</param>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static Trend Of(IReadOnlyList<(TimeSpan At, double Value)> samples, TimeSpan block)
    {
        if (samples.Count == 0) throw new ArgumentException("no samples", nameof(samples));
        var begin = samples[0].At;
        // The last block is rarely whole; it counts where it is at least half of one.
        var groups = samples.GroupBy(sample => (int)((sample.At - begin) / block)).ToList();
        int whole = groups.Max(group => group.Count());
        (double X, double Y)[] means = [.. groups.Where(group => 2 * group.Count() >= whole).Select(group =>
            (group.Average(sample => sample.At.TotalHours), group.Average(sample => sample.Value)))];
        double meanX = means.Average(mean => mean.X);
        double meanY = means.Average(mean => mean.Y);
        double spread = means.Sum(mean => (mean.X - meanX) * (mean.X - meanX));
        if (spread == 0) return new Trend(meanY, 0, double.PositiveInfinity, means.Length);
        double slope = means.Sum(mean => (mean.X - meanX) * (mean.Y - meanY)) / spread;
        int freedom = means.Length - 2;
        double residual = means.Sum(mean => Math.Pow(mean.Y - meanY - slope * (mean.X - meanX), 2));
        double half = means.Length < LeastBlocks
            ? double.PositiveInfinity
            : Student(freedom) * Math.Sqrt(residual / freedom / spread);
        return new Trend(meanY, slope, half, means.Length);
    }

    /// <summary>Student's quantile at 99.5 %.</summary>
    /// <remarks>Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.</remarks>
    private static double Student(int freedom)
    {
        double z3 = Z * Z * Z, z5 = z3 * Z * Z, z7 = z5 * Z * Z, z9 = z7 * Z * Z, v = freedom;
        return Z + (z3 + Z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * Z) / (96 * v * v)
            + (3 * z7 + 19 * z5 + 17 * z3 - 15 * Z) / (384 * v * v * v)
            + (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * Z) / (92160 * v * v * v * v);
    }
}
