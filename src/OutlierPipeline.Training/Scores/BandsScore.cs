using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training.Scores;

/// <summary>
/// Log Mahalanobis distance of quantiles, across the picture, of each patch's log band energies. Thin rain changes the smooth patches and
/// hardly the mean: quantiles see it.
/// </summary>
/// <remarks>Serrà et al., Input complexity and out-of-distribution detection, ICLR 2020, in a local form.</remarks>
public sealed class BandsScore : Score
{
    private const int Bands = 3;
    private static readonly double[] Quantiles = [0.05, 0.25, 0.5, 0.75, 0.95];
    private GaussianDensity? _density;

    public override string Name => "bands";

    /// <summary><c>[N, 3 · 5]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs)
    {
        int patches = PictureFeatures.Patches(inputs.Size);
        long[] indices = [.. Quantiles.Select(quantile => (long)Math.Round(quantile * (patches - 1)))];
        var level = PictureFeatures.Grey(ops, inputs.Size, inputs.Image);
        var mask = inputs.Mask;
        var counted = PictureFeatures.PatchMask(ops, inputs.Size, mask);
        var parts = new List<T>();
        for (int band = 0; band < Bands; band++)
        {
            (level, var energy, mask) = PictureFeatures.Split(ops, level, mask, inputs.Size.Height >> band, inputs.Size.Width >> band);
            var log = PictureFeatures.LogFloored(ops, PictureFeatures.PatchMeans(ops, inputs.Size, energy, mask, PatchNetwork.Patch >> (band + 1)));
            parts.Add(ops.GatherLast(ops.SortLast(PictureFeatures.WithoutMasked(ops, log, counted), patches), indices));
        }
        return ops.Concat([.. parts]);
    }

    public override void Fit(float[][] features) => _density = GaussianDensity.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => PictureFeatures.LogFloored(ops, _density!.Distance(ops, Features(ops, inputs)));
}
