namespace OutlierPipeline.Training.Scores;

/// <summary>
/// Log Mahalanobis distance of global statistics of picture and residual: band energies, gradients, channel means and deviations. A density
/// over statistics is two-sided: fog and blur, which are easier to draw than normal frames, are as far out as noise.
/// </summary>
/// <remarks>Morningstar et al., Density of States Estimation for Out-of-Distribution Detection, AISTATS 2021.</remarks>
public sealed class StatisticsScore : Score
{
    private const int Levels = 4;
    private GaussianDensity? _density;

    public override string Name => "statistics";

    /// <summary><c>[N, 2·(5 + 2) + 6]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        var image = PictureFeatures.Grey(ops, inputs.Size, inputs.Image);
        var residual = PictureFeatures.Grey(ops, inputs.Size, inputs.Residual);
        var means = PictureFeatures.MaskedMean(ops, inputs.Image, inputs.Mask, channels: 3);
        var squares = PictureFeatures.MaskedMean(ops, ops.Square(inputs.Image), inputs.Mask, channels: 3);
        var deviations = PictureFeatures.LogFloored(ops, ops.Clip(ops.Subtract(squares, ops.Square(means)), 0, 1e6f));
        return ops.Concat(
            PictureFeatures.BandEnergies(ops, inputs.Size, image, inputs.Mask, Levels),
            PictureFeatures.BandEnergies(ops, inputs.Size, residual, inputs.Mask, Levels),
            PictureFeatures.Gradients(ops, inputs.Size, image, inputs.Mask),
            PictureFeatures.Gradients(ops, inputs.Size, residual, inputs.Mask),
            means,
            deviations);
    }

    public override void Fit(float[][] features) => _density = GaussianDensity.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => PictureFeatures.LogFloored(ops, _density!.Distance(ops, Features(ops, inputs)));
}
