namespace OutlierPipeline.Training.Scores;

/// <summary>
/// A mixture of Gaussians, fitted by expectation maximisation from a k-means start; a row's likelihood is that of its best component. Rows
/// are whitened first by the
/// covariance of all, in which components then need a variance an axis only.
/// </summary>
/// <remarks>
/// Dempster, Laird and Rubin 1977. The best component instead of their sum: one maximum in the graph, and nearly the same number where
/// components hardly overlap.
/// </remarks>
public sealed class GaussianMixture
{
    /// <summary>Rows that are fitted to; more only take longer.</summary>
    public const int MaxRows = 20_000;

    private const int Components = 64;
    private const int Means = 10;
    private const int Steps = 12;

    /// <summary>Added to each component's variances: few rows must not make a needle.</summary>
    private const double Ridge = 0.02;

    private readonly GaussianDensity _whole;
    private readonly double[][] _mean;
    private readonly double[][] _variance;
    private readonly double[] _constant;

    private GaussianMixture(GaussianDensity whole, double[][] mean, double[][] variance, double[] constant)
    {
        _whole = whole;
        _mean = mean;
        _variance = variance;
        _constant = constant;
    }

    /// <param name="rows">n rows of D values.</param>
    public static GaussianMixture Fit(float[][] rows)
    {
        int d = rows[0].Length;
        var whole = GaussianDensity.Fit(rows, shrinkage: 0);
        double[][] y = [.. rows.Select(whole.Whitened)];
        int k = Math.Min(Components, Math.Max(1, y.Length / (4 * d)));
        var random = new Random(1);
        int[] start = [.. Enumerable.Range(0, y.Length)];
        random.Shuffle(start);
        double[][] means = [.. start.Take(k).Select(i => (double[])y[i].Clone())];
        int[] nearest = new int[y.Length];
        for (int step = 0; step < Means; step++)
        {
            Parallel.For(0, y.Length, i => nearest[i] = Nearest(means, y[i]));
            for (int c = 0; c < k; c++)
            {
                double[][] members = [.. y.Where((_, i) => nearest[i] == c)];
                means[c] = members.Length == 0
                    ? (double[])y[random.Next(y.Length)].Clone()
                    : [.. Enumerable.Range(0, d).Select(i => members.Average(row => row[i]))];
            }
        }
        double[][] weights = [.. y.Select((_, i) => Enumerable.Range(0, k).Select(c => nearest[i] == c ? 1.0 : 0).ToArray())];
        var mixture = Maximise(whole, y, weights, k);
        for (int step = 0; step < Steps; step++)
        {
            Parallel.For(0, y.Length, i => mixture.Share(y[i], weights[i]));
            mixture = Maximise(whole, y, weights, k);
        }
        return mixture;
    }

    /// <summary>In nats, of one row of D values.</summary>
    public double LogLikelihood(float[] row)
    {
        double[] y = _whole.Whitened(row);
        return Enumerable.Range(0, _mean.Length).Max(c => LogDensity(c, y));
    }

    /// <summary>In nats, <c>[R, 1]</c>.</summary>
    /// <param name="rows"><c>[R, D]</c>.</param>
    public T LogLikelihood<T>(TensorOps<T> ops, T rows)
    {
        int d = _mean[0].Length;
        int k = _mean.Length;
        var y = _whole.Whitened(ops, rows);
        // Every component's density is a weighted sum of the values and their squares.
        float[] weights = new float[2 * d * k];
        for (int c = 0; c < k; c++)
        {
            for (int i = 0; i < d; i++)
            {
                weights[i * k + c] = (float)(_mean[c][i] / _variance[c][i]);
                weights[(d + i) * k + c] = (float)(-0.5 / _variance[c][i]);
            }
        }
        float[] constants = [.. _mean.Select((mean, c) =>
            (float)(_constant[c] - 0.5 * mean.Select((value, i) => value * value / _variance[c][i]).Sum()))];
        return ops.MaxLast(ops.Dense(ops.Concat(y, ops.Square(y)), ops.Constant(weights, 2 * d, k), ops.Constant(constants, k)));
    }

    private static GaussianMixture Maximise(GaussianDensity whole, double[][] y, double[][] weights, int k)
    {
        int d = y[0].Length;
        double[][] means = new double[k][];
        double[][] variances = new double[k][];
        double[] constants = new double[k];
        Parallel.For(0, k, c =>
        {
            double total = 1e-9;
            double[] mean = new double[d];
            double[] variance = new double[d];
            for (int n = 0; n < y.Length; n++)
            {
                double weight = weights[n][c];
                if (weight < 1e-6) continue;
                total += weight;
                for (int i = 0; i < d; i++)
                {
                    mean[i] += weight * y[n][i];
                    variance[i] += weight * y[n][i] * y[n][i];
                }
            }
            for (int i = 0; i < d; i++)
            {
                mean[i] /= total;
                variance[i] = Math.Max(0, variance[i] / total - mean[i] * mean[i]) + Ridge;
            }
            means[c] = mean;
            variances[c] = variance;
            constants[c] = Math.Log(total / y.Length) - 0.5 * variance.Sum(Math.Log);
        });
        return new GaussianMixture(whole, means, variances, constants);
    }

    /// <summary>Each component's share in a row.</summary>
    private void Share(double[] y, double[] shares)
    {
        double largest = double.NegativeInfinity;
        for (int c = 0; c < shares.Length; c++)
        {
            shares[c] = LogDensity(c, y);
            largest = Math.Max(largest, shares[c]);
        }
        double sum = 0;
        for (int c = 0; c < shares.Length; c++) sum += shares[c] = Math.Exp(shares[c] - largest);
        for (int c = 0; c < shares.Length; c++) shares[c] /= sum;
    }

    private double LogDensity(int c, double[] y)
    {
        double sum = 0;
        for (int i = 0; i < y.Length; i++) sum += (y[i] - _mean[c][i]) * (y[i] - _mean[c][i]) / _variance[c][i];
        return _constant[c] - 0.5 * sum;
    }

    private static int Nearest(double[][] means, double[] y)
    {
        int nearest = 0;
        double shortest = double.PositiveInfinity;
        for (int c = 0; c < means.Length; c++)
        {
            double distance = 0;
            for (int i = 0; i < y.Length; i++) distance += (y[i] - means[c][i]) * (y[i] - means[c][i]);
            if (distance < shortest) (nearest, shortest) = (c, distance);
        }
        return nearest;
    }
}
