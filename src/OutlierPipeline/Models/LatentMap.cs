using System.Globalization;
using System.Text.Json;

namespace OutlierPipeline.Models;

/// <summary>
/// The plane in which the codes of normal frames differ most, for looking at where a frame's code lies among them; no score and no alert
/// depends on it.
/// </summary>
/// <remarks>Its axes are principal components: Jolliffe, Principal Component Analysis, 2002, section 1.1.</remarks>
public sealed record LatentMap
{
    /// <summary>Points that are kept, at most.</summary>
    public const int MaxPoints = 300;

    private const int SignificantDigits = 5;
    private const int MaxSweeps = 50;

    /// <summary>Mean of the codes, length Z.</summary>
    public required float[] Mean { get; init; }

    /// <summary>Direction of the largest variance, a unit vector of length Z; its largest component is positive.</summary>
    public required float[] First { get; init; }

    /// <summary>Direction of the largest variance at right angles to the first, likewise; zeros where Z is 1.</summary>
    public required float[] Second { get; init; }

    /// <summary>Calibration frames, evenly spread in time, each <c>[x, y]</c>.</summary>
    public required float[][] Points { get; init; }

    /// <summary>Finds the plane.</summary>
    /// <param name="codes">n rows of Z, in time order.</param>
    /// <exception cref="ArgumentException">No codes, a code of another length, or one that is not finite.</exception>
    public static LatentMap Fit(IReadOnlyList<float[]> codes)
    {
        if (codes.Count == 0 || codes[0].Length == 0) throw new ArgumentException("there are no codes", nameof(codes));
        int length = codes[0].Length;
        if (codes.Any(code => code.Length != length)) throw new ArgumentException($"a code does not hold {length} numbers", nameof(codes));
        if (codes.Any(code => !code.All(float.IsFinite))) throw new ArgumentException("a code is not finite", nameof(codes));
        double[] mean = [.. Enumerable.Range(0, length).Select(i => codes.Average(code => (double)code[i]))];
        var axes = PrincipalAxes(Covariance(codes, mean));
        var map = new LatentMap { Mean = Round(mean), First = Round(axes[0]), Second = Round(length > 1 ? axes[1] : [0]), Points = [] };
        int points = Math.Min(codes.Count, MaxPoints);
        return map with
        {
            Points = [.. Enumerable.Range(0, points).Select(i =>
            Point(codes[(int)((long)i * (codes.Count - 1) / Math.Max(points - 1, 1))]))]
        };

        float[] Point(float[] code)
        {
            var (x, y) = map.Project(code);
            return Round([x, y]);
        }
    }

    /// <summary>A code's place in the plane.</summary>
    /// <param name="latent">Length Z.</param>
    /// <exception cref="ArgumentException">The code is of another length.</exception>
    public (float X, float Y) Project(ReadOnlySpan<float> latent)
    {
        if (latent.Length != Mean.Length)
            throw new ArgumentException($"the code holds {latent.Length} numbers, the map's {Mean.Length}", nameof(latent));
        double x = 0;
        double y = 0;
        for (int i = 0; i < latent.Length; i++)
        {
            double difference = (double)latent[i] - Mean[i];
            x += difference * First[i];
            y += difference * Second[i];
        }
        return ((float)x, (float)y);
    }

    /// <exception cref="JsonException">What was read is no map; the message says why.</exception>
    internal void Check()
    {
        if (Mean.Length == 0 || First.Length != Mean.Length || Second.Length != Mean.Length)
            throw new JsonException($"latentMap: mean, first and second must be equally long, they have {Mean.Length}, {First.Length} " +
                $"and {Second.Length} entries");
        if (Points.Any(point => point is not { Length: 2 })) throw new JsonException("latentMap: every point must have 2 entries");
        // A number beyond the range of a float is read as infinite.
        if (!Mean.Concat(First).Concat(Second).Concat(Points.SelectMany(point => point)).All(float.IsFinite))
            throw new JsonException("latentMap: a number is not finite");
    }

    /// <returns><c>[Z, Z]</c>.</returns>
    private static double[,] Covariance(IReadOnlyList<float[]> codes, double[] mean)
    {
        int length = mean.Length;
        double[,] covariance = new double[length, length];
        double[] difference = new double[length];
        foreach (float[] code in codes)
        {
            for (int i = 0; i < length; i++) difference[i] = code[i] - mean[i];
            for (int i = 0; i < length; i++)
            {
                for (int j = 0; j <= i; j++) covariance[i, j] += difference[i] * difference[j] / codes.Count;
            }
        }
        for (int i = 0; i < length; i++)
        {
            for (int j = 0; j < i; j++) covariance[j, i] = covariance[i, j];
        }
        return covariance;
    }

    /// <summary>
    /// Eigenvectors, those of larger eigenvalues first, by cyclic Jacobi rotations, which do not mind eigenvalues that are nearly equal.
    /// </summary>
    /// <remarks>Golub and Van Loan, Matrix Computations, 1996, section 8.4.</remarks>
    /// <param name="matrix">Symmetric; it is left diagonal.</param>
    private static double[][] PrincipalAxes(double[,] matrix)
    {
        int length = matrix.GetLength(0);
        double[][] axes = [.. Enumerable.Range(0, length).Select(i => Enumerable.Range(0, length).Select(j => i == j ? 1.0 : 0).ToArray())];
        double negligible = 1e-14 * Enumerable.Range(0, length).Sum(i => matrix[i, i]);
        bool rotated = true;
        for (int sweep = 0; rotated && sweep < MaxSweeps; sweep++)
        {
            rotated = false;
            for (int p = 0; p < length; p++)
            {
                for (int q = p + 1; q < length; q++)
                {
                    if (Math.Abs(matrix[p, q]) <= negligible) continue;
                    Rotate(p, q);
                    rotated = true;
                }
            }
        }
        int[] order = [.. Enumerable.Range(0, length).OrderByDescending(i => matrix[i, i])];
        foreach (double[] axis in axes)
        {
            // An eigenvector has no sign of its own.
            if (axis.MaxBy(Math.Abs) >= 0) continue;
            for (int i = 0; i < length; i++) axis[i] = -axis[i];
        }
        return [.. order.Select(i => axes[i])];

        // Makes [p, q] zero.
        void Rotate(int p, int q)
        {
            double theta = (matrix[q, q] - matrix[p, p]) / (2 * matrix[p, q]);
            double tangent = (theta < 0 ? -1 : 1) / (Math.Abs(theta) + Math.Sqrt(theta * theta + 1));
            double cosine = 1 / Math.Sqrt(tangent * tangent + 1);
            double sine = tangent * cosine;
            for (int i = 0; i < length; i++)
                (matrix[i, p], matrix[i, q]) = (cosine * matrix[i, p] - sine * matrix[i, q], sine * matrix[i, p] + cosine * matrix[i, q]);
            for (int i = 0; i < length; i++)
                (matrix[p, i], matrix[q, i]) = (cosine * matrix[p, i] - sine * matrix[q, i], sine * matrix[p, i] + cosine * matrix[q, i]);
            for (int i = 0; i < length; i++)
                (axes[p][i], axes[q][i]) = (cosine * axes[p][i] - sine * axes[q][i], sine * axes[p][i] + cosine * axes[q][i]);
        }
    }

    /// <summary>As many digits as a picture can show: the file stays small.</summary>
    private static float[] Round(IEnumerable<double> values) =>
        [.. values.Select(value =>
        float.Parse(value.ToString($"G{SignificantDigits}", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture))];
}
