namespace OutlierPipeline.Models;

/// <summary>
/// A generalised Pareto distribution over the upper tenth of normal scores: P(score &gt; t + x) = 0.1 (1 + ξ x / σ)^(−1/ξ).
/// </summary>
/// <param name="Threshold">t, the 90th percentile.</param>
/// <param name="Shape">ξ, at least 0.1: a tail lighter than that is more than a calibration of usual size can know.</param>
/// <param name="Scale">σ.</param>
/// <remarks>
/// Probability-weighted moments: Hosking and Wallis, Parameter and quantile estimation for the generalized Pareto distribution,
/// Technometrics 1987.
/// </remarks>
public sealed record Tail(double Threshold, double Shape, double Scale)
{
    private const double Share = 0.1;
    private const int MinExcesses = 10;
    private const double MinShape = 0.1;
    private const double MaxShape = 0.9;

    /// <summary>The extrapolated p-value of a score above the threshold.</summary>
    public double PValue(double score) => Share * Math.Pow(1 + Shape * (score - Threshold) / Scale, -1 / Shape);

    /// <param name="ascending">Scores of normal frames.</param>
    /// <returns>Null where fewer than ten are in the upper tenth, or all of them are the same.</returns>
    internal static Tail? Fit(double[] ascending)
    {
        int count = (int)(Share * ascending.Length);
        if (count < MinExcesses) return null;
        double threshold = ascending[^(count + 1)];
        double[] excesses = [.. ascending[^count..].Select(score => score - threshold)];
        double mean = excesses.Average();
        if (!(mean > 0)) return null;
        double weighted = 0;
        for (int i = 0; i < count; i++) weighted += excesses[i] * (1 - (i + 0.65) / count) / count;
        double shape = Math.Clamp(2 - mean / (mean - 2 * weighted), MinShape, MaxShape);
        // With the shape bounded, the scale is that of the mean excess σ / (1 − ξ).
        return new Tail(threshold, shape, Math.Max(mean * (1 - shape), 1e-12));
    }
}
