namespace OutlierPipeline.Training.Scores;

/// <summary>
/// Log (1 + d²), with the Mahalanobis distance d of the features in a Gaussian of the training frames'. Two-sided by construction: fog and
/// blur, which are easier to draw than normal frames, are as far out as noise.
/// </summary>
/// <remarks>
/// Morningstar et al., Density of States Estimation for Out-of-Distribution Detection, AISTATS 2021, with a Gaussian for the density.
/// </remarks>
public abstract class DensityScore : Score
{
    /// <summary>
    /// Added to squared distances. Within a deviation of the middle every frame is as normal as any, and what differs in their logarithms
    /// is rounding.
    /// </summary>
    private const double Middle = 1;

    private GaussianDensity? _density;

    public override void Fit(float[][] features) => _density = GaussianDensity.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        int n = _density!.Dimensions;
        var whitened = ops.Dense(Features(ops, inputs), ops.Constant(_density.Whitening, n, n), ops.Constant(_density.Offset, n));
        return ops.Log(ops.Add(ops.SumLast(ops.Square(whitened)), ops.Constant(Middle)));
    }

    public override double Evaluate(float[] features) => Math.Log(_density!.Distance(features) + Middle);
}

/// <summary>
/// Density of the mean code in the aggregate posterior of the training frames, with full covariance: does the code lie where theirs lay.
/// </summary>
/// <remarks>
/// Lee, Lee, Lee and Shin, A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018, eq. 1, with one class.
/// </remarks>
public sealed class LatentScore : DensityScore
{
    public override string Name => "latent";

    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => inputs.Mean;
}

/// <summary>
/// Density of generalised means, over the patches that count, of the picture's band energies and colours. Thin rain and noise show in the
/// smoothest patches, where the mean over the picture sees nothing: exponents −2 and −1 listen to these, 1 and 2 to the roughest.
/// </summary>
public sealed class BandsScore : DensityScore
{
    private const int Bands = PatchFeatures.Bands;
    private const int Colours = 3;
    private const int Means = Bands + Colours;
    private const int Powers = 4 * Bands + 2 * Colours;

    /// <summary>Colours count by their exponentials of this and of its negative.</summary>
    private const double ColourPower = 8;

    /// <summary>What the logarithm of each power's mean is multiplied with.</summary>
    private static readonly float[] Roots =
    [
        .. Root(-2, Bands), .. Root(-1, Bands), .. Root(1, Bands), .. Root(2, Bands), .. Root(-ColourPower, Colours),
        .. Root(ColourPower, Colours),
    ];

    public override string Name => "bands";

    public override bool IsCombined => true;

    /// <summary><c>[N, 9 + 3 + 9 · 4 + 3 · 2]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var patches = inputs.Patches;
        int count = PatchFeatures.Count(inputs.Size);
        // Powers need no exponential: energies are at least half a grey level's, so that their inverse squares stay far within float32.
        var energies = ops.Slice(patches.Energies, 0, Bands);
        var inverse = ops.Divide(ops.Constant(1), energies);
        var exponential = ops.Exp(ops.Multiply(patches.Colours, ops.Constant(ColourPower)));
        var all = ops.Concat(ops.Slice(patches.LogEnergies, 0, Bands), patches.Colours, ops.Square(inverse), inverse, energies,
            ops.Square(energies), ops.Divide(ops.Constant(1), exponential), exponential);
        var shares = ops.Divide(patches.Mask, ops.Add(ops.SumLast(patches.Mask), ops.Constant(PatchFeatures.Tiny)));
        // As many shares as frames, also where one mask serves all: a product that broadcasts would hand its matrices' addresses to the GPU
        // anew for each run, which a CUDA graph cannot.
        var sharesOfEach = PatchFeatures.OfEach(ops, patches, ops.Reshape(shares, 1, count), 1, count);
        var means = ops.Reshape(ops.MatMul(sharesOfEach, ops.Reshape(all, count, Means + Powers)), Means + Powers);
        // Where nothing counts every mean is 0.
        var logs = ops.Log(ops.Add(ops.Slice(means, Means, Powers), ops.Constant(1e-30)));
        return ops.Concat(ops.Slice(means, 0, Means), ops.Multiply(logs, ops.Constant(Roots, 1, Powers)));
    }

    private static IEnumerable<float> Root(double power, int count) => Enumerable.Repeat((float)(1 / power), count);
}
