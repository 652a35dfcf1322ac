using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class TrainerTests : IDisposable
{
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    private string Checkpoint => Path.Combine(_rendered.Directory, "run", "checkpoint");

    [Theory]
    [InlineData("ae")]
    [InlineData("vae")]
    public void Training_learns_to_draw_and_uses_its_code(string architecture)
    {
        var footage = Drive(90);
        using var trainer = SmallTraining.Trainer(footage, SmallTraining.Settings(architecture, epochs: 14), Checkpoint);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        double variance = Variance(footage);
        Assert.True(trainer.Figures.TrainingError < 0.5 * variance, $"error {trainer.Figures.TrainingError} of a variance of {variance}");
        if (architecture == "vae")
            Assert.True(trainer.Figures.TrainingKl > 1, $"the code carries {trainer.Figures.TrainingKl} nats: the posterior has collapsed");
    }

    [Fact]
    public void The_same_seed_gives_the_same_weights_and_another_seed_others()
    {
        var footage = Drive(50);
        float[] first = Train(footage, SmallTraining.Settings(seed: 9));
        Assert.Equal(first, Train(footage, SmallTraining.Settings(seed: 9)));
        Assert.NotEqual(first, Train(footage, SmallTraining.Settings(seed: 10)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(7)]
    public void A_run_that_was_interrupted_anywhere_and_goes_on_ends_as_the_uninterrupted_one(int steps)
    {
        var footage = Drive(60);
        var settings = SmallTraining.Settings(epochs: 3);
        float[] whole = Train(footage, settings);
        using (var interrupted = SmallTraining.Trainer(footage, settings, Checkpoint))
        {
            using var stop = new CancellationTokenSource();
            Assert.False(interrupted.Run(progress =>
            {
                if (progress.Step == steps) stop.Cancel();
            }, stop.Token));
        }
        using var resumed = SmallTraining.Trainer(footage, settings, Checkpoint);
        resumed.Resume();
        Assert.True(resumed.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Equal(whole, Values(resumed));
    }

    [Fact]
    public void A_checkpoint_of_other_frames_or_settings_or_one_that_is_damaged_is_refused()
    {
        var footage = Drive(50);
        using (var trainer = SmallTraining.Trainer(footage, SmallTraining.Settings(), Checkpoint))
            trainer.Run(_ => { }, TestContext.Current.CancellationToken);
        using (var other = SmallTraining.Trainer(footage, SmallTraining.Settings(seed: 4), Checkpoint))
            Assert.Contains("other frames or settings", Assert.Throws<TrainingException>(other.Resume).Message, StringComparison.Ordinal);
        byte[] content = File.ReadAllBytes(Checkpoint);
        File.WriteAllBytes(Checkpoint, content[..(content.Length / 2)]);
        using (var damaged = SmallTraining.Trainer(footage, SmallTraining.Settings(), Checkpoint))
            Assert.Contains("damaged", Assert.Throws<TrainingException>(damaged.Resume).Message, StringComparison.Ordinal);
        File.Delete(Checkpoint);
        using var missing = SmallTraining.Trainer(footage, SmallTraining.Settings(), Checkpoint);
        Assert.Contains("no checkpoint", Assert.Throws<TrainingException>(missing.Resume).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_loss_that_is_no_number_ends_the_run_with_an_explanation_and_the_checkpoint_stays_good()
    {
        var footage = Drive(50);
        using var trainer = SmallTraining.Trainer(footage, SmallTraining.Settings(epochs: 50) with { LearningRate = 1e30 }, Checkpoint);
        var stopped = Assert.Throws<TrainingException>(() => trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Contains("--learning-rate", stopped.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', stopped.Message);
        Assert.True(File.Exists(Checkpoint));
    }

    [Fact]
    public void A_run_ends_when_nothing_gets_better_and_keeps_the_best_weights()
    {
        // A learning rate of nearly nothing: no epoch is better than the first ones by more than chance.
        using var trainer = SmallTraining.Trainer(Drive(50), SmallTraining.Settings(epochs: 40, patience: 2) with { LearningRate = 1e-20 },
            Checkpoint);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.InRange(trainer.Epochs, trainer.BestEpoch + 2, 39);
    }

    [Fact]
    public void Mixed_precision_learns_as_well()
    {
        var footage = Drive(60);
        double error = Error(SmallTraining.Settings(epochs: 5));
        Assert.InRange(Error(SmallTraining.Settings(epochs: 5) with { IsMixedPrecision = true }), 0.7 * error, 1.3 * error);

        double Error(TrainingSettings settings)
        {
            using var trainer = SmallTraining.Trainer(footage, settings, Checkpoint);
            trainer.Run(_ => { }, TestContext.Current.CancellationToken);
            return trainer.Figures.ValidationError;
        }
    }

    [Fact]
    public void A_disk_that_takes_no_checkpoint_is_an_error_and_leaves_nothing_behind()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Checkpoint)!);
        // Where the file should go there is a directory.
        Directory.CreateDirectory(Checkpoint);
        using var trainer = SmallTraining.Trainer(Drive(50), SmallTraining.Settings(), Checkpoint);
        Assert.ThrowsAny<Exception>(() => trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(Checkpoint)!));
    }

    [Theory]
    [InlineData(320, 160, 80, 160)]
    [InlineData(480, 360, 96, 128)]
    [InlineData(1920, 1080, 80, 144)]
    [InlineData(320, 192, 96, 160)]
    [InlineData(1080, 1920, 144, 80)]
    public void The_network_takes_the_shape_of_the_pictures(int width, int height, int rows, int columns) =>
        Assert.Equal(new FrameSize(rows, columns), PatchNetwork.SizeFor(width, height));

    private DecodedFootage Drive(int frames) => _rendered.Load(_rendered.Drive("drive", frames, 4), SmallTraining.Size);

    private float[] Train(DecodedFootage footage, TrainingSettings settings)
    {
        using var trainer = SmallTraining.Trainer(footage, settings, Path.Combine(_rendered.Directory, "other", "checkpoint"));
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        return Values(trainer);
    }

    private static float[] Values(Trainer trainer) =>
        [.. trainer.Weights.OrderBy(weight => weight.Key, StringComparer.Ordinal).SelectMany(weight => weight.Value.Values)];

    private static double Variance(DecodedFootage footage)
    {
        double[] values = [.. Enumerable.Range(0, footage.Count).SelectMany(i => footage[i]).Select(value => value / 255.0)];
        double mean = values.Average();
        return values.Average(value => (value - mean) * (value - mean));
    }
}
