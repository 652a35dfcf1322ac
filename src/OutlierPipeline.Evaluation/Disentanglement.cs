namespace OutlierPipeline.Evaluation;

/// <summary>How far each dimension of a code goes with one factor of the pictures, on frames whose factors are known.</summary>
/// <remarks>
/// MIG: Chen et al., NeurIPS 2018, eq. 6, with histograms of 20 bins as in Locatello et al., ICML 2019. DCI: Eastwood and Williams, A
/// Framework for the Quantitative Evaluation of Disentangled Representations, ICLR 2018, with the lasso.
/// </remarks>
public sealed record Disentanglement
{
    /// <summary>A dimension is called by a factor that explains at least so much of it.</summary>
    public const double NamingR2 = 0.8;

    /// <summary>Fewer frames say nothing.</summary>
    public const int MinFrames = 100;

    private const int CodeBins = 20;
    private const int FactorBins = 10;
    private const double Lasso = 0.02;
    private const int Sweeps = 200;

    /// <summary>
    /// Mutual information gap, 0 to 1: of each factor, what the dimension that knows most of it knows more than the next; the mean over
    /// the factors, in shares of the factor's entropy.
    /// </summary>
    public required double Mig { get; init; }

    /// <summary>D, 0 to 1: whether a dimension matters to one factor only.</summary>
    public required double OneFactorADimension { get; init; }

    /// <summary>C, 0 to 1: whether one dimension is enough for a factor.</summary>
    public required double OneDimensionAFactor { get; init; }

    /// <summary>I: R² of the factors, predicted on the half of the frames that was left out; the mean over the factors.</summary>
    public required double Informativeness { get; init; }

    /// <summary>
    /// For each dimension the factor by which a cubic regression explains most of it on the half that was left out, and how much.
    /// </summary>
    public required (int Factor, double R2)[] Explained { get; init; }

    /// <summary>The gap of each factor, whose mean is <see cref="Mig"/>.</summary>
    public required double[] Gaps { get; init; }

    /// <param name="codes">n rows of Z.</param>
    /// <param name="factors">n rows of K, each from 0 to 1.</param>
    /// <exception cref="ArgumentException">There are fewer than a hundred frames, or not as many rows of one as of the other.</exception>
    public static Disentanglement Measure(float[][] codes, float[][] factors)
    {
        if (codes.Length < MinFrames || codes.Length != factors.Length)
            throw new ArgumentException($"{codes.Length} codes and {factors.Length} rows of factors: at least {MinFrames} of both are " +
                "needed");
        double[][] z = [.. Enumerable.Range(0, codes[0].Length).Select(d => Standardised([.. codes.Select(code => (double)code[d])]))];
        double[][] v = [.. Enumerable.Range(0, factors[0].Length).Select(k =>
            Standardised([.. factors.Select(row => (double)row[k])]))];
        double[] gaps = [.. v.Select(factor => Gap(z, factor))];
        double[][] importance = [.. v.Select(factor => Weights(z, factor).Select(Math.Abs).ToArray())];
        double all = importance.Sum(row => row.Sum());
        return new Disentanglement
        {
            Mig = gaps.Average(),
            Gaps = gaps,
            OneFactorADimension = Enumerable.Range(0, z.Length).Sum(d =>
            {
                double[] column = [.. importance.Select(row => row[d])];
                return all == 0 ? 0 : column.Sum() / all * Concentration(column);
            }),
            OneDimensionAFactor = importance.Average(Concentration),
            Informativeness = v.Average(factor =>
            {
                double[] weights = Weights(z, factor);
                return R2(factor, i => weights.Select((weight, d) => weight * z[d][i]).Sum());
            }),
            Explained = [.. z.Select(dimension => v.Select((factor, k) => (Factor: k, R2: Cubic(factor, dimension)))
                .MaxBy(pair => pair.R2))],
        };
    }

    /// <summary>Names of dimensions that one factor explains; where it explains several, of that which it explains best.</summary>
    /// <param name="factors">The K factors' names.</param>
    public IReadOnlyDictionary<int, string> Names(IReadOnlyList<string> factors) =>
        Enumerable.Range(0, Explained.Length).Where(d => Explained[d].R2 >= NamingR2).GroupBy(d => Explained[d].Factor)
            .ToDictionary(same => same.MaxBy(d => Explained[d].R2), same => factors[same.Key]);

    private static double Gap(double[][] z, double[] factor)
    {
        int[] levels = Binned(factor, FactorBins);
        double entropy = Entropy(Counts(levels, FactorBins));
        double[] known = [.. z.Select(dimension =>
        {
            int[] bins = Binned(dimension, CodeBins);
            int[] both = [.. bins.Select((bin, i) => bin * FactorBins + levels[i])];
            return Entropy(Counts(bins, CodeBins)) + entropy - Entropy(Counts(both, CodeBins * FactorBins));
        }).OrderDescending()];
        return (known[0] - (known.Length > 1 ? known[1] : 0)) / entropy;
    }

    /// <summary>Coordinate descent on the first half of the frames.</summary>
    private static double[] Weights(double[][] z, double[] target)
    {
        int half = target.Length / 2;
        double[] weights = new double[z.Length];
        double[] left = target[..half];
        double[] squares = [.. z.Select(dimension => dimension.Take(half).Sum(value => value * value) / half)];
        for (int sweep = 0; sweep < Sweeps; sweep++)
        {
            for (int d = 0; d < z.Length; d++)
            {
                if (squares[d] == 0) continue;
                double along = 0;
                for (int i = 0; i < half; i++) along += z[d][i] * left[i];
                along = along / half + squares[d] * weights[d];
                double weight = Math.Sign(along) * Math.Max(0, Math.Abs(along) - Lasso) / squares[d];
                for (int i = 0; i < half; i++) left[i] -= (weight - weights[d]) * z[d][i];
                weights[d] = weight;
            }
        }
        return weights;
    }

    /// <summary>R² on the second half of a cubic regression fitted to the first.</summary>
    private static double Cubic(double[] factor, double[] dimension)
    {
        // Powers made orthogonal one after the other need no equations to be solved.
        int half = factor.Length / 2;
        var basis = new List<double[]>();
        double[] predicted = new double[factor.Length];
        for (int power = 0; power <= 3; power++)
        {
            double[] column = [.. factor.Select(value => Math.Pow(value, power))];
            foreach (double[] other in basis) Subtract(column, other, Dot(column, other, half));
            double norm = Math.Sqrt(Dot(column, column, half));
            if (norm < 1e-9) continue;
            for (int i = 0; i < column.Length; i++) column[i] /= norm;
            Subtract(predicted, column, -Dot(column, dimension, half));
            basis.Add(column);
        }
        return R2(dimension, i => predicted[i]);
    }

    private static double Dot(double[] a, double[] b, int count)
    {
        double sum = 0;
        for (int i = 0; i < count; i++) sum += a[i] * b[i];
        return sum;
    }

    private static void Subtract(double[] from, double[] other, double times)
    {
        for (int i = 0; i < from.Length; i++) from[i] -= times * other[i];
    }

    private static double R2(double[] values, Func<int, double> predict)
    {
        int half = values.Length / 2;
        double mean = values.Skip(half).Average();
        double error = 0;
        double spread = 0;
        for (int i = half; i < values.Length; i++)
        {
            error += Math.Pow(values[i] - predict(i), 2);
            spread += Math.Pow(values[i] - mean, 2);
        }
        return spread == 0 ? 0 : 1 - error / spread;
    }

    /// <summary>1 where all lies in one place, 0 where it is spread evenly.</summary>
    private static double Concentration(double[] weights)
    {
        double sum = weights.Sum();
        return sum == 0 || weights.Length < 2 ? 0 : 1 - Entropy(weights) / Math.Log(weights.Length);
    }

    private static double Entropy(double[] weights)
    {
        double sum = weights.Sum();
        return -weights.Where(weight => weight > 0).Sum(weight => weight / sum * Math.Log(weight / sum));
    }

    private static double[] Counts(int[] bins, int count)
    {
        double[] counts = new double[count];
        foreach (int bin in bins) counts[bin]++;
        return counts;
    }

    private static int[] Binned(double[] values, int bins)
    {
        double lowest = values.Min();
        double width = (values.Max() - lowest) / bins;
        return [.. values.Select(value => width == 0 ? 0 : Math.Min(bins - 1, (int)((value - lowest) / width)))];
    }

    private static double[] Standardised(double[] values)
    {
        double mean = values.Average();
        double deviation = Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
        return [.. values.Select(value => deviation == 0 ? 0 : (value - mean) / deviation)];
    }
}
