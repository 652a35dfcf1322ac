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
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => ops.Concat(inputs.Means.LogEnergies(), inputs.Means.MeanColours(), inputs.Means.LogDeviations());
}

/// <summary>
/// Density of power means, over the patches, of band energies, and of exponential means of colours: thin rain and noise show in the smoothest patches, where the mean over
/// the picture sees nothing.
/// </summary>
public sealed class BandsScore : DensityScore
{
    public override string Name => "bands";

    /// <summary><c>[N, 9 + 3 + 9 · 4 + 3 · 2]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => ops.Concat(inputs.Means.MeanLogEnergies(), inputs.Means.MeanColours(), inputs.Means.LogPowers());
}

/// <summary>Density of the colours of the picture's upper, middle and lower third, and of their deviations: light and weather.</summary>
public sealed class ColourScore : DensityScore
{
    public override string Name => "colour";

    /// <summary><c>[N, 3 · 3 + 3]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => ops.Concat(inputs.Means.ColoursOfThirds(), inputs.Means.LogDeviations());
}
