using OutlierPipeline.Evaluation;

namespace OutlierPipeline.Tests.Evaluation;

/// <summary>What is rare in latent space is found, and drawn more often.</summary>
public sealed class LatentHistogramTests
{
    /// <summary>95 codes around 0 and 5 around 3, in two dimensions.</summary>
    private static float[][] Codes()
    {
        var random = new Random(1);
        float Noise() => (float)(0.6 * (random.NextDouble() + random.NextDouble() - 1));
        return [.. Enumerable.Range(0, 100).Select(i => new[] { (i < 95 ? 0 : 3) + Noise(), (i < 95 ? 0 : 3) + Noise() })];
    }

    [Fact]
    public void Rare_codes_are_rarer_than_common_ones()
    {
        float[][] codes = Codes();
        var histogram = new LatentHistogram(codes);
        double common = codes.Take(95).Average(code => histogram.Rarity(code));
        Assert.All(codes.Skip(95), code => Assert.True(histogram.Rarity(code) > common + 1));
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.2)]
    public void Weights_have_a_mean_of_one_and_count_as_a_share_of_the_frames(double share)
    {
        float[][] codes = Codes();
        var histogram = new LatentHistogram(codes);
        double[] weights = LatentHistogram.Weights([.. codes.Select(code => histogram.Rarity(code))], share);
        Assert.Equal(1, weights.Average(), 1e-9);
        double effective = weights.Sum() * weights.Sum() / weights.Sum(weight => weight * weight);
        Assert.InRange(effective, 100 * share, 100 * share + 1);
        Assert.True(weights.Skip(95).Average() > 2 * weights.Take(95).Average());
    }

    [Fact]
    public void Frames_that_are_all_alike_have_equal_weights() =>
        Assert.Equal([1, 1, 1], LatentHistogram.Weights([0.5, 0.5, 0.5]));

    [Fact]
    public void Each_index_is_drawn_as_often_as_its_weight_says()
    {
        double[] weights = [0.5, 3.2, 0.3, 0, 1];
        int[] sums = new int[weights.Length];
        for (int seed = 0; seed < 1000; seed++)
        {
            int[] drawn = LatentHistogram.Draw(weights, seed);
            Assert.Equal(weights.Length, drawn.Length);
            Assert.Equal(drawn.Order(), drawn);
            for (int i = 0; i < weights.Length; i++)
            {
                int count = drawn.Count(index => index == i);
                Assert.InRange(count, Math.Floor(weights[i]), Math.Ceiling(weights[i]));
                sums[i] += count;
            }
        }
        for (int i = 0; i < weights.Length; i++) Assert.Equal(weights[i], sums[i] / 1000.0, 0.07);
    }

    [Fact]
    public void The_rarest_frames_come_first_and_stand_for_those_that_look_like_them()
    {
        float[][] codes = Codes();
        codes = [.. codes, codes[97], codes[97]];
        var rare = RareFrames.Find(codes, 5, apart: 0.001);
        Assert.All(rare, frame => Assert.True(frame.Index >= 95));
        Assert.Equal(2, rare.Single(frame => frame.Index is 97 or 100 or 101).Alike);
        Assert.Equal(rare.OrderByDescending(frame => frame.Rarity), rare);
    }
}
