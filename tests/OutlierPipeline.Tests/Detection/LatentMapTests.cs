using System.Text.Json;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Detection;

public sealed class LatentMapTests
{
    private const int Length = 6;

    [Fact]
    public void The_axes_are_the_directions_in_which_the_codes_differ_most()
    {
        double[] first = [0, 0.6, 0, -0.8, 0, 0];
        double[] second = [0.5, 0, -0.5, 0, 0.5, 0.5];
        var random = new Random(1);
        float[][] codes = [.. Enumerable.Range(0, 4000).Select(_ => Code(3 * Normal(random), 2 * Normal(random)))];
        var map = LatentMap.Fit(codes);
        Assert.Equal(Length, map.Mean.Length);
        for (int i = 0; i < Length; i++)
        {
            Assert.Equal(i, map.Mean[i], 0.15);
            // The largest component is positive: the first axis comes out turned round.
            Assert.Equal(-first[i], map.First[i], 0.05);
            Assert.Equal(Math.Sign(map.Second[0]) * second[i], map.Second[i], 0.05);
        }
        Assert.True(map.Second.MaxBy(Math.Abs) > 0);
        Assert.Equal(1, map.First.Sum(component => component * component), 1e-4);
        Assert.Equal(0, map.First.Zip(map.Second, (a, b) => a * b).Sum(), 1e-4);
        // No other direction has a larger variance.
        double largest = codes.Average(code => Math.Pow(map.Project(code).X, 2));
        Assert.InRange(largest, 8, 10);
        Assert.InRange(codes.Average(code => Math.Pow(map.Project(code).Y, 2)), 3.5, 4.5);

        float[] Code(double a, double b) =>
            [.. Enumerable.Range(0, Length).Select(i => (float)(i + a * first[i] + b * second[i] + 0.3 * Normal(random)))];
    }

    [Fact]
    public void A_code_is_projected_onto_both_axes_from_the_mean()
    {
        var map = new LatentMap { Mean = [1, 1, 1], First = [0, 1, 0], Second = [0.6f, 0, 0.8f], Points = [] };
        Assert.Equal((0, 0), map.Project([1, 1, 1]));
        var (x, y) = map.Project([2, 4, 3]);
        Assert.Equal(3, x, 1e-6);
        Assert.Equal(0.6 + 1.6, y, 1e-6);
        Assert.Throws<ArgumentException>(() => map.Project([1, 2]));
    }

    [Fact]
    public void Points_are_at_most_three_hundred_evenly_spread_in_time_and_where_their_codes_are_projected()
    {
        float[][] codes = [.. Enumerable.Range(0, 1000).Select(i => new[] { 0.01f * i, 5 })];
        var map = LatentMap.Fit(codes);
        Assert.Equal([1, 0], map.First);
        Assert.Equal(LatentMap.MaxPoints, map.Points.Length);
        Assert.Equal(map.Project(codes[0]).X, map.Points[0][0], 1e-3);
        Assert.Equal(map.Project(codes[^1]).X, map.Points[^1][0], 1e-3);
        Assert.All(map.Points.Zip(map.Points.Skip(1)), pair => Assert.InRange(pair.Second[0] - pair.First[0], 0.029, 0.041));
        Assert.Equal(7, LatentMap.Fit(codes[..7]).Points.Length);
        Assert.Single(LatentMap.Fit(codes[..1]).Points);
    }

    [Fact]
    public void Codes_of_one_number_lie_on_a_line()
    {
        var map = LatentMap.Fit([[1], [3], [8]]);
        Assert.Equal([1], map.First);
        Assert.Equal([0], map.Second);
        Assert.Equal((2, 0), map.Project([6]));
        Assert.Equal([[-3, 0], [-1, 0], [4, 0]], map.Points);
    }

    [Fact]
    public void Codes_that_do_not_differ_lie_in_one_point_and_those_that_are_none_are_refused()
    {
        Assert.All(LatentMap.Fit([[1, 2, 3], [1, 2, 3]]).Points, point => Assert.Equal([0, 0], point));
        Assert.Throws<ArgumentException>(() => LatentMap.Fit([]));
        Assert.Throws<ArgumentException>(() => LatentMap.Fit([[1, 2], [1]]));
        Assert.Throws<ArgumentException>(() => LatentMap.Fit([[1, float.NaN]]));
    }

    [Fact]
    public void What_is_written_is_read_back_short_and_what_does_not_fit_together_is_refused()
    {
        var random = new Random(2);
        float[][] codes = [.. Enumerable.Range(0, 500).Select(_ =>
            Enumerable.Range(0, Length).Select(_ => (float)Normal(random)).ToArray())];
        var map = LatentMap.Fit(codes);
        var calibration = Calibration.Fit(["a"], ["a"], [.. codes.Select(code => new[] { code[0] })]) with { LatentMap = map };
        var read = Calibration.Parse(calibration.ToJson()).LatentMap!;
        Assert.Equal(map.Mean, read.Mean);
        Assert.Equal(map.First, read.First);
        Assert.Equal(map.Second, read.Second);
        Assert.Equal(map.Points, read.Points);
        Assert.InRange(calibration.ToJson().Length - (calibration with { LatentMap = null }).ToJson().Length, 1,
            20 * (LatentMap.MaxPoints + 3 * Length));
        AssertRefused(map with { Mean = map.Mean[1..] }, "mean, first and second must be equally long");
        AssertRefused(map with { Second = [.. map.Second, 0] }, "mean, first and second must be equally long");
        AssertRefused(map with { Points = [[1, 2], [1, 2, 3]] }, "every point must have 2 entries");

        void AssertRefused(LatentMap wrong, string message) =>
            Assert.Contains(message, Assert.Throws<JsonException>(() =>
            Calibration.Parse((calibration with { LatentMap = wrong }).ToJson())).Message, StringComparison.Ordinal);
    }

    /// <summary>Box and Muller's draw from the normal distribution.</summary>
    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
