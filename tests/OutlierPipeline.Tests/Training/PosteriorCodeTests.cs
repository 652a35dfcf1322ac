using OutlierPipeline.Evaluation;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Networks;
using static TorchSharp.torch;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class PosteriorCodeTests : IDisposable
{
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public void The_batchs_total_correlation_is_that_of_all_frames_when_it_has_all()
    {
        const int Frames = 400, Latent = 3;
        using var scope = NewDisposeScope();
        manual_seed(1);
        var mean = randn(Frames, Latent);
        mean = mean.matmul(tensor(new float[] { 1, 0.8f, 0, 0, 0.6f, 0, 0, 0, 1 }, [Latent, Latent]));
        var logVariance = full([Frames, Latent], -2f);
        double total = new PosteriorCode(mean, logVariance, isDrawn: true).TotalCorrelation().item<float>();
        double[][] means = [.. mean.data<float>().ToArray().Select(value => (double)value).Chunk(Latent)];
        double[][] variances = [.. means.Select(row => row.Select(_ => Math.Exp(-2)).ToArray())];
        Assert.Equal(LatentInformation.Measure(means, variances, seed: 1).TotalCorrelation, total, tolerance: 0.1);
        Assert.InRange(total, 0.3, 1);
    }

    [Fact]
    public void The_total_correlations_weight_makes_it_smaller_than_a_plain_VAEs()
    {
        double plain = Train(SmallTraining.Settings(epochs: 12));
        double weighed = Train(SmallTraining.Settings("beta-tcvae", epochs: 12) with { Beta = 100 });
        Assert.True(weighed < 0.5 * plain, $"total correlation {weighed} with its weight, {plain} without");
    }

    [Fact]
    public void A_capacity_is_what_the_code_carries()
    {
        var settings = SmallTraining.Settings("beta-vae", epochs: 20) with { Beta = 1000, Capacity = 6 };
        var footage = _rendered.Load(_rendered.Drive("drive", 90, 4), SmallTraining.Size);
        using var trainer = SmallTraining.Trainer(footage, settings, Path.Combine(_rendered.Directory, "run", "checkpoint"));
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.InRange(trainer.Figures.TrainingKl, 4, 8);
    }

    private double Train(TrainingSettings settings)
    {
        var footage = _rendered.Load(_rendered.Drive("drive", 90, 4), SmallTraining.Size);
        using var trainer = SmallTraining.Trainer(footage, settings, Path.Combine(_rendered.Directory, "run", "checkpoint"));
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var network = SmallTraining.Network(settings);
        var ops = new TorchOps(trainer.Weights.ToDictionary(weight => weight.Key, weight =>
            tensor(weight.Value.Values, weight.Value.Shape)), CPU);
        var pixels = TorchOps.Pixels(footage, [.. Enumerable.Range(0, footage.Count)], CPU);
        var (mean, logVariance) = network.Encode(ops, PatchNetwork.Analyse(ops, network.Patches(ops, pixels)));
        manual_seed(1);
        return new PosteriorCode(mean, logVariance!, isDrawn: true).TotalCorrelation().item<float>();
    }
}
