namespace OutlierPipeline.Training.Scores;

/// <summary>
/// A Gaussian with full covariance, shrunk towards its diagonal. How far is chosen by the likelihood of blocks of time that were left out:
/// frames of the same
/// block are too alike to say. The squared Mahalanobis distance is that of the features whitened by the inverse Cholesky factor: one matrix
/// product in the graph.
/// </summary>
/// <remarks>
/// Shrinkage as in Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, 2004, its intensity by
/// cross-validation.
/// </remarks>
public sealed class GaussianDensity
{
    private const int Blocks = 5;
    private static readonly double[] Shrinkages = [0.003, 0.01, 0.03, 0.1, 0.2, 0.4];
    private readonly float[] _mean;

    private GaussianDensity(float[] mean, float[] whitening)
    {
        _mean = mean;
        Whitening = whitening;
    }

    /// <summary>What features less their mean are multiplied with, <c>[F, F]</c>.</summary>
    public float[] Whitening { get; }

    /// <summary>What is added instead to features that are multiplied as they are, F values.</summary>
    public float[] Offset =>
        [.. Enumerable.Range(0, Dimensions).Select(column =>
        (float)-Enumerable.Range(0, Dimensions).Sum(row => (double)_mean[row] * Whitening[row * Dimensions + column]))];

    /// <summary>Features, F.</summary>
    public int Dimensions => _mean.Length;

    /// <param name="rows">n rows of F features, in time order.</param>
    /// <param name="shrinkage">Share of the diagonal; chosen by cross-validation if null.</param>
    /// <exception cref="ArgumentException">No row, or a feature that is not finite.</exception>
    public static GaussianDensity Fit(float[][] rows, double? shrinkage = null)
    {
        if (rows.Length == 0) throw new ArgumentException("no rows to fit a density to", nameof(rows));
        if (rows.Any(row => row.Any(value => !float.IsFinite(value)))) throw new ArgumentException("a feature is not finite", nameof(rows));
        double chosen = shrinkage
            ?? (rows.Length < 4 * Blocks ? Shrinkages[^1] : Shrinkages.MaxBy(candidate => HeldOutLikelihood(rows, candidate)));
        var (mean, covariance) = Moments(rows);
        var (inverse, _) = Whiten(Shrunk(covariance, chosen), mean.Length);
        int f = mean.Length;
        float[] whitening = new float[f * f];
        for (int i = 0; i < f; i++)
        {
            for (int j = 0; j <= i; j++) whitening[j * f + i] = (float)inverse[i, j];
        }
        return new GaussianDensity([.. mean.Select(value => (float)value)], whitening);
    }

    /// <summary>Squared Mahalanobis distance of one row.</summary>
    public double Distance(float[] features) => Whitened(features).Sum(value => value * value);

    /// <summary>Features less their mean times the inverse Cholesky factor, <c>[N, F]</c>: uncorrelated, and of variance 1.</summary>
    public T Whitened<T>(TensorOps<T> ops, T features) =>
        ops.Dense(features, ops.Constant(Whitening, Dimensions, Dimensions), ops.Constant(Offset, Dimensions));

    /// <inheritdoc cref="Whitened{T}"/>
    public double[] Whitened(float[] features) => Product([.. features.Select((value, i) => (double)value - _mean[i])], Whitening);

    /// <summary>A row times a matrix <c>[F, F]</c>.</summary>
    public static double[] Product(double[] row, float[] matrix)
    {
        int f = row.Length;
        double[] product = new double[f];
        for (int j = 0; j < f; j++)
        {
            for (int i = 0; i < f; i++) product[i] += row[j] * matrix[j * f + i];
        }
        return product;
    }

    /// <summary>The inverse Cholesky factor of a covariance (its lower triangle), and the logarithm of its determinant.</summary>
    public static (double[,] Inverse, double LogDeterminant) Whiten(double[,] covariance, int n)
    {
        double[,] l = new double[n, n];
        double logDeterminant = 0;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = covariance[i, j];
                for (int k = 0; k < j; k++) sum -= l[i, k] * l[j, k];
                l[i, j] = i == j ? Math.Sqrt(Math.Max(sum, 1e-12)) : sum / l[j, j];
            }
            logDeterminant += 2 * Math.Log(l[i, i]);
        }
        double[,] inverse = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            inverse[i, i] = 1 / l[i, i];
            for (int j = 0; j < i; j++)
            {
                double sum = 0;
                for (int k = j; k < i; k++) sum -= l[i, k] * inverse[k, j];
                inverse[i, j] = sum / l[i, i];
            }
        }
        return (inverse, logDeterminant);
    }

    private static double HeldOutLikelihood(float[][] rows, double shrinkage)
    {
        double likelihood = 0;
        for (int block = 0; block < Blocks; block++)
        {
            int from = block * rows.Length / Blocks;
            int to = (block + 1) * rows.Length / Blocks;
            var (mean, covariance) = Moments([.. rows[..from], .. rows[to..]]);
            var (inverse, logDeterminant) = Whiten(Shrunk(covariance, shrinkage), mean.Length);
            for (int n = from; n < to; n++)
            {
                double distance = 0;
                for (int i = 0; i < mean.Length; i++)
                {
                    double value = 0;
                    for (int j = 0; j <= i; j++) value += inverse[i, j] * (rows[n][j] - mean[j]);
                    distance += value * value;
                }
                likelihood -= 0.5 * (distance + logDeterminant);
            }
        }
        return likelihood;
    }

    private static double[,] Shrunk(double[,] covariance, double shrinkage)
    {
        int f = covariance.GetLength(0);
        double[,] shrunk = new double[f, f];
        for (int i = 0; i < f; i++)
        {
            for (int j = 0; j < i; j++) shrunk[i, j] = covariance[i, j] * (1 - shrinkage);
            // A feature that never varied must not make every other value infinitely strange.
            shrunk[i, i] = covariance[i, i] * (1 + 1e-4) + 1e-8;
        }
        return shrunk;
    }

    private static (double[] Mean, double[,] Covariance) Moments(float[][] rows)
    {
        int f = rows[0].Length;
        double[] mean = new double[f];
        foreach (float[] row in rows)
        {
            for (int i = 0; i < f; i++) mean[i] += row[i] / (double)rows.Length;
        }
        double[,] covariance = new double[f, f];
        foreach (float[] row in rows)
        {
            for (int i = 0; i < f; i++)
            {
                double deviation = (row[i] - mean[i]) / rows.Length;
                for (int j = 0; j <= i; j++) covariance[i, j] += deviation * (row[j] - mean[j]);
            }
        }
        return (mean, covariance);
    }
}
