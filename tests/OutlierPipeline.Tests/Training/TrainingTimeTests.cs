using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Paired;

namespace OutlierPipeline.Tests.Training;

/// <summary>Trainings against a discriminator end within half an hour on two cores unless more is asked for.</summary>
public sealed class TrainingTimeTests
{
    private const double HalfAnHour = 30 * 60;

    [Theory]
    [InlineData("gan", 1100, 136)]
    [InlineData("vae-gan", 1100, 75)]
    [InlineData("to maps", 205, 34)]
    [InlineData("to pictures", 205, 54)]
    public void The_documented_drives_have_the_documented_epochs(string training, int frames, int epochs)
    {
        var (cost, share) = training switch
        {
            "gan" => (GanTrainer.FrameCost, 1.0),
            "vae-gan" => (VaeGanTrainer.FrameCost, 1),
            "to maps" => (MapTrainer.FrameCost, PairedRun.MapShare),
            _ => (PictureTrainer.FrameCost, 1 - PairedRun.MapShare),
        };
        Assert.Equal(epochs, TrainingTime.Epochs(frames, cost, isGpu: false, share));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(50)]
    [InlineData(205)]
    [InlineData(1_100)]
    [InlineData(5_000)]
    public void No_training_takes_one_core_longer_than_half_an_hour_and_both_ways_of_pairs_together_do_not(int frames)
    {
        foreach (double cost in new[] { GanTrainer.FrameCost, VaeGanTrainer.FrameCost })
            Assert.InRange(TrainingTime.Epochs(frames, cost, isGpu: false) * frames * cost, 0, 0.9 * HalfAnHour);
        double toMaps = TrainingTime.Epochs(frames, MapTrainer.FrameCost, isGpu: false, PairedRun.MapShare) * MapTrainer.FrameCost;
        double toPictures = TrainingTime.Epochs(frames, PictureTrainer.FrameCost, isGpu: false, 1 - PairedRun.MapShare)
            * PictureTrainer.FrameCost;
        Assert.InRange((toMaps + toPictures) * frames, 0, 0.9 * HalfAnHour);
    }

    [Fact]
    public void Few_frames_are_looked_at_two_hundred_times_and_very_many_once_and_a_gpu_looks_at_ten_times_as_many()
    {
        Assert.Equal(200, TrainingTime.Epochs(50, 0.01, isGpu: false));
        Assert.Equal(1, TrainingTime.Epochs(1_000_000, 0.01, isGpu: false));
        Assert.Equal(15, TrainingTime.Epochs(10_000, 0.01, isGpu: false));
        Assert.Equal(150, TrainingTime.Epochs(10_000, 0.01, isGpu: true));
    }

    [Theory]
    [InlineData(10, 30, 60, ", about 3 min left")]
    [InlineData(100, 50, 60, ", about 30 s left")]
    [InlineData(100, 0, 60, "")]
    [InlineData(0, 50, 60, "")]
    public void What_is_left_is_told_at_the_pace_so_far(long done, long left, int seconds, string expected) =>
        Assert.Equal(expected, TrainingTime.Left(done, left, TimeSpan.FromSeconds(seconds)));
}
