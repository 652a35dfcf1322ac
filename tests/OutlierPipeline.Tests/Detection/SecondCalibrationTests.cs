using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Detection;

/// <summary>A score that is sometimes missing: frames of both sorts have the false-alarm rate that is said.</summary>
public sealed class SecondCalibrationTests
{
    private const int Calibrating = 4000;
    private const int Judged = 40_000;
    private static readonly string[] First = ["a"];
    private static readonly string[] Names = ["resynthesis", "classes", "unlike_road"];
    private readonly Random _random = new(24);

    [Theory]
    [InlineData(0.01)]
    [InlineData(0.05)]
    [InlineData(0.2)]
    public void Normal_frames_of_both_sorts_are_below_a_level_as_often_as_it_says(double level)
    {
        var (first, second) = Calibrate();
        int with = 0, without = 0, mixed = 0;
        for (int i = 0; i < Judged; i++)
        {
            var (row, more) = Draw();
            double alone = first.Combine(row);
            double both = second.Combine(alone, more);
            if (second.PValue(first, both, above: 0) <= level) with++;
            if (first.PValue(alone) <= level) without++;
            // What would happen if frames with both scores were held against those of the first alone.
            if (first.PValue(both) <= level) mixed++;
        }
        double spread = 4 * Math.Sqrt(level * (1 - level) * (1.0 / Judged + 1.0 / Calibrating));
        Assert.InRange((double)with / Judged, level - spread, level + spread);
        Assert.InRange((double)without / Judged, level - spread, level + spread);
        Assert.True((double)mixed / Judged > level + 2 * spread, $"{mixed} of {Judged}: this test could not fail");
    }

    [Theory]
    [InlineData(0.005)]
    [InlineData(0.05)]
    [InlineData(0.1)]
    [InlineData(0.3)]
    public void Where_unsure_frames_alone_have_both_all_frames_together_keep_the_rate(double level)
    {
        const double Above = 0.1;
        var (first, second) = Calibrate();
        int alarms = 0, chosen = 0;
        for (int i = 0; i < Judged; i++)
        {
            var (row, more) = Draw();
            double alone = first.Combine(row);
            double p = first.PValue(alone);
            if (p <= Above)
            {
                chosen++;
                p = second.PValue(first, second.Combine(alone, more), Above);
                Assert.InRange(p, first.SmallestPValue * 0.99, Above);
            }
            if (p <= level) alarms++;
        }
        Assert.InRange((double)chosen / Judged, 0.08, 0.12);
        double spread = 4 * Math.Sqrt(level * (1 - level) * (1.0 / Judged + 1.0 / Calibrating));
        Assert.InRange((double)alarms / Judged, level - spread, level + spread);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.1)]
    public void Beyond_what_was_seen_the_tail_is_of_the_score_by_both(double above)
    {
        var (first, second) = Calibrate();
        var whole = first with { Second = second };
        double smallest = second.PValue(first, double.PositiveInfinity, above);
        var (row, more) = Draw();
        more[0] = 300;
        // Only the second graph finds it strange: the first graph's own tail would say nothing.
        Assert.Null(first.TailPValue(first.Combine(row)));
        var (both, p, tail) = whole.Judge(row, new SecondScores(more, above));
        Assert.Equal(smallest, p);
        Assert.InRange(tail!.Value, 1e-12, smallest);
        more[0] = 600;
        Assert.InRange(whole.Judge(row, new SecondScores(more, above)).TailPValue!.Value, 1e-12, tail.Value * 0.9);
        // A package from before it was kept extrapolates nothing: its first graph's tail is of another score.
        var older = first with { Second = second with { Tail = null } };
        row[0] = 60;
        Assert.NotNull(older.Judge(row, null).TailPValue);
        Assert.Null(older.Judge(row, new SecondScores(more, above)).TailPValue);
        Assert.True(both > second.Tail!.Threshold);
    }

    [Fact]
    public void Normal_frames_have_a_tails_p_value_of_a_level_no_more_often_than_about_that()
    {
        const double Level = 1e-3;
        var (first, second) = Calibrate(count: 400);
        int below = 0;
        for (int i = 0; i < Judged; i++)
        {
            var (row, more) = Draw();
            if (second.TailPValue(first, second.Combine(first.Combine(row), more), 0) <= Level) below++;
        }
        // 1 of 401 is the smallest rank: without a tail none is so small. An extrapolation of 400 frames may be wrong by some times.
        Assert.InRange(below, 1, 5 * Level * Judged);
        Assert.True(second.PValue(first, double.PositiveInfinity, 0) > Level);
    }

    [Fact]
    public void What_the_second_graph_alone_finds_strange_is_strange_by_both()
    {
        var (first, second) = Calibrate();
        var (row, more) = Draw();
        double usual = second.PValue(first, second.Combine(first.Combine(row), more), 0);
        more[0] = 60;
        double strange = second.PValue(first, second.Combine(first.Combine(row), more), 0);
        Assert.True(strange < 0.001 && usual > strange, $"p {strange} with it, {usual} without");
        // A score that is not combined changes nothing.
        more = Draw().Second;
        double before = second.Combine(first.Combine(row), more);
        more[2] = 1000;
        Assert.Equal(before, second.Combine(first.Combine(row), more));
        more[1] = float.NaN;
        Assert.Equal(double.MaxValue, second.Combine(first.Combine(row), more));
    }

    [Fact]
    public void It_survives_being_written_and_a_calibration_of_other_footage_forgets_it()
    {
        var (first, second) = Calibrate();
        var whole = first with { Second = second };
        var read = Calibration.Parse(whole.ToJson());
        Assert.Equal(second.PValue(first, 1.5, 0), read.Second!.PValue(read, 1.5, 0));
        Assert.Equal(second.PValue(first, 1.5, 0.1), read.Second.PValue(read, 1.5, 0.1));
        Assert.Equal(second.Tail, read.Second.Tail);
        float[][] rows = [.. Enumerable.Range(0, 100).Select(_ => Draw().First)];
        Assert.Null(whole.Refit(rows, [100]).Second);
        Assert.Null(whole.WithLeftOut(rows, [100]).Second);
        var broken = whole with { Second = second with { Combines = ["nothing"] } };
        Assert.Contains("second.combines", Assert.Throws<System.Text.Json.JsonException>(() => Calibration.Parse(broken.ToJson())).Message,
            StringComparison.Ordinal);
        broken = whole with { Second = second with { Tail = second.Tail! with { Scale = 0 } } };
        Assert.Contains("the tail's scale", Assert.Throws<System.Text.Json.JsonException>(() => Calibration.Parse(broken.ToJson())).Message,
            StringComparison.Ordinal);
    }

    private (Calibration First, SecondCalibration Second) Calibrate(int count = Calibrating)
    {
        var rows = Enumerable.Range(0, count).Select(_ => Draw()).ToArray();
        float[][] first = [.. rows.Select(row => row.First)];
        bool[] isNew = [.. rows.Select(_ => true)];
        var calibration = Calibration.Fit(First, First, first, isNew: isNew);
        return (calibration, SecondCalibration.Fit(calibration, Names, Names[..2], first, [.. rows.Select(row => row.Second)],
            [count], isNew));
    }

    /// <summary>A normal frame's scores: those of the second graph go with the first's in part.</summary>
    private (float[] First, float[] Second) Draw()
    {
        double common = Normal();
        return ([(float)(3 + common)], [(float)(20 + 5 * (0.6 * common + 0.8 * Normal())), (float)Math.Exp(Normal()), (float)Normal()]);
    }

    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
}
