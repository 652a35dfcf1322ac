using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>Log squared Mahalanobis distance of the features in a Gaussian of the training frames'. Two-sided by construction: fog and blur, which are easier to draw than normal frames, are as far out as noise.</summary>
/// <remarks>Morningstar et al., Density of States Estimation for Out-of-Distribution Detection, AISTATS 2021, with a Gaussian for the density.</remarks>
public abstract class DensityScore : Score
{
    private GaussianDensity? _density;

    public override bool IsCombined => true;

    public override void Fit(float[][] features) => _density = GaussianDensity.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => ops.Log(ops.Add(_density!.Distance(ops, Features(ops, inputs)), ops.Constant(PatchFeatures.Tiny)));

    public override double Evaluate(float[] features) => Math.Log(_density!.Distance(features) + PatchFeatures.Tiny);
}

/// <summary>Density of statistics of the whole picture: log mean energies of bands of picture and residual, and mean and deviation of each colour.</summary>
public sealed class StatisticsScore : DensityScore
{
    public override string Name => "statistics";

    /// <summary><c>[N, 18 + 3 + 3]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var patches = inputs.Patches;
        return ops.Concat(
            PatchFeatures.Log(ops, PatchFeatures.MaskedMean(ops, patches.Energies, patches.Mask, 2 * PatchFeatures.Bands)),
            PatchFeatures.MaskedMean(ops, patches.Colours, patches.Mask, 3),
            ColourScore.LogDeviation(ops, patches));
    }
}

/// <summary>
/// Density of power means, over the patches, of band energies, and of exponential means of colours. The exponents −2 and −1 listen to the smoothest patches, where thin rain and
/// noise show and the mean over the picture sees nothing; 1 and 2 to the roughest.
/// </summary>
public sealed class BandsScore(FrameSize size) : DensityScore
{
    private static readonly double[] Exponents = [-2, -1, 1, 2];
    private static readonly double[] ColourExponents = [-8, 8];

    public override string Name => "bands";

    /// <summary><c>[N, 9 · 5 + 3 · 3]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var mask = PatchFeatures.Flat(ops, size, inputs.Patches.Mask, 1);
        var share = ops.Add(ops.Mean(mask, 2), ops.Constant(PatchFeatures.Tiny));
        var bands = PatchFeatures.Flat(ops, size, ops.Slice(inputs.Patches.LogEnergies, 1, 0, PatchFeatures.Bands), PatchFeatures.Bands);
        var colours = PatchFeatures.Flat(ops, size, inputs.Patches.Colours, 3);
        return ops.Concat([.. Means(bands, PatchFeatures.Bands, Exponents), .. Means(colours, 3, ColourExponents)]);

        // log(mean(exp(t x)))/t, about the mean so that nothing overflows.
        IEnumerable<T> Means(T x, int channels, double[] exponents)
        {
            var mean = ops.Divide(ops.Mean(ops.Multiply(x, mask), 2), share);
            var around = ops.Subtract(x, ops.Reshape(mean, channels, 1));
            yield return mean;
            foreach (double t in exponents)
            {
                var powers = ops.Divide(ops.Mean(ops.Multiply(ops.Exp(ops.Clip(ops.Multiply(around, ops.Constant(t)), -60, 60)), mask), 2), share);
                yield return ops.Add(mean, ops.Multiply(ops.Log(ops.Add(powers, ops.Constant(PatchFeatures.Tiny))), ops.Constant(1 / t)));
            }
        }
    }
}

/// <summary>Density of the colours of the picture's upper, middle and lower third, and of their deviations: light and weather.</summary>
public sealed class ColourScore : DensityScore
{
    private const int Thirds = 3;

    public override string Name => "colour";

    /// <summary><c>[N, 3 · 3 + 3]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        int rows = PatchFeatures.Rows(inputs.Size);
        var thirds = Enumerable.Range(0, Thirds).Select(third =>
        {
            int from = third * rows / Thirds;
            int count = (third + 1) * rows / Thirds - from;
            return PatchFeatures.MaskedMean(ops, ops.Slice(inputs.Patches.Colours, 2, from, count), ops.Slice(inputs.Patches.Mask, 2, from, count), 3);
        });
        return ops.Concat([.. thirds, LogDeviation(ops, inputs.Patches)]);
    }

    /// <summary>Log standard deviation of each colour over the patches, <c>[N, 3]</c>.</summary>
    public static T LogDeviation<T>(TensorOps<T> ops, PatchFeatures<T> patches)
    {
        var mean = PatchFeatures.MaskedMean(ops, patches.Colours, patches.Mask, 3);
        var squares = PatchFeatures.MaskedMean(ops, ops.Square(patches.Colours), patches.Mask, 3);
        var deviation = ops.Sqrt(ops.Clip(ops.Subtract(squares, ops.Square(mean)), 0, 1e6f));
        return ops.Log(ops.Add(deviation, ops.Constant(1e-3)));
    }
}
