using OutlierPipeline.Evaluation;
using OutlierPipeline.Training.Features;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Judging;

/// <summary>
/// PaDiM on the features that the VAE has too: for every cell a Gaussian of a random choice of its values over the training frames; a
/// frame's score is the largest Mahalanobis distance of its cells.
/// </summary>
/// <remarks>
/// Defard, Setkov, Loesch and Audigier, PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization, ICPR 2021,
/// section III: 100 dimensions for ResNet18, 0.01 on the covariance's diagonal.
/// </remarks>
internal sealed class Padim : IDisposable
{
    private const int MaxDimensions = 100;
    private const double Regularisation = 0.01;
    private const int Batch = 16;
    private readonly int _cells;
    private readonly int _channels;
    private readonly Tensor _chosen;
    private readonly Tensor _mean;
    private readonly Tensor _whitening;

    private Padim(int cells, int channels, Tensor chosen, Tensor mean, Tensor whitening)
    {
        _cells = cells;
        _channels = channels;
        _chosen = chosen;
        _mean = mean;
        _whitening = whitening;
    }

    public static Padim Fit(FeatureFootage features, int seed)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        long[] order = [.. Enumerable.Range(0, features.Channels).Select(channel => (long)channel)];
        new Random(seed).Shuffle(order);
        int d = Math.Min(MaxDimensions, features.Channels);
        var chosen = tensor([.. order.Take(d).Order()]);
        var sum = zeros([features.Cells, d], float64);
        var products = zeros([features.Cells, d, d], float64);
        foreach (int[] batch in Enumerable.Range(0, features.Count).Chunk(Batch))
        {
            Uncollected.Run(() =>
            {
                using var inner = NewDisposeScope();
                var x = features.Rows(batch).index_select(1, chosen).reshape(-1, features.Cells, d).to(float64);
                sum.add_(x.sum([0L]));
                products.add_(x.permute(1, 2, 0).bmm(x.permute(1, 0, 2)));
                return true;
            });
        }
        return Uncollected.Run(() =>
        {
            var mean = sum / features.Count;
            var covariance = (products - features.Count * mean.unsqueeze(2).bmm(mean.unsqueeze(1))) / Math.Max(1, features.Count - 1);
            var whitening = linalg.inv(linalg.cholesky(covariance + Regularisation * eye(d, dtype: float64)));
            return new Padim(features.Cells, features.Channels, chosen.MoveToOuterDisposeScope(),
                mean.to(float32).MoveToOuterDisposeScope(), whitening.to(float32).MoveToOuterDisposeScope());
        });
    }

    /// <summary>The detector of frames, by the runner that computes their features.</summary>
    public FrameDetector Detector(FeatureRunner runner, int bytes) => FrameDetector.Of("PaDiM", bytes, Batch, frames =>
        Score(runner.Run([.. frames.SelectMany(frame => frame)])));

    /// <param name="cells">Values of frames' cells, <c>[n, h·w, C]</c>.</param>
    public double[] Score(float[] cells) => Uncollected.Run(() =>
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var x = tensor(cells, [cells.Length / _channels, _channels]).index_select(1, _chosen).reshape(-1, _cells, _chosen.shape[0]);
        var whitened = _whitening.bmm((x - _mean).permute(1, 2, 0));
        float[] distances = Places.Values(whitened.pow(2).sum(1).sqrt().amax([0L]));
        return distances.Select(distance => (double)distance).ToArray();
    });

    public void Dispose()
    {
        _chosen.Dispose();
        _mean.Dispose();
        _whitening.Dispose();
    }
}
