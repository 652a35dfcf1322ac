using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>
/// The strangest place: the log of the largest squared Mahalanobis distance of a patch from what the training frames had in its place. Finds what is
/// small, where everything over the whole picture fails. Its map is the error map.
/// </summary>
/// <remarks>Defard et al., PaDiM, ICPR 2021, on energies and colours of picture and residual; deviations are shared in part and correlations in whole by all places, since few frames say little of one.</remarks>
public sealed class LocalScore(FrameSize size) : Score
{
    /// <summary>Share of the deviation over all patches in that of one.</summary>
    private const double Pooled = 0.3;

    private const int Channels = 2 * PatchFeatures.Bands + 6;
    private float[] _mean = [];
    private float[] _precision = [];
    private float[] _whitening = [];

    public override string Name => "local";

    public override bool IsCombined => true;

    private int Patches => PatchFeatures.Count(size);

    /// <summary><c>[N, 24 · h·w]</c>, then the patches' mask, <c>h·w</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        // A mask of one frame serves a batch, but features are one row a frame.
        var mask = ops.Add(ops.Multiply(ops.Slice(inputs.Patches.LogEnergies, 1, 0, 1), ops.Constant(0)), inputs.Patches.Mask);
        return ops.Reshape(ops.Concat(inputs.Patches.LogEnergies, inputs.Patches.Colours, inputs.Patches.ResidualColours, mask), (Channels + 1) * Patches);
    }

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
        _mean = [.. mean.Select(value => (float)value)];
        _precision = new float[mean.Length];
        for (int channel = 0; channel < Channels; channel++)
        {
            double pooled = variance.AsSpan(channel * patches, patches).ToArray().Average();
            for (int i = channel * patches; i < (channel + 1) * patches; i++) _precision[i] = (float)(1 / Math.Sqrt((1 - Pooled) * variance[i] + Pooled * pooled + 1e-6));
        }
        // Enough patches for 24×24 correlations, taken evenly.
        var standardised = new List<float[]>();
        int step = Math.Max(1, features.Length * patches / 40_000);
        for (long k = 0; k < (long)features.Length * patches; k += step)
        {
            float[] row = features[k / patches];
            int patch = (int)(k % patches);
            standardised.Add([.. Enumerable.Range(0, Channels).Select(channel => (row[channel * patches + patch] - _mean[channel * patches + patch]) * _precision[channel * patches + patch])]);
        }
        _whitening = GaussianDensity.Fit([.. standardised], shrinkage: 0.03).Whitening;
    }

    /// <summary>The error map, <c>[N, h·w]</c>: how many deviations a patch's distance lies above what is normal; 0 where the mask leaves nothing.</summary>
    /// <remarks>Fisher's approximation: √(2χ²) − √(2k − 1) is nearly standard normal.</remarks>
    public T Map<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var deviations = ops.Subtract(ops.Sqrt(ops.Multiply(Distances(ops, inputs), ops.Constant(2))), ops.Constant(Math.Sqrt(2 * Channels - 1)));
        return ops.Multiply(deviations, ops.Reshape(inputs.Patches.Mask, Patches));
    }

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Log(ops.Add(ops.MaxLast(ops.Multiply(Distances(ops, inputs), ops.Reshape(inputs.Patches.Mask, Patches))), ops.Constant(PatchFeatures.Tiny)));

    public override double Evaluate(float[] features)
    {
        double largest = 0;
        double[] standardised = new double[Channels];
        for (int patch = 0; patch < Patches; patch++)
        {
            if (features[Channels * Patches + patch] == 0) continue;
            for (int channel = 0; channel < Channels; channel++)
            {
                int i = channel * Patches + patch;
                standardised[channel] = (features[i] - _mean[i]) * _precision[i];
            }
            largest = Math.Max(largest, GaussianDensity.SquaredNorm(standardised, _whitening));
        }
        return Math.Log(largest + PatchFeatures.Tiny);
    }

    /// <summary>Squared Mahalanobis distances, <c>[N, h·w]</c>.</summary>
    private T Distances<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var x = PatchFeatures.Flat(ops, size, ops.Concat(inputs.Patches.LogEnergies, inputs.Patches.Colours, inputs.Patches.ResidualColours), Channels);
        var standardised = ops.Multiply(ops.Subtract(x, ops.Constant(_mean, 1, Channels, Patches)), ops.Constant(_precision, 1, Channels, Patches));
        var whitened = ops.MatMul(ops.SwapLast(standardised), ops.Constant(_whitening, Channels, Channels));
        return ops.Reshape(ops.SumLast(ops.Square(whitened)), Patches);
    }
}
