using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>
/// The strangest place: the log of the largest squared Mahalanobis distance of a patch from what the training frames had in its place.
/// Finds what is
/// small, where everything over the whole picture fails. Its map is the error map.
/// </summary>
/// <remarks>
/// Defard et al., PaDiM, ICPR 2021, on energies and colours of picture and residual; deviations are shared in part and correlations in
/// whole by all places, since few frames say little of one.
/// </remarks>
public sealed class LocalScore(FrameSize size) : Score
{
    /// <summary>Share of the deviation over all patches in that of one.</summary>
    private const double Pooled = 0.3;

    private const int Channels = 2 * PatchFeatures.Bands + 6;
    private (object Inputs, object Distances)? _computed;

    /// <summary>Mean over deviation, and one over deviation, of each patch's 24 values.</summary>
    private float[] _mean = [];
    private float[] _precision = [];
    private float[] _whitening = [];

    public override string Name => "local";

    public override bool IsLocal => true;

    public override bool IsCombined => true;

    private int Patches => PatchFeatures.Count(size);

    /// <summary>The h·w patches of 24 values, then the patches' mask, <c>[N, 24 · h·w + h·w]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Concat(ops.Reshape(Rows(ops, inputs.Patches), Channels * Patches), PatchFeatures.MaskOfEach(ops, size, inputs.Patches));

    public override void Fit(float[][] features)
    {
        int patches = Patches;
        double[] mean = new double[Channels * patches];
        double[] variance = new double[Channels * patches];
        foreach (float[] row in features)
        {
            for (int i = 0; i < mean.Length; i++) mean[i] += row[i] / (double)features.Length;
        }
        foreach (float[] row in features)
        {
            for (int i = 0; i < mean.Length; i++) variance[i] += (row[i] - mean[i]) * (row[i] - mean[i]) / features.Length;
        }
        double[] pooled = [.. Enumerable.Range(0, Channels).Select(channel =>
            Enumerable.Range(0, patches).Average(patch => variance[patch * Channels + channel]))];
        _precision = [.. variance.Select((value, i) =>
            (float)(1 / Math.Sqrt((1 - Pooled) * value + Pooled * pooled[i % Channels] + 1e-6)))];
        _mean = [.. mean.Select((value, i) => (float)(value * _precision[i]))];
        // Enough patches for 24×24 correlations, taken evenly.
        var standardised = new List<float[]>();
        int step = Math.Max(1, features.Length * patches / 40_000);
        for (long k = 0; k < (long)features.Length * patches; k += step)
            standardised.Add([.. Standardised(features[k / patches], (int)(k % patches)).Select(value => (float)value)]);
        _whitening = GaussianDensity.Fit([.. standardised], shrinkage: 0.03).Whitening;
    }

    /// <summary>
    /// The error map, <c>[N, h·w]</c>: how many deviations a patch's distance lies above what is normal; 0 where the mask leaves nothing.
    /// </summary>
    /// <remarks>Fisher's approximation: √(2χ²) − √(2k − 1) is nearly standard normal.</remarks>
    public T Map<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var deviations = ops.Subtract(ops.Sqrt(ops.Multiply(Distances(ops, inputs), ops.Constant(2))),
            ops.Constant(Math.Sqrt(2 * Channels - 1)));
        return ops.Multiply(deviations, inputs.Patches.Mask);
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Log(ops.Add(ops.MaxLast(ops.Multiply(Distances(ops, inputs), inputs.Patches.Mask)), ops.Constant(PatchFeatures.Tiny)));

    public override double Evaluate(float[] features)
    {
        double largest = 0;
        for (int patch = 0; patch < Patches; patch++)
        {
            if (features[Channels * Patches + patch] != 0)
                largest = Math.Max(largest, GaussianDensity.Product(Standardised(features, patch), _whitening).Sum(value => value * value));
        }
        return Math.Log(largest + PatchFeatures.Tiny);
    }

    private double[] Standardised(float[] features, int patch) =>
        [.. Enumerable.Range(patch * Channels, Channels).Select(i => (double)features[i] * _precision[i] - _mean[i])];

    /// <summary>Squared Mahalanobis distances, <c>[N, h·w]</c>; computed once for score and map.</summary>
    private T Distances<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        if (_computed is { } known && ReferenceEquals(known.Inputs, inputs)) return (T)known.Distances;
        var scaled = ops.Multiply(ops.Reshape(Rows(ops, inputs.Patches), Patches, Channels),
            ops.Constant(_precision, 1, Patches, Channels));
        var standardised = ops.Subtract(scaled, ops.Constant(_mean, 1, Patches, Channels));
        var whitened = ops.MatMul(ops.Reshape(standardised, Channels), ops.Constant(_whitening, Channels, Channels));
        // A product with ones sums many short rows faster than a reduction does, on a GPU by far.
        var distances = ops.Reshape(ops.MatMul(ops.Square(whitened), ops.Constant([.. Enumerable.Repeat(1f, Channels)], Channels, 1)),
            Patches);
        _computed = (inputs, distances!);
        return distances;
    }

    private static T Rows<T>(TensorOps<T> ops, PatchFeatures<T> patches) =>
        ops.Concat(patches.LogEnergies, patches.Colours, patches.ResidualColours);
}
