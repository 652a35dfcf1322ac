using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Tests.Training;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Tests.Evaluation;

[Collection(TorchTests.Name)]
public sealed class LatentDiagnosticsTests : IDisposable
{
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public void The_shipped_model_has_an_active_code_without_cliffs()
    {
        using var engine = new InferenceEngine(ModelPackage.Load(Repository.StreetDemo), new InferenceOptions(), NullLogger.Instance);
        using var decoder = new LatentDecoder(engine.Package);
        var footage = _rendered.Load(_rendered.Drive("drive", 40, 900, framesPerSecond: 1), engine.Package.Card.Network.Size);
        var report = new LatentDiagnostics(engine, decoder).Measure(footage, mask: null, seed: 1);
        Assert.Equal(8, report.Diagnostics.Count);
        Assert.Equal(engine.Package.Card.Network.Latent, report.Information!.KlPerDimension.Length);
        Assert.All(report.Diagnostics, diagnostic => Assert.True(double.IsFinite(diagnostic.Value), diagnostic.Name));
        foreach (string name in new[] { "active units", "KL divergence", "continuity" })
            Assert.True(Find(report, name).IsGood, $"{name}: {Find(report, name).Value}");
    }

    [Fact]
    public void A_collapsed_posterior_is_seen_and_the_advice_names_the_option()
    {
        // An encoder that says nothing: mean 0 and variance 1 whatever the picture.
        var report = Measure((name, values) => name.StartsWith("mean.", StringComparison.Ordinal)
            || name.StartsWith("logVariance.", StringComparison.Ordinal) ? new float[values.Length] : values);
        Assert.Equal(0, Find(report, "active units").Value);
        Assert.Equal(0, Find(report, "KL divergence").Value, 1e-6);
        Assert.False(Find(report, "KL divergence").IsGood);
        Assert.Contains("--beta", Find(report, "KL divergence").Advice, StringComparison.Ordinal);
    }

    [Fact]
    public void Posteriors_that_are_spikes_are_seen()
    {
        var report = Measure((name, values) => name switch
        {
            "logVariance.weight" => new float[values.Length],
            "logVariance.bias" => [.. values.Select(_ => -9f)],
            "mean.weight" => [.. values.Select(value => 10 * value)],
            _ => values,
        });
        Assert.False(Find(report, "posterior deviation").IsGood);
        Assert.Contains("spikes", Find(report, "posterior deviation").Advice, StringComparison.Ordinal);
    }

    [Fact]
    public void Codes_away_from_the_prior_are_seen()
    {
        var report = Measure((name, values) => name == "mean.bias" ? [.. values.Select(_ => 3f)] : values);
        Assert.False(Find(report, "largest mean").IsGood);
        Assert.True(Find(report, "largest mean").Value > 2);
    }

    private LatentReport Measure(Func<string, float[], float[]> change)
    {
        var footage = _rendered.Load(_rendered.Drive("drive", 30, 4), SmallTraining.Size);
        var settings = SmallTraining.Settings(epochs: 1);
        var network = SmallTraining.Network(settings);
        using var trainer = SmallTraining.Trainer(footage, settings, Path.Combine(_rendered.Directory, "checkpoint"));
        var weights = trainer.Weights.ToDictionary(weight => weight.Key, weight =>
            (change(weight.Key, weight.Value.Values), weight.Value.Shape));
        var exporter = new ModelExporter(network, weights);
        exporter.FitScores(footage);
        var card = Card(network, exporter);
        using var engine = new InferenceEngine(ModelPackage.Uncalibrated(card, exporter.WriteModel("test", "1", "the renderer"),
            mask: null), new InferenceOptions(), NullLogger.Instance);
        using var decoder = new LatentDecoder(card.Network, exporter.WriteDecoder());
        return new LatentDiagnostics(engine, decoder).Measure(footage, mask: null, seed: 1);
    }

    private static ModelCard Card(PatchNetwork network, ModelExporter exporter)
    {
        var shipped = ModelPackage.Load(Repository.StreetDemo).Card;
        var (rows, columns) = exporter.ErrorMap;
        return shipped with
        {
            Network = shipped.Network with
            {
                Height = network.Size.Height,
                Width = network.Size.Width,
                Latent = network.Latent,
                ErrorMapHeight = rows,
                ErrorMapWidth = columns
            },
            Scores = [.. exporter.Scores.Select(score => score.Name)]
        };
    }

    private static LatentDiagnostic Find(LatentReport report, string name) =>
        report.Diagnostics.First(diagnostic => diagnostic.Name.Contains(name, StringComparison.Ordinal));
}
