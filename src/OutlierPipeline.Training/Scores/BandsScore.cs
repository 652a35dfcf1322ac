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
        int patches = inputs.Size.Height / PatchVae.Patch * (inputs.Size.Width / PatchVae.Patch);
        long[] indices = [.. Quantiles.Select(quantile => (long)Math.Round(quantile * (patches - 1)))];
        var level = PictureFeatures.Grey(ops, inputs.Size, inputs.Image);
        var parts = new List<T>();
        for (int band = 0; band < Bands; band++)
        {
            (level, var energy) = PictureFeatures.Split(ops, level, inputs.Size.Height >> band, inputs.Size.Width >> band);
            int blocks = PatchVae.Patch >> (band + 1);
            var log = PictureFeatures.LogFloored(ops, blocks > 1 ? ops.AveragePool(energy, blocks) : energy);
            parts.Add(ops.GatherLast(ops.SortLast(ops.Reshape(log, patches), patches), indices));
        }
        return ops.Concat([.. parts]);
    }

    public override void Fit(float[][] features) => _density = GaussianDensity.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs) => PictureFeatures.LogFloored(ops, _density!.Distance(ops, Features(ops, inputs)));
}
