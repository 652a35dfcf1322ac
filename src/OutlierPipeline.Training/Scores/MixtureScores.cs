using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>
/// A mixture of Gaussians over what patches look like, wherever they are but for their row: texture and colour of road, sky, leaves and
/// walls. A patch that is none of
/// these, such as mud on the lens, is far from every component.
/// </summary>
public sealed class PatchMixture(FrameSize size)
{
    private const int Channels = PatchFeatures.Bands + 3;
    private GaussianMixture? _mixture;
    private (object Inputs, object Nats)? _computed;

    public int Patches => PatchFeatures.Count(size);

    /// <summary>The h·w patches of 12 values, then the patches' mask, <c>[N, 12 · h·w + h·w]</c>.</summary>
    public T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Concat(ops.Reshape(Looks(ops, inputs), Channels * Patches), PatchFeatures.MaskOfEach(ops, size, inputs.Patches));

    /// <summary>Fits once; the second score that asks has the same features.</summary>
    public void Fit(float[][] features)
    {
        if (_mixture is not null) return;
        int step = Math.Max(1, features.Length * Patches / GaussianMixture.MaxRows);
        var rows = new List<float[]>();
        for (long k = 0; k < (long)features.Length * Patches; k += step)
        {
            if (features[k / Patches][Channels * Patches + (int)(k % Patches)] != 0)
                rows.Add(Row(features[k / Patches], (int)(k % Patches)));
        }
        _mixture = GaussianMixture.Fit([.. rows]);
    }

    /// <summary>Negative log-likelihood of each patch, <c>[N, h·w]</c>, in nats; computed once for both scores.</summary>
    public T Nats<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        if (_computed is { } known && ReferenceEquals(known.Inputs, inputs)) return (T)known.Nats;
        // A constant has one frame; what it is put beside has N.
        var height = ops.Constant([.. Enumerable.Range(0, Patches).Select(Height)], 1, Patches);
        var heights = PatchFeatures.OfEach(ops, inputs.Patches, height, Patches);
        var likelihood = _mixture!.LogLikelihood(ops, ops.Concat(Looks(ops, inputs), ops.Reshape(heights, 1)));
        var nats = ops.Multiply(ops.Reshape(likelihood, Patches), ops.Constant(-1));
        _computed = (inputs, nats!);
        return nats;
    }

    /// <summary>The same of one frame's features, of the patches that count.</summary>
    public double[] Nats(float[] features) =>
        [.. Enumerable.Range(0, Patches).Where(patch => features[Channels * Patches + patch] != 0).Select(patch =>
        -_mixture!.LogLikelihood(Row(features, patch)))];

    private static T Looks<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Concat(ops.Slice(inputs.Patches.LogEnergies, 0, PatchFeatures.Bands), inputs.Patches.Colours);

    private float[] Row(float[] features, int patch) => [.. features.AsSpan(patch * Channels, Channels), Height(patch)];

    /// <summary>How far down the picture a patch lies, from 0 to 1.</summary>
    private float Height(int patch) => (float)(patch / PatchFeatures.Columns(size)) / PatchFeatures.Rows(size);
}

/// <summary>The mean of the patches' negative log-likelihoods under the mixture, in nats: is this kind of place known.</summary>
public sealed class MixtureScore(PatchMixture mixture) : Score
{
    public override string Name => "mixture";

    public override bool IsCombined => true;

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => mixture.Features(ops, inputs);

    public override void Fit(float[][] features) => mixture.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var nats = mixture.Nats(ops, inputs);
        var mask = inputs.Patches.Mask;
        return ops.Divide(ops.SumLast(ops.Multiply(nats, mask)), ops.Add(ops.SumLast(mask), ops.Constant(PatchFeatures.Tiny)));
    }

    public override double Evaluate(float[] features) => mixture.Nats(features).Average();
}

/// <summary>
/// A soft maximum of the patches' negative log-likelihoods under the mixture: a region that is nothing known, wherever it is.
/// </summary>
public sealed class RegionScore(PatchMixture mixture) : Score
{
    /// <summary>Per nat: a patch that is thirty nats stranger counts twenty times.</summary>
    private const double Sharpness = 0.1;

    public override string Name => "region";

    public override bool IsLocal => true;

    public override bool IsCombined => true;

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => mixture.Features(ops, inputs);

    public override void Fit(float[][] features) => mixture.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var nats = mixture.Nats(ops, inputs);
        var mask = inputs.Patches.Mask;
        var largest = ops.MaxLast(ops.Add(ops.Multiply(nats, mask), ops.Multiply(ops.Subtract(mask, ops.Constant(1)), ops.Constant(1e6))));
        var shares = ops.Multiply(ops.Exp(ops.Clip(ops.Multiply(ops.Subtract(nats, largest), ops.Constant(Sharpness)), -80, 0)), mask);
        var mean = ops.Divide(ops.SumLast(shares), ops.Add(ops.SumLast(mask), ops.Constant(PatchFeatures.Tiny)));
        return ops.Add(largest, ops.Multiply(ops.Log(ops.Add(mean, ops.Constant(1e-30))), ops.Constant(1 / Sharpness)));
    }

    public override double Evaluate(float[] features)
    {
        double[] nats = mixture.Nats(features);
        double largest = nats.Max();
        return largest + Math.Log(nats.Average(value => Math.Exp(Sharpness * (value - largest)))) / Sharpness;
    }
}
