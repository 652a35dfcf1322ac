using OutlierPipeline.Benchmarks.Soak;

namespace OutlierPipeline.Tests.Evaluation;

/// <summary>What the soak calls flat.</summary>
public sealed class TrendTests
{
    private static readonly TimeSpan Block = TimeSpan.FromMinutes(3);

    [Fact]
    public void What_grows_by_a_known_slope_is_said_to_grow_by_it()
    {
        var trend = Trend.Of(Hour(seed: 1, slope: 6), Block);
        Assert.Equal("grows", trend.Verdict);
        Assert.InRange(6, trend.SlopePerHour - trend.HalfWidth, trend.SlopePerHour + trend.HalfWidth);
        Assert.Equal("falls", Trend.Of(Hour(seed: 1, slope: -6), Block).Verdict);
    }

    [Fact]
    public void Noise_around_a_constant_is_flat_though_neighbours_resemble_each_other()
    {
        int wrong = Enumerable.Range(0, 300).Count(seed => Trend.Of(Hour(seed, slope: 0), Block).Verdict != "flat");
        // 3 are expected.
        Assert.InRange(wrong, 0, 12);
        // What a line through the samples themselves would say of them.
        Assert.InRange(Enumerable.Range(0, 300).Count(seed => Trend.Of(Hour(seed, slope: 0), TimeSpan.FromSeconds(10)).Verdict != "flat"),
            60, 300);
    }

    [Fact]
    public void The_interval_is_Students()
    {
        var samples = new double[] { 0, 1, 0, 1, 0 }.Select((value, i) => (TimeSpan.FromHours(i), value)).ToList();
        var trend = Trend.Of(samples, TimeSpan.FromHours(1));
        Assert.Equal(0, trend.SlopePerHour, 9);
        // 5.841 of 3 degrees of freedom, times a standard error of 0.2.
        Assert.InRange(trend.HalfWidth, 1.155, 1.169);
    }

    [Fact]
    public void A_constant_is_flat_and_a_few_blocks_say_nothing()
    {
        var constant = Enumerable.Range(0, 300).Select(i => (TimeSpan.FromSeconds(10 * i), 163.3)).ToList();
        Assert.Equal("flat", Trend.Of(constant, Block).Verdict);
        Assert.Equal("too short to tell", Trend.Of(constant[..70], Block).Verdict);
    }

    /// <summary>A sample each ten seconds: 100, a slope, and noise of standard deviation 1 that forgets within a minute.</summary>
    private static List<(TimeSpan, double)> Hour(int seed, double slope)
    {
        var random = new Random(seed);
        double noise = 0;
        return [.. Enumerable.Range(0, 360).Select(i =>
        {
            double drawn = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            noise = 0.8 * noise + 0.6 * drawn;
            return (TimeSpan.FromSeconds(10 * i), 100 + slope * i / 360 + noise);
        })];
    }
}
