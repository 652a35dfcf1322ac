namespace OutlierPipeline.Training.Scores;

/// <summary>
/// A Gaussian with full covariance, shrunk towards its diagonal so that it can be fitted to few frames. The squared Mahalanobis distance is
/// that of the features whitened by the inverse Cholesky factor: one matrix product in the graph.
/// </summary>
/// <remarks>Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, 2004, with a fixed intensity.</remarks>
public sealed class GaussianDensity
{
    private const double Shrinkage = 0.1;
    private readonly float[] _mean;
    private readonly float[] _whitening;

    private GaussianDensity(float[] mean, float[] whitening)
    {
        _mean = mean;
        _whitening = whitening;
    }

    /// <param name="rows">n rows of F features.</param>
    /// <exception cref="ArgumentException">No row, or a feature that is not finite.</exception>
    public static GaussianDensity Fit(float[][] rows)
    {
        if (rows.Length == 0) throw new ArgumentException("no rows to fit a density to", nameof(rows));
        int f = rows[0].Length;
        double[] mean = new double[f];
        foreach (float[] row in rows)
        {
            for (int i = 0; i < f; i++) mean[i] += row[i] / (double)rows.Length;
        }
        if (mean.Any(value => !double.IsFinite(value))) throw new ArgumentException("a feature is not finite", nameof(rows));
        double[,] covariance = new double[f, f];
        foreach (float[] row in rows)
        {
            for (int i = 0; i < f; i++)
            {
                for (int j = 0; j <= i; j++) covariance[i, j] += (row[i] - mean[i]) * (row[j] - mean[j]) / rows.Length;
            }
        }
        for (int i = 0; i < f; i++)
        {
            for (int j = 0; j < i; j++) covariance[i, j] *= 1 - Shrinkage;
            // A feature that never varied must not make every other value infinitely strange.
            covariance[i, i] += 1e-6 + 1e-4 * covariance[i, i];
        }
        double[,] inverse = InvertLower(Cholesky(covariance, f), f);
        float[] whitening = new float[f * f];
        for (int i = 0; i < f; i++)
        {
            for (int j = 0; j <= i; j++) whitening[j * f + i] = (float)inverse[i, j];
        }
        return new GaussianDensity([.. mean.Select(value => (float)value)], whitening);
    }

    /// <summary>Squared Mahalanobis distance, <c>[N, 1]</c>, of features <c>[N, F]</c>.</summary>
    public T Distance<T>(TensorOps<T> ops, T features)
    {
        int f = _mean.Length;
        var whitened = ops.MatMul(ops.Subtract(features, ops.Constant(_mean, 1, f)), ops.Constant(_whitening, f, f));
        return ops.SumLast(ops.Square(whitened));
    }

    private static double[,] Cholesky(double[,] a, int n)
    {
        double[,] l = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = a[i, j];
                for (int k = 0; k < j; k++) sum -= l[i, k] * l[j, k];
                l[i, j] = i == j ? Math.Sqrt(Math.Max(sum, 1e-12)) : sum / l[j, j];
            }
        }
        return l;
    }

    private static double[,] InvertLower(double[,] l, int n)
    {
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
        return inverse;
    }
}
