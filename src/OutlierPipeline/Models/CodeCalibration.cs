using System.Globalization;
using System.Text.Json;

namespace OutlierPipeline.Models;

/// <summary>
/// Where each dimension of the code lies on normal footage: with it an alert says along what a frame is unusual. No score and no alert
/// depends on it.
/// </summary>
/// <remarks>
/// After Ramakrishna, Rahiminasab, Karsai, Easwaran and Dubey, Efficient Out-of-Distribution Detection Using Latent Space of β-VAE for
/// Cyber-Physical Systems, ACM TCPS 2022, whose reasoner watches the dimensions that go with one factor of the picture.
/// </remarks>
public sealed record CodeCalibration
{
    /// <summary>Scores that are a density of the code, by the names that packages give them.</summary>
    private static readonly string[] Densities = ["latent", "codes"];

    /// <summary>
    /// No deviation counts as smaller than this share of the largest: a dimension that the network does not use hardly moves, and a hair's
    /// breadth would be many deviations.
    /// </summary>
    private const double Smallest = 0.1;

    private const int SignificantDigits = 5;

    /// <summary>The score that is the density of the code.</summary>
    public required string Score { get; init; }

    /// <summary>Of each dimension over the calibration frames, length Z.</summary>
    public required float[] Mean { get; init; }

    /// <summary>The standard deviation of each dimension over the calibration frames, length Z, positive.</summary>
    public required float[] Deviation { get; init; }

    /// <summary>Measures the calibration frames' codes; null where no score is a density of the code, or no dimension varies.</summary>
    /// <param name="scores">Names of the package's scores.</param>
    /// <param name="codes">n rows of Z.</param>
    /// <exception cref="ArgumentException">No codes, or a number that is not finite.</exception>
    public static CodeCalibration? Fit(IReadOnlyList<string> scores, IReadOnlyList<float[]> codes)
    {
        if (Densities.FirstOrDefault(scores.Contains) is not { } score) return null;
        if (codes.Count == 0 || codes.Any(code => !code.All(float.IsFinite)))
            throw new ArgumentException("there are no codes, or one is not finite", nameof(codes));
        int length = codes[0].Length;
        double[] mean = [.. Enumerable.Range(0, length).Select(d => codes.Average(code => (double)code[d]))];
        double[] deviation = [.. mean.Select((middle, d) => Math.Sqrt(codes.Average(code => (code[d] - middle) * (code[d] - middle))))];
        double least = Smallest * deviation.Max();
        return least > 0
            ? new CodeCalibration { Score = score, Mean = Round(mean), Deviation = Round(deviation.Select(one => Math.Max(one, least))) }
            : null;
    }

    /// <exception cref="JsonException">What was read does not fit; the message says why.</exception>
    internal void Check(IReadOnlyList<string> scores)
    {
        if (!scores.Contains(Score)) throw new JsonException($"code: score is {Score}, which is none of the scores");
        if (Mean.Length == 0 || Deviation.Length != Mean.Length)
            throw new JsonException($"code: mean and deviation must be equally long, they have {Mean.Length} and " +
                $"{Deviation.Length} entries");
        if (!Mean.All(float.IsFinite) || !Deviation.All(one => float.IsFinite(one) && one > 0))
            throw new JsonException("code: a mean is not finite, or a deviation not positive");
    }

    /// <summary>As many digits as an alert can show: the file stays small.</summary>
    private static float[] Round(IEnumerable<double> values) => [.. values.Select(value =>
        float.Parse(value.ToString($"G{SignificantDigits}", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture))];
}
