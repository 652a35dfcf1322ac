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

    public override bool IsCombined => true;

    public override void Fit(float[][] features) => _density = GaussianDensity.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => Compute(ops, inputs, this);

    /// <summary>
    /// Several such scores together, <c>[N, …]</c>: as many small products, sums and logarithms would keep a GPU waiting for the next.
    /// </summary>
    public static T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs, params DensityScore[] scores)
    {
        var features = ops.Concat([.. scores.Select(score => score.Features(ops, inputs))]);
        int all = scores.Sum(score => score._density!.Dimensions);
        float[] whitening = new float[all * all];
        float[] sums = new float[all * scores.Length];
        int first = 0;
        for (int k = 0; k < scores.Length; k++)
        {
            var density = scores[k]._density!;
            int f = density.Dimensions;
            for (int i = 0; i < f; i++)
            {
                density.Whitening.AsSpan(i * f, f).CopyTo(whitening.AsSpan((first + i) * all + first));
                sums[(first + i) * scores.Length + k] = 1;
            }
            first += f;
        }
        float[] offsets = [.. scores.SelectMany(score => score._density!.Offset)];
        var whitened = ops.Dense(features, ops.Constant(whitening, all, all), ops.Constant(offsets, all));
        float[] middle = [.. Enumerable.Repeat((float)Middle, scores.Length)];
        return ops.Log(ops.Dense(ops.Square(whitened), ops.Constant(sums, all, scores.Length), ops.Constant(middle, scores.Length)));
    }

    public override double Evaluate(float[] features) => Math.Log(_density!.Distance(features) + Middle);
}

/// <summary>
/// Density of statistics of the whole picture: log mean energies of bands of picture and residual, and mean and deviation of each colour.
/// </summary>
public sealed class StatisticsScore : DensityScore
{
    public override string Name => "statistics";

    /// <summary><c>[N, 18 + 3 + 3]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        inputs.Means.Pick(MeanColumns.LogEnergies, MeanColumns.MeanColours, MeanColumns.LogDeviations);
}

/// <summary>
/// Density of power means, over the patches, of band energies, and of exponential means of colours: thin rain and noise show in the
/// smoothest patches, where the mean over
/// the picture sees nothing.
/// </summary>
public sealed class BandsScore : DensityScore
{
    public override string Name => "bands";

    /// <summary><c>[N, 9 + 3 + 9 · 4 + 3 · 2]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        inputs.Means.Pick(MeanColumns.MeanLogEnergies, MeanColumns.MeanColours, MeanColumns.LogPowers);
}

/// <summary>Density of the colours of the picture's upper, middle and lower third, and of their deviations: light and weather.</summary>
public sealed class ColourScore : DensityScore
{
    public override string Name => "colour";

    /// <summary><c>[N, 3 · 3 + 3]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        inputs.Means.Pick(MeanColumns.ColoursOfThirds, MeanColumns.LogDeviations);
}
