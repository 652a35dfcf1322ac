namespace OutlierPipeline.Models;

/// <summary>Quantiles of a sample, interpolated between its values (type 7 of Hyndman and Fan, 1996).</summary>
public static class Quantiles
{
    /// <param name="ascending">At least one value; the last may be infinite.</param>
    /// <param name="q">From 0 to 1.</param>
    public static double Of(ReadOnlySpan<double> ascending, double q)
    {
        double position = q * (ascending.Length - 1);
        int below = (int)position;
        double low = ascending[below];
        double high = ascending[Math.Min(below + 1, ascending.Length - 1)];
        double share = position - below;
        // Infinity less infinity, or times 0, would not be a number.
        return share == 0 || low == high ? low : low + share * (high - low);
    }

    /// <summary>The median of values in any order.</summary>
    public static double Median(IEnumerable<double> values) => Of([.. values.Order()], 0.5);
}
