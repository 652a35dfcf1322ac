namespace OutlierPipeline.Training.Judging;

/// <summary>How far drawn pictures are from frames, in the space of <see cref="PictureFeatures"/>.</summary>
internal static class SampleQuality
{
    private const int Subsets = 10;
    private const int SubsetSize = 100;

    /// <summary>The neighbour whose distance is the radius within which a picture counts as near.</summary>
    private const int Neighbour = 3;

    /// <summary>
    /// Kernel Inception distance: the squared maximum mean discrepancy under the kernel (x·y/d + 1)³, unbiased, the mean over subsets with
    /// its 95 % interval. 0 where both are drawn from the same; it can be below.
    /// </summary>
    /// <remarks>Bińkowski, Sutherland, Arbel and Gretton, Demystifying MMD GANs, ICLR 2018. Of ResNet18's features here.</remarks>
    public static (double Kid, double HalfWidth) Kid(float[][] frames, float[][] drawn, int seed)
    {
        var random = new Random(seed);
        int size = Math.Min(SubsetSize, Math.Min(frames.Length, drawn.Length));
        double[] distances = [.. Enumerable.Range(0, Subsets).Select(_ =>
        {
            float[][] x = Subset(frames, size, random);
            float[][] y = Subset(drawn, size, random);
            return Within(x) + Within(y) - 2 * x.AsParallel().Average(a => y.Average(b => Kernel(a, b)));
        })];
        double mean = distances.Average();
        double deviation = Math.Sqrt(distances.Sum(distance => (distance - mean) * (distance - mean)) / (Subsets - 1));
        return (mean, 1.96 * deviation / Math.Sqrt(Subsets));
    }

    /// <summary>
    /// Precision: the share of drawn pictures that lie among the frames; recall: the share of frames that lie among the drawn pictures.
    /// </summary>
    /// <remarks>
    /// Kynkäänniemi, Karras, Laine, Lehtinen and Aila, Improved Precision and Recall Metric for Assessing Generative Models, NeurIPS 2019.
    /// </remarks>
    public static (double Precision, double Recall) PrecisionAndRecall(float[][] frames, float[][] drawn) =>
        (Covered(frames, drawn), Covered(drawn, frames));

    /// <summary>The median distance of pictures to the nearest of others.</summary>
    public static double Nearest(float[][] pictures, float[][] others)
    {
        double[] distances = [.. pictures.AsParallel().Select(picture => others.Min(other => Distance(picture, other))).Order()];
        return distances[distances.Length / 2];
    }

    /// <summary>Share of <paramref name="points"/> within the radius of any of <paramref name="centres"/>.</summary>
    private static double Covered(float[][] centres, float[][] points)
    {
        double[] radii = [.. centres.AsParallel().AsOrdered().Select(centre => centres.Select(other => Distance(centre, other)).Order()
            .ElementAt(Math.Min(Neighbour, centres.Length - 1)))];
        return points.AsParallel().Count(point => centres.Where((centre, i) => Distance(point, centre) <= radii[i]).Any())
            / (double)points.Length;
    }

    private static float[][] Subset(float[][] rows, int size, Random random)
    {
        float[][] shuffled = [.. rows];
        random.Shuffle(shuffled);
        return shuffled[..size];
    }

    private static double Within(float[][] rows) => rows.AsParallel().Sum(a => rows.Where(b => b != a).Sum(b => Kernel(a, b)))
        / ((double)rows.Length * (rows.Length - 1));

    private static double Kernel(float[] a, float[] b) => Math.Pow(System.Numerics.Tensors.TensorPrimitives.Dot(a, b) / a.Length + 1, 3);

    private static double Distance(float[] a, float[] b) => System.Numerics.Tensors.TensorPrimitives.Distance(a, b);
}
