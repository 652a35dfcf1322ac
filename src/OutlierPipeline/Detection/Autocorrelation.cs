namespace OutlierPipeline.Detection;

/// <summary>How many neighbouring frames make one piece of evidence.</summary>
internal static class Autocorrelation
{
    /// <summary>The first lag, in frames, at which the autocorrelation of a series that is cut into drives is below one half: from there on, two values are less alike than not.</summary>
    /// <param name="drives">Number of values of each drive.</param>
    public static int Lag(IReadOnlyList<double> values, IReadOnlyList<int> drives)
    {
        double[] finite = [.. values.Select(value => Math.Min(value, 1e6))];
        double mean = finite.Average();
        double variance = finite.Average(value => (value - mean) * (value - mean));
        int longest = Math.Max(1, drives.Max() / 4);
        if (variance < 1e-18) return 1;
        for (int lag = 1; lag < longest; lag++)
        {
            if (Correlation(lag) < 0.5) return lag;
        }
        return longest;

        double Correlation(int lag)
        {
            double sum = 0;
            int pairs = 0;
            int first = 0;
            foreach (int drive in drives)
            {
                for (int i = first; i + lag < first + drive; i++, pairs++) sum += (finite[i] - mean) * (finite[i + lag] - mean);
                first += drive;
            }
            return pairs == 0 ? 0 : sum / pairs / variance;
        }
    }
}
