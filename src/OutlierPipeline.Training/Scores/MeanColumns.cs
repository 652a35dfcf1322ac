namespace OutlierPipeline.Training.Scores;

/// <summary>
/// The numbers of what <see cref="PatchMeans{T}"/> has: first logarithms of power means, then means of the picture and of each of its
/// thirds, then log deviations.
/// </summary>
internal static class MeanColumns
{
    public const int Colours = 3;

    /// <summary>Generalised means that are taken the logarithm of.</summary>
    public const int Logs = 5 * Bands + 2 * Colours;

    /// <summary>Of one region: those, colours, their squares, squared residual, similarity, log energies.</summary>
    public const int Count = Logs + 2 * Colours + 2 + Bands;

    /// <summary>Within a region.</summary>
    public const int FirstColour = Logs;

    /// <summary>Colours count by their exponentials of this and of its negative.</summary>
    public const double ColourPower = 8;

    private const int Bands = PatchFeatures.Bands;
    private const int Regions = 4;

    /// <summary>
    /// −2 and −1 listen to the smoothest patches, where thin rain and noise show and the mean over the picture sees nothing; 1 and 2 to the
    /// roughest.
    /// </summary>
    public static float[] Exponents { get; } =
    [
        .. Power(-2, Bands), .. Power(-1, Bands), .. Power(1, 2 * Bands), .. Power(2, Bands), .. Power(-ColourPower, Colours),
        .. Power(ColourPower, Colours),
    ];

    /// <summary>Logarithms of mean energies of bands of picture and residual, 18.</summary>
    public static IEnumerable<int> LogEnergies => Enumerable.Range(2 * Bands, 2 * Bands);

    /// <summary>
    /// Generalised means of the picture's energies, as logarithms, then those of exponentials of its colours: 9 · 4 + 3 · 2, by exponent.
    /// </summary>
    public static IEnumerable<int> LogPowers => [.. Enumerable.Range(0, 3 * Bands), .. Enumerable.Range(4 * Bands, Bands + 2 * Colours)];

    /// <summary>Mean colours, 3.</summary>
    public static IEnumerable<int> MeanColours => Mean(0, FirstColour, Colours);

    /// <summary>Mean squared residual.</summary>
    public static IEnumerable<int> SquaredError => Mean(0, FirstColour + 2 * Colours, 1);

    /// <summary>Mean structural similarity.</summary>
    public static IEnumerable<int> Similarity => Mean(0, FirstColour + 2 * Colours + 1, 1);

    /// <summary>Means of the picture's log energies, 9.</summary>
    public static IEnumerable<int> MeanLogEnergies => Mean(0, FirstColour + 2 * Colours + 2, Bands);

    /// <summary>Mean colours of the upper, middle and lower third, 9.</summary>
    public static IEnumerable<int> ColoursOfThirds =>
        [.. Mean(1, FirstColour, Colours), .. Mean(2, FirstColour, Colours), .. Mean(3, FirstColour, Colours)];

    /// <summary>Log standard deviation of each colour over the patches, 3.</summary>
    public static IEnumerable<int> LogDeviations => Enumerable.Range(Logs + Regions * Count, Colours);

    private static IEnumerable<int> Mean(int region, int first, int count) => Enumerable.Range(Logs + region * Count + first, count);

    private static IEnumerable<float> Power(double power, int count) => Enumerable.Repeat((float)(1 / power), count);
}
