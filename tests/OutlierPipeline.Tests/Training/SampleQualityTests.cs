using OutlierPipeline.Training.Judging;

namespace OutlierPipeline.Tests.Training;

public sealed class SampleQualityTests
{
    [Fact]
    public void Samples_of_the_same_distribution_are_at_no_distance_and_shifted_ones_are()
    {
        var random = new Random(1);
        float[][] frames = Normal(random, 300, 0, 1);
        var (same, width) = SampleQuality.Kid(frames, Normal(random, 300, 0, 1), seed: 1);
        Assert.InRange(Math.Abs(same), 0, 3 * width + 0.02);
        Assert.True(SampleQuality.Kid(frames, Normal(random, 300, 1, 1), seed: 1).Kid > 10 * (Math.Abs(same) + width));
    }

    [Fact]
    public void Precision_falls_where_samples_leave_the_frames_and_recall_where_they_are_all_alike()
    {
        var random = new Random(1);
        float[][] frames = Normal(random, 300, 0, 1);
        var same = SampleQuality.PrecisionAndRecall(frames, Normal(random, 300, 0, 1));
        Assert.InRange(same.Precision, 0.6, 1);
        Assert.InRange(same.Recall, 0.6, 1);
        var alike = SampleQuality.PrecisionAndRecall(frames, Normal(random, 300, 0, 0.1f));
        Assert.InRange(alike.Precision, 0.9, 1);
        Assert.InRange(alike.Recall, 0, 0.1);
        var wild = SampleQuality.PrecisionAndRecall(frames, Normal(random, 300, 5, 1));
        Assert.InRange(wild.Precision, 0, 0.05);
    }

    [Fact]
    public void A_copy_is_at_no_distance_from_what_it_copies()
    {
        float[][] frames = Normal(new Random(1), 50, 0, 1);
        Assert.Equal(0, SampleQuality.Nearest(frames, frames));
        Assert.InRange(SampleQuality.Nearest(Normal(new Random(2), 50, 0, 1), frames), 0.5, 10);
    }

    private static float[][] Normal(Random random, int count, float mean, float deviation) =>
        [.. Enumerable.Range(0, count).Select(_ => Enumerable.Range(0, 8).Select(_ => mean + deviation
            * (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))).ToArray())];
}
