using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;

namespace OutlierPipeline.Tests.Training;

/// <summary>From frames whose factors are known to an alert that names the unusual one.</summary>
[Collection(TorchTests.Name)]
public sealed class UnusualDimensionTests : IDisposable
{
    private const int Latent = 4;

    /// <summary>The normal range of the sun's height.</summary>
    private const float Low = 0.5f;
    private const float High = 0.8f;
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public void A_low_sun_names_the_dimension_that_goes_with_the_sun()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("OUTLIER_TESTS_ALL") == "1", "takes long: ./test.sh --all runs it");
        TorchSharp.torch.set_num_threads(2);
        var (training, _) = Draw("training", 240, Low, High);
        var (calibrating, factors) = Draw("calibration", 200, Low, High);
        var (low, _) = Draw("low", 40, 0, 0.05f);
        var settings = SmallTraining.Settings(epochs: 16) with { IsAugmented = false, FreeBits = 0 };
        using var trainer = SmallTraining.Trainer(training, settings, Path.Combine(_rendered.Directory, "run", "checkpoint"),
            latent: Latent);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        var exporter = new ModelExporter(SmallTraining.Network(settings, Latent), trainer.Weights);
        float[][] crossFitted = exporter.FitScores(training);
        string directory = Path.Combine(_rendered.Directory, "models", "street");
        var package = new PackageBuilder(settings, exporter, null).Write(directory, new PackageBuilder.Description("1.0.0", "A test.",
            "none", "the renderer", "none", "cpu"), new PackageBuilder.Blocks(training, calibrating, calibrating), crossFitted, null, 10,
            trainer.Figures, trainer.BestEpoch, 1, TimeSpan.Zero, TestContext.Current.CancellationToken);
        Assert.Equal(Latent, package.Default.Calibration.Code!.Mean.Length);

        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        float[][] codes = scorer.ScoreAndEncode(calibrating, null, TestContext.Current.CancellationToken).Codes;
        var measured = Disentanglement.Measure(codes, factors);
        var names = measured.Names(StreetFactors.Names);
        Assert.True(names.Any(name => name.Value == "sun height"),
            $"no dimension goes with the sun: {string.Join(", ", measured.Explained)}");

        var named = ModelPackageWriter.Write(directory, package.Card with
        {
            Network = package.Card.Network with { DimensionNames = names }
        }, ModelPackageWriter.ReadAll(package));
        var detector = new CameraDetector("car-1", named, new DetectionOptions());
        var alerts = new List<AlertStep>();
        int offset = 0;
        Play(calibrating, 60);
        Assert.Empty(alerts);
        Play(low, low.Count);
        var opened = Assert.Single(alerts, alert => alert.Type == AlertType.Opened);
        Assert.NotEmpty(opened.Along);
        Assert.Equal("sun height", opened.Along[0].Name);
        Assert.Contains("Unusual along: sun height, ", opened.Reason, StringComparison.Ordinal);

        void Play(DecodedFootage footage, int count) => scorer.Score(count, footage.Read, null, (_, batch, slot) =>
        {
            detector.Observe(new FrameObservation
            {
                Frame = new FrameRef("camera.frames", 0, offset, 1_000_000_000_000 + offset++ * 100_000_000L),
                Scores = batch.Scores(slot),
                ErrorMap = batch.ErrorMap(slot),
                Latent = batch.Latent(slot),
                Pixels = batch.Pixels(slot),
            }, alerts);
        }, TestContext.Current.CancellationToken);
    }

    /// <summary>Frames of one place in which the sun's height and the road's bend differ.</summary>
    private (DecodedFootage Footage, float[][] Factors) Draw(string name, int count, float low, float high)
    {
        string directory = Directory.CreateDirectory(Path.Combine(_rendered.Directory, name)).FullName;
        using var camera = new StreetCamera(12);
        var random = new Random(name.Length);
        float[][] factors = new float[count][];
        for (int i = 0; i < count; i++)
        {
            var drawn = new StreetFactors(low + (high - low) * random.NextSingle(), 0, random.NextSingle(), 0, 0.5f, 0.5f);
            factors[i] = [.. Enumerable.Range(0, StreetFactors.Count).Select(k => drawn[k])];
            File.WriteAllBytes(Path.Combine(directory, FormattableString.Invariant($"{i:00000}.jpg")), camera.Render(drawn));
        }
        return (_rendered.Load(directory, SmallTraining.Size), factors);
    }
}
