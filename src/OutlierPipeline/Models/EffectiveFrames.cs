namespace OutlierPipeline.Models;

/// <summary>
/// As how many independent frames footage counts. A frame that shows what an earlier one did counts nothing; neighbouring frames that are
/// alike
/// share one count; and a drive counts once where it is too short, or too even, to show how fast its frames forget each other.
/// </summary>
internal static class EffectiveFrames
{
    /// <summary>A correlation over more than this share of a drive is not known.</summary>
    private const int LagsOfDrive = 4;

    /// <summary>Shorter drives have no lag to look at.</summary>
    private const int ShortDrive = 2 * LagsOfDrive;

    /// <param name="values">Each frame's combined score, drive by drive, in time order.</param>
    /// <param name="drives">Number of values of each drive.</param>
    /// <param name="isNew">Whether the frame shows something that no earlier one did.</param>
    /// <returns>At least 1, at most the number of frames that are new.</returns>
    public static double Count(IReadOnlyList<double> values, IReadOnlyList<int> drives, IReadOnlyList<bool> isNew)
    {
        var series = new List<double[]>();
        int first = 0;
        foreach (int length in drives)
        {
            double[] drive = [.. Enumerable.Range(first, length).Where(i => isNew[i]).Select(i => Math.Min(values[i], 1e6))];
            if (drive.Length > 0) series.Add(drive);
            first += length;
        }
        int lag = Lag(series);
        return Math.Max(1, series.Sum(drive => drive.Length < ShortDrive ? 1 : Math.Max(1, (double)drive.Length / lag)));
    }

    /// <summary>
    /// The first lag, in frames, at which the autocorrelation is below one half: from there on, two values are less alike than not. The
    /// longest
    /// drive's length where none is.
    /// </summary>
    private static int Lag(List<double[]> drives)
    {
        int longest = drives.Max(drive => drive.Length);
        double mean = drives.SelectMany(drive => drive).Average();
        double variance = drives.SelectMany(drive => drive).Average(value => (value - mean) * (value - mean));
        if (variance < 1e-18) return longest;
        for (int lag = 1; lag < longest / LagsOfDrive; lag++)
        {
            if (Correlation(lag) < 0.5) return lag;
        }
        return longest;

        double Correlation(int lag)
        {
            double sum = 0;
            int pairs = 0;
            foreach (double[] drive in drives)
            {
                for (int i = 0; i + lag < drive.Length; i++, pairs++) sum += (drive[i] - mean) * (drive[i + lag] - mean);
            }
            return pairs == 0 ? 0 : sum / pairs / variance;
        }
    }
}
