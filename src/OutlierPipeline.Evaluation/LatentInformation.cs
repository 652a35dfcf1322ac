using System.Text.Json.Serialization;

namespace OutlierPipeline.Evaluation;

/// <summary>
/// Where the KL divergence of a variational code goes, in nats a frame: what the code says of the frame, how far its dimensions depend on
/// each other, and how far each is from the prior. The three sum to the KL divergence, but for the error of sampling.
/// </summary>
/// <param name="MutualInformation">Between frame and code; cannot exceed ln of the number of frames it was measured on.</param>
/// <param name="TotalCorrelation">Of the aggregate posterior; 0 where the dimensions are independent.</param>
/// <param name="DimensionKl">Of each dimension's own aggregate posterior from the prior, summed.</param>
/// <param name="KlPerDimension">Z numbers: mean divergence of a frame's posterior from the prior.</param>
/// <remarks>Chen, Li, Grosse and Duvenaud, Isolating Sources of Disentanglement in VAEs, NeurIPS 2018, eq. 2.</remarks>
public sealed record LatentInformation(double MutualInformation, double TotalCorrelation, double DimensionKl,
    [property: JsonIgnore] double[] KlPerDimension)
{
    /// <summary>Draws one code of each frame's posterior; the aggregate is the mixture of all of them.</summary>
    /// <param name="means">n rows of Z.</param>
    /// <param name="variances">n rows of Z.</param>
    /// <exception cref="ArgumentException">There are no frames.</exception>
    public static LatentInformation Measure(double[][] means, double[][] variances, int seed)
    {
        int n = means.Length;
        if (n == 0) throw new ArgumentException("there are no codes to measure");
        int dimensions = means[0].Length;
        double[] kl = [.. Enumerable.Range(0, dimensions).Select(d => Enumerable.Range(0, n).Average(i =>
            0.5 * (means[i][d] * means[i][d] + variances[i][d] - 1 - Math.Log(variances[i][d]))))];
        var random = new Random(seed);
        double[][] codes = [.. Enumerable.Range(0, n).Select(i => Enumerable.Range(0, dimensions).Select(d =>
            means[i][d] + Math.Sqrt(variances[i][d]) * CorruptedPicture.Normal(random)).ToArray())];
        double[] mutual = new double[n];
        double[] total = new double[n];
        double[] own = new double[n];
        Parallel.For(0, n, i =>
        {
            double[] joint = new double[n];
            double marginals = 0;
            double prior = 0;
            double[] log = new double[n];
            for (int d = 0; d < dimensions; d++)
            {
                for (int j = 0; j < n; j++)
                {
                    log[j] = LogNormal(codes[i][d], means[j][d], variances[j][d]);
                    joint[j] += log[j];
                }
                marginals += LogMean(log);
                prior += LogNormal(codes[i][d], 0, 1);
            }
            double aggregate = LogMean(joint);
            mutual[i] = joint[i] - aggregate;
            total[i] = aggregate - marginals;
            own[i] = marginals - prior;
        });
        return new(mutual.Average(), total.Average(), own.Average(), kl);
    }

    private static double LogNormal(double x, double mean, double variance) =>
        -0.5 * (Math.Log(2 * Math.PI * variance) + (x - mean) * (x - mean) / variance);

    private static double LogMean(double[] logs)
    {
        double highest = logs.Max();
        double sum = 0;
        foreach (double log in logs) sum += Math.Exp(log - highest);
        return highest + Math.Log(sum / logs.Length);
    }
}
