using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Tests.Training;

/// <summary>A second training on frames drawn inversely to their density: what is rare in the footage alarms less.</summary>
[Collection(TorchTests.Name)]
public sealed class DebiasTests : IDisposable
{
    private static readonly FrameSize Size = new(48, 80);
    private readonly RenderedFootage _rendered = new();
    private readonly Backbone _backbone = Backbone.ResNet18(1);

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public void Other_frames_of_a_rare_kind_score_nearer_to_the_common_ones()
    {
        _rendered.Drive("both/day", 80, 4);
        _rendered.Drive("both/night", 8, 5, Trouble.Night);
        var footage = _rendered.Load(Path.Combine(_rendered.Directory, "both"), Size);
        var day = _rendered.Load(_rendered.Drive("day", 20, 8), Size);
        var night = _rendered.Load(_rendered.Drive("night", 20, 9, Trouble.Night), Size);
        using var training = Training(footage);
        Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        double plain = Gap(training, day, night);
        training.Debias(resume: false);
        Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        double debiased = Gap(training, day, night);
        Assert.True(debiased < 0.7 * plain, $"the gap was {plain} and is {debiased}");
    }

    [Fact]
    public void An_interrupted_second_training_goes_on_where_it_was()
    {
        _rendered.Drive("both/day", 50, 4);
        _rendered.Drive("both/night", 5, 5, Trouble.Night);
        var footage = _rendered.Load(Path.Combine(_rendered.Directory, "both"), Size);
        float[] whole;
        using (var training = Training(footage))
        {
            Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
            training.Debias(resume: false);
            Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
            whole = Values(training);
        }
        using (var training = Training(footage))
        {
            training.Trainer.Resume();
            Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
            training.Debias(resume: false);
            using var stop = new CancellationTokenSource();
            Assert.False(training.Trainer.Run(progress =>
            {
                if (progress.Step == 5) stop.Cancel();
            }, stop.Token));
        }
        using var resumed = Training(footage);
        resumed.Trainer.Resume();
        resumed.Debias(resume: true);
        var steps = new List<long>();
        Assert.True(resumed.Trainer.Run(progress => steps.Add(progress.Step), TestContext.Current.CancellationToken));
        Assert.Equal(6, steps[0]);
        Assert.Equal(whole, Values(resumed));
    }

    private FeatureTraining Training(DecodedFootage footage)
    {
        TorchSharp.torch.set_num_threads(2);
        var settings = new TrainingSettings
        {
            Architecture = Architecture.Named("feature-vae"),
            Epochs = 3,
            Batch = 512,
            Seed = 3,
            Beta = 1,
            LearningRate = 2e-3,
            Patience = 3,
            IsDebiased = true,
        };
        return new FeatureTraining(_backbone, footage, null, settings, 8, 2, 0.1, Path.Combine(_rendered.Directory, "run", "checkpoint"),
            TestContext.Current.CancellationToken)
        { PixelSteps = 20 };
    }

    /// <summary>By how much the residual of one footage's frames lies above another's, on average.</summary>
    private double Gap(FeatureTraining training, DecodedFootage common, DecodedFootage rare)
    {
        var exporter = training.Finish(TestContext.Current.CancellationToken).Exporter;
        int residual = exporter.Scores.ToList().FindIndex(score => score.Name == "residual");
        using var runner = new FeatureRunner(_backbone, Size, null, training.Fill, threads: 2);
        double Mean(DecodedFootage footage) => Enumerable.Range(0, footage.Count).Average(i =>
            exporter.Reference(runner.Run(footage[i])).Scores[residual]);
        return Mean(rare) - Mean(common);
    }

    private static float[] Values(FeatureTraining training) =>
        [.. training.Trainer.Weights.OrderBy(weight => weight.Key, StringComparer.Ordinal).SelectMany(weight => weight.Value.Values)];
}
