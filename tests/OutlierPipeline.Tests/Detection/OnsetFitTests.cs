using OutlierPipeline.Detection;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Detection;

public class OnsetFitTests
{
    [Fact]
    public void P_values_of_other_drives_of_the_same_kind_are_about_what_they_say_at_every_rate()
    {
        // Of drives that differ less than each wanders: no unit is then a share of what lies between drives.
        const double Apart = 0.5;
        var calibration = Calibrated(Drives(1, 6, 600, Apart), 600);
        var onset = OnsetFit.Fit(calibration, null, Drives(2, 6, 600, Apart), [.. Enumerable.Repeat(600, 6)], 10, "drives left out")!;
        Assert.Equal([1, 10.0 / 3, 10], onset.Fast.Select(rate => rate.FramesPerSecond), (a, b) => Math.Abs(a - b) < 0.01);
        foreach (var rate in onset.Fast)
        {
            int step = (int)Math.Round(10 / rate.FramesPerSecond);
            var values = new List<double>();
            var rows = Drives(3, 6, 600, Apart);
            for (int drive = 0; drive < 6; drive++)
            {
                var baseline = new OnsetBaseline(2);
                for (int i = 0; i < 600; i += step)
                {
                    baseline.Add(OnsetFit.Standardised(calibration, calibration.Combining, rows[600 * drive + i]), 0.1 * step);
                    if (!baseline.HasFast) continue;
                    values.Add(rate.PValue(rate.Combine(OnsetFit.InScores(calibration, calibration.Combining, baseline.Fast))));
                }
            }
            Assert.InRange(values.Count(p => p <= 0.1) / (double)values.Count, 0.02, 0.2);
        }
        Assert.NotNull(onset.Slow);
    }

    [Fact]
    public void A_camera_is_held_against_the_highest_rate_that_is_not_above_its_own()
    {
        var onset = OnsetFit.Fit(Calibrated(Drives(1, 2, 600), 600), null, Drives(2, 2, 600), [600, 600], 10, "drives left out")!;
        Assert.Equal(10, onset.For(1 / 30.0)!.FramesPerSecond);
        Assert.Equal(10, onset.For(0.1)!.FramesPerSecond);
        Assert.Equal(10, onset.For(0.11)!.FramesPerSecond);
        Assert.Equal(1, onset.For(0.9)!.FramesPerSecond);
        Assert.Null(onset.For(2));
    }

    [Fact]
    public void What_changes_by_ten_times_the_normal_deviation_is_far_out()
    {
        var calibration = Calibrated(Drives(1, 6, 600), 600);
        var onset = OnsetFit.Fit(calibration, null, Drives(2, 6, 600), [.. Enumerable.Repeat(600, 6)], 10, "drives left out")!;
        var rate = onset.For(0.1)!;
        double combined = rate.Combine([10 * 2.33 * rate.Units[0], 0]);
        Assert.InRange(rate.TailPValue(combined)!.Value, 0, 1e-5);
        Assert.Null(rate.TailPValue(rate.Sorted[rate.Sorted.Length / 2]));
        Assert.InRange(rate.Weight * rate.Sorted.Length, 50, 3600);
    }

    [Fact]
    public void Footage_that_is_too_short_gives_none_and_a_package_without_the_section_reads_as_before()
    {
        var calibration = Calibrated(Drives(1, 1, 40), 40);
        Assert.Null(OnsetFit.Fit(calibration, null, Drives(2, 1, 40), [40], 10, "calibration footage"));
        Assert.Null(Calibration.Parse(calibration.ToJson()).Onset);
        var onset = OnsetFit.Fit(calibration, null, Drives(2, 1, 200), [200], 10, "calibration footage")!;
        var read = Calibration.Parse((calibration with { Onset = onset }).ToJson()).Onset!;
        Assert.Equal(onset.Fast.Select(rate => rate.Sorted.Length), read.Fast.Select(rate => rate.Sorted.Length));
        Assert.Equal(onset.Fast[0].Tail, read.Fast[0].Tail);
        Assert.Equal("calibration footage", read.Basis);
        var broken = onset with { Fast = [onset.Fast[0] with { Units = [1] }] };
        Assert.Contains("one for each score that is watched", Assert.Throws<System.Text.Json.JsonException>(() =>
            Calibration.Parse((calibration with { Onset = broken }).ToJson())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_score_that_is_not_combined_is_watched_where_the_package_says_so_and_is_named()
    {
        var rows = Drives(1, 4, 600, 0.5);
        var calibration = Calibration.Fit(["a", "b"], ["a"], rows, [600, 600, 600, 600]);
        OnsetWatch Watch(string[]? scores) => new(calibration,
            OnsetFit.Fit(calibration, scores, Drives(2, 4, 600, 0.5), [600, 600, 600, 600], 10, "drives left out")!, null);
        var (both, combined) = (Watch(["a", "b"]), Watch(null));
        OnsetFigures? ofBoth = null, ofCombined = null;
        for (int i = 0; i < 70; i++)
        {
            float[] scores = [rows[i][0], i < 60 ? rows[i][1] : rows[i][1] + 200];
            (ofBoth, ofCombined) = (both.Add(scores, 0.1, null), combined.Add(scores, 0.1, null));
        }
        Assert.Equal(1, ofBoth!.Value.Fired);
        Assert.InRange(ofBoth.Value.PValue, 0, 0.05);
        Assert.InRange(ofCombined!.Value.PValue, 0.05, 1);
    }

    [Theory]
    [InlineData]
    [InlineData("c", "a")]
    [InlineData("a", "a")]
    public void Watched_scores_that_the_package_does_not_have_are_refused(params string[] scores)
    {
        var calibration = Calibrated(Drives(1, 2, 200), 200);
        var onset = OnsetFit.Fit(calibration, null, Drives(2, 2, 200), [200, 200], 10, "drives left out")! with { Scores = scores };
        Assert.Contains("onset.scores", Assert.Throws<System.Text.Json.JsonException>(() =>
            Calibration.Parse((calibration with { Onset = onset }).ToJson())).Message, StringComparison.Ordinal);
    }

    private static Calibration Calibrated(float[][] rows, int drive) =>
        Calibration.Fit(["a", "b"], ["a", "b"], rows, [.. Enumerable.Repeat(drive, rows.Length / drive)]);

    /// <summary>Drives whose scores wander about a level of their own.</summary>
    private static float[][] Drives(int seed, int count, int length, double apart = 5)
    {
        var random = new Random(seed);
        var rows = new List<float[]>();
        for (int drive = 0; drive < count; drive++)
        {
            double level = apart * random.NextDouble();
            double a = 0;
            double b = 0;
            for (int i = 0; i < length; i++)
            {
                a = 0.9 * a + random.NextDouble() - 0.5;
                b = 0.5 * b + random.NextDouble() - 0.5;
                rows.Add([(float)(level + a), (float)(2 * level + b)]);
            }
        }
        return [.. rows];
    }
}
