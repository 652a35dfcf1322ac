namespace OutlierPipeline.Training.Scores;

/// <summary>
/// A mixture of Gaussians with full covariances, fitted by expectation maximisation from a k-means start; a row's likelihood is that of its best component.
/// </summary>
/// <remarks>Dempster, Laird and Rubin 1977. The best component instead of their sum: one maximum in the graph, and nearly the same number where components hardly overlap.</remarks>
public sealed class GaussianMixture
{
    /// <summary>Rows that are fitted to; more only take longer.</summary>
    public const int MaxRows = 20_000;

    private const int Components = 32;
    private const int Means = 10;
    private const int Steps = 12;

    /// <summary>Added to each component's standardised variances: few rows must not make a needle.</summary>
    private const double Ridge = 0.02;

    private readonly double[] _centre;
    private readonly double[] _scale;
    private readonly double[][] _mean;
    private readonly double[][,] _whitening;
    private readonly double[] _constant;

    private GaussianMixture(double[] centre, double[] scale, double[][] mean, double[][,] whitening, double[] constant)
    {
        _centre = centre;
        _scale = scale;
        _mean = mean;
        _whitening = whitening;
        _constant = constant;
    }

    /// <param name="rows">n rows of D values.</param>
    public static GaussianMixture Fit(double[][] rows)
    {
        int d = rows[0].Length;
        double[] centre = [.. Enumerable.Range(0, d).Select(i => rows.Average(row => row[i]))];
        double[] scale = [.. Enumerable.Range(0, d).Select(i => Math.Sqrt(rows.Average(row => (row[i] - centre[i]) * (row[i] - centre[i]))) + 1e-6)];
        double[][] y = [.. rows.Select(row => row.Select((value, i) => (value - centre[i]) / scale[i]).ToArray())];
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
                means[c] = members.Length == 0 ? (double[])y[random.Next(y.Length)].Clone() : [.. Enumerable.Range(0, d).Select(i => members.Average(row => row[i]))];
            }
        }
        double[][] weights = [.. y.Select((_, i) => Enumerable.Range(0, k).Select(c => nearest[i] == c ? 1.0 : 0).ToArray())];
        var mixture = Maximise(y, weights, centre, scale, k, d);
        for (int step = 0; step < Steps; step++)
        {
            Parallel.For(0, y.Length, i => mixture.Share(y[i], weights[i]));
            mixture = Maximise(y, weights, centre, scale, k, d);
        }
        return mixture;
    }

    /// <summary>In nats, of one row of D values.</summary>
    public double NegativeLogLikelihood(double[] row)
    {
        double[] y = [.. row.Select((value, i) => (value - _centre[i]) / _scale[i])];
        double best = double.NegativeInfinity;
        for (int c = 0; c < _mean.Length; c++) best = Math.Max(best, LogDensity(c, y));
        return -best;
    }

    /// <summary>In nats, <c>[N, P, 1]</c>, of rows whose first values come from the frame and whose last are known of each patch.</summary>
    /// <param name="x"><c>[N, X, P]</c>.</param>
    /// <param name="known">The last D − X values of a patch.</param>
    /// <remarks>Written as one product of the row's monomials of degree 0 to 2 with a matrix, which is a quarter of the work of whitening by every component.</remarks>
    public T NegativeLogLikelihood<T>(TensorOps<T> ops, T x, int patches, Func<int, double[]> known)
    {
        int d = _centre.Length;
        int k = _mean.Length;
        int given = d - known(0).Length;
        var y = ops.Divide(ops.Subtract(x, ops.Constant([.. _centre.Take(given).Select(value => (float)value)], 1, given, 1)), ops.Constant([.. _scale.Take(given).Select(value => (float)value)], 1, given, 1));
        float[] rest = [.. Enumerable.Range(given, d - given).SelectMany(i => Enumerable.Range(0, patches).Select(patch => (float)((known(patch)[i - given] - _centre[i]) / _scale[i]))), .. Enumerable.Repeat(1f, patches)];
        // A constant has one frame; what it is put beside has N.
        var constants = ops.Add(ops.Multiply(ops.Slice(y, 1, 0, 1), ops.Constant(0)), ops.Constant(rest, 1, d - given + 1, patches));
        var rows = ops.SwapLast(ops.Concat(y, constants));
        (int I, int J)[] pairs = [.. Enumerable.Range(0, d + 1).SelectMany(i => Enumerable.Range(i, d + 1 - i).Select(j => (i, j)))];
        // Columns are picked by a product with ones and zeros: gathering is ten times slower on CPU.
        var monomials = ops.Multiply(ops.MatMul(rows, Picked(pair => pair.I)), ops.MatMul(rows, Picked(pair => pair.J)));
        float[] matrix = new float[pairs.Length * k];
        for (int c = 0; c < k; c++)
        {
            double[,] form = Form(c);
            for (int m = 0; m < pairs.Length; m++) matrix[m * k + c] = (float)(form[pairs[m].I, pairs[m].J] * (pairs[m].I == pairs[m].J ? 1 : 2));
        }
        return ops.Multiply(ops.MaxLast(ops.MatMul(monomials, ops.Constant(matrix, pairs.Length, k))), ops.Constant(-1));

        T Picked(Func<(int I, int J), int> column)
        {
            float[] ones = new float[(d + 1) * pairs.Length];
            for (int m = 0; m < pairs.Length; m++) ones[column(pairs[m]) * pairs.Length + m] = 1;
            return ops.Constant(ones, d + 1, pairs.Length);
        }
    }

    /// <summary>The log density of component c as a symmetric form of (y, 1).</summary>
    private double[,] Form(int c)
    {
        int d = _centre.Length;
        double[,] form = new double[d + 1, d + 1];
        for (int i = 0; i < d; i++)
        {
            for (int j = 0; j < d; j++)
            {
                double precision = 0;
                for (int row = Math.Max(i, j); row < d; row++) precision += _whitening[c][row, i] * _whitening[c][row, j];
                form[i, j] = -0.5 * precision;
                form[i, d] += 0.5 * precision * _mean[c][j];
                form[d, d] -= 0.5 * precision * _mean[c][i] * _mean[c][j];
            }
            form[d, i] = form[i, d];
        }
        form[d, d] += _constant[c];
        return form;
    }

    private static GaussianMixture Maximise(double[][] y, double[][] weights, double[] centre, double[] scale, int k, int d)
    {
        double[][] means = new double[k][];
        var whitening = new double[k][,];
        double[] constants = new double[k];
        Parallel.For(0, k, c =>
        {
            double total = 1e-9;
            double[] mean = new double[d];
            double[,] covariance = new double[d, d];
            for (int n = 0; n < y.Length; n++)
            {
                double weight = weights[n][c];
                if (weight < 1e-6) continue;
                total += weight;
                for (int i = 0; i < d; i++)
                {
                    mean[i] += weight * y[n][i];
                    for (int j = 0; j <= i; j++) covariance[i, j] += weight * y[n][i] * y[n][j];
                }
            }
            for (int i = 0; i < d; i++) mean[i] /= total;
            for (int i = 0; i < d; i++)
            {
                for (int j = 0; j <= i; j++) covariance[i, j] = covariance[i, j] / total - mean[i] * mean[j];
                covariance[i, i] += Ridge;
            }
            var (inverse, logDeterminant) = GaussianDensity.Whiten(covariance, d);
            means[c] = mean;
            whitening[c] = inverse;
            constants[c] = Math.Log(total / y.Length) - 0.5 * logDeterminant;
        });
        return new GaussianMixture(centre, scale, means, whitening, constants);
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
        double[,] whitening = _whitening[c];
        double[] mean = _mean[c];
        for (int i = 0; i < y.Length; i++)
        {
            double value = 0;
            for (int j = 0; j <= i; j++) value += whitening[i, j] * (y[j] - mean[j]);
            sum += value * value;
        }
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
