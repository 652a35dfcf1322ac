namespace OutlierPipeline.Evaluation;

/// <summary>How well predicted segmentation maps agree with people's: counts of pixels by true and predicted class.</summary>
/// <param name="classes">C.</param>
/// <param name="notCounted">Index of void: pixels that are so by people do not count. Null for none.</param>
/// <remarks>Intersection over union: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2015.</remarks>
public sealed class TranslationQuality(int classes, int? notCounted)
{
    /// <summary>Classes with a smaller share of the pixels that count have no part in the mean: too few pixels decide.</summary>
    public const double MinShare = 0.001;

    private readonly long[] _counts = new long[classes * classes];

    /// <summary>Pixels that count.</summary>
    public long Pixels => _counts.Sum();

    /// <summary>Share of those pixels of the right class.</summary>
    public double Accuracy => (double)Enumerable.Range(0, classes).Sum(k => _counts[k * classes + k]) / Pixels;

    /// <summary>Adds pictures' pixels.</summary>
    /// <param name="truth">Indices of classes.</param>
    /// <param name="predicted">As many.</param>
    public void Add(ReadOnlySpan<byte> truth, ReadOnlySpan<byte> predicted)
    {
        for (int i = 0; i < truth.Length; i++)
        {
            if (truth[i] != notCounted) _counts[truth[i] * classes + predicted[i]]++;
        }
    }

    /// <summary>Adds counts, <c>[true, predicted]</c>.</summary>
    public void Add(ReadOnlySpan<long> counts)
    {
        for (int i = 0; i < counts.Length; i++)
        {
            if (i / classes != notCounted) _counts[i] += counts[i];
        }
    }

    /// <summary>A class's share of the pixels that count.</summary>
    public double Share(int index) => (double)True(index) / Pixels;

    /// <summary>The pixels that are and are called so, of those that are or are called so; NaN where there are none.</summary>
    public double Overlap(int index) => (double)Right(index) / (True(index) + Called(index) - Right(index));

    /// <summary>The share of the class's pixels that are called so; NaN where there are none.</summary>
    public double Recall(int index) => (double)Right(index) / True(index);

    /// <summary>The mean of <see cref="Overlap"/> over the classes with a share above <see cref="MinShare"/>.</summary>
    public double MeanOverlap()
    {
        double[] overlaps = [.. Enumerable.Range(0, classes).Where(k => Share(k) > MinShare).Select(Overlap)];
        return overlaps.Length == 0 ? double.NaN : overlaps.Average();
    }

    private long Right(int index) => _counts[index * classes + index];

    private long True(int index) => Enumerable.Range(0, classes).Sum(k => _counts[index * classes + k]);

    private long Called(int index) => Enumerable.Range(0, classes).Sum(k => _counts[k * classes + index]);
}
