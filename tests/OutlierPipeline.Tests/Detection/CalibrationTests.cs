using System.Text.Json;
using CsCheck;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Detection;

public sealed class CalibrationTests
{
    private static readonly string[] Names = ["a", "b"];

    [Fact]
    public void The_p_value_is_one_plus_the_number_at_least_as_strange_over_n_plus_one()
    {
        var calibration = Calibration.Fit(["a"], ["a"], [.. Shuffled(99).Select(i => new[] { (float)i })]);
        Assert.Equal(1.0, calibration.PValue(0, -5));
        Assert.Equal(0.01, calibration.PValue(0, 99));
        Assert.Equal(0.02, calibration.PValue(0, 98));
        Assert.Equal(0.5, calibration.PValue(0, 50), 2);
    }

    [Fact]
    public void P_values_of_exchangeable_frames_are_valid_at_every_level()
    {
        // Vovk et al. 2005: P(p ≤ α) ≤ α. A thousand times 40 calibration frames and a fresh one.
        var random = new Random(7);
        double[] levels = [0.05, 0.1, 0.25, 0.5];
        int[] counts = new int[levels.Length];
        const int rounds = 4000;
        for (int round = 0; round < rounds; round++)
        {
            var calibration = Calibration.Fit(Names, Names, [.. Enumerable.Range(0, 40).Select(_ => Draw(random))]) with { Weight = 1 };
            // What fits location and scale also calibrates: the test frame would have to be part of the fit to be exactly exchangeable, so
            // a
            // single score, whose rank is its own, is judged here; the combined one may deviate a little.
            double p = calibration.PValue(0, Draw(random)[0]);
            for (int i = 0; i < levels.Length; i++) counts[i] += p <= levels[i] ? 1 : 0;
        }
        for (int i = 0; i < levels.Length; i++)
        {
            double bound = levels[i] + 4 * Math.Sqrt(levels[i] * (1 - levels[i]) / rounds);
            Assert.InRange((double)counts[i] / rounds, 0, bound);
        }
    }

    [Fact]
    public void A_stranger_score_never_has_a_larger_p_value()
    {
        var random = new Random(3);
        var calibration = Calibration.Fit(Names, Names, [.. Enumerable.Range(0, 100).Select(_ => Draw(random))]);
        Gen.Select(Gen.Float[-5, 5], Gen.Float[-5, 5], Gen.Float[0, 3]).Sample((a, b, more) =>
        {
            double p = calibration.PValue(calibration.Combine([a, b]));
            Assert.InRange(p, 1.0 / 101, 1);
            Assert.True(calibration.PValue(calibration.Combine([a + more, b])) <= p);
        });
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_score_that_is_no_number_is_strange_beyond_measure(float score)
    {
        var random = new Random(3);
        var calibration = Calibration.Fit(Names, Names, [.. Enumerable.Range(0, 100).Select(_ => Draw(random))]);
        Assert.Equal(1.0 / 101, calibration.PValue(calibration.Combine([score, 0])));
    }

    [Fact]
    public void What_is_written_is_read_back_and_what_is_damaged_is_refused()
    {
        var random = new Random(3);
        var calibration = Calibration.Fit(Names, Names, [.. Enumerable.Range(0, 30).Select(_ => Draw(random))]);
        var read = Calibration.Parse(calibration.ToJson());
        Assert.Equal(calibration.Combined, read.Combined);
        Assert.Equal(calibration.Combine([1, 2]), read.Combine([1, 2]));
        Assert.Throws<JsonException>(() =>
            Calibration.Parse((calibration with { Combined = [.. calibration.Combined.Reverse()] }).ToJson()));
        Assert.Throws<JsonException>(() => Calibration.Parse((calibration with { Scale = [0, 1] }).ToJson()));
        Assert.Throws<ArgumentException>(() => Calibration.Fit(Names, Names, [.. Enumerable.Range(0, 19).Select(_ => Draw(random))]));
    }

    [Fact]
    public void Neighbouring_frames_that_are_alike_count_as_few()
    {
        var random = new Random(4);
        // Each value stays for ten frames.
        float[][] rows = [.. Enumerable.Range(0, 60).SelectMany(_ => Enumerable.Repeat(Draw(random), 10))];
        var calibration = Calibration.Fit(Names, Names, rows, [300, 300]);
        Assert.InRange(calibration.EffectiveFrames, 60, 150);
        Assert.Equal(calibration.SmallestPValue, calibration.PValue(1e9), 12);
        Assert.Equal(1, calibration.PValue(-1e9), 12);
        Assert.Equal(1, Calibration.Fit(Names, Names, [.. Enumerable.Range(0, 600).Select(_ => Draw(random))]).Weight);
    }

    [Fact]
    public void Beyond_the_calibration_the_tail_goes_on_and_says_so()
    {
        var random = new Random(8);
        float Exponential() => (float)-Math.Log(1 - random.NextDouble());
        var calibration = Calibration.Fit(["a"], ["a"], [.. Enumerable.Range(0, 2000).Select(_ => new[] { Exponential() })]);
        double Combined(double score) => calibration.Combine([(float)score]);
        Assert.Null(calibration.TailPValue(Combined(3)));
        // An exponential score of 12 has a probability of e^-12; the tail's shape is kept at 0.1 or above, so it says more, and never less
        // than falls with the score.
        double tail = calibration.TailPValue(Combined(12))!.Value;
        Assert.InRange(tail, Math.Exp(-12), 100 * Math.Exp(-12));
        Assert.True(calibration.TailPValue(Combined(15)) < tail);
        Assert.Equal(1 / 2001.0, calibration.PValue(Combined(12)), 5);
        Assert.Null(Calibration.Fit(["a"], ["a"], [.. Enumerable.Range(0, 50).Select(_ => new[] { Exponential() })]).TailPValue(1e9));
    }

    [Fact]
    public void One_strong_score_is_enough_and_scores_that_are_not_combined_do_not_matter()
    {
        var random = new Random(3);
        var calibration = Calibration.Fit(["a", "b", "c"], ["a", "b"],
            [.. Enumerable.Range(0, 200).Select(_ => new[] { Draw(random)[0], Draw(random)[0], Draw(random)[0] })]);
        double normal = calibration.Combine([1, 1, 1]);
        Assert.Equal(normal, calibration.Combine([1, 1, 100]));
        Assert.True(calibration.PValue(calibration.Combine([5, 1, 1])) < 0.01);
        Assert.True(calibration.PValue(calibration.Combine([1, 5, 1])) < 0.01);
    }

    [Fact]
    public void Normal_frames_that_are_added_make_their_like_normal()
    {
        var random = new Random(3);
        var map = LatentMap.Fit([[1, 2], [3, 5]]);
        var calibration = Calibration.Fit(Names, Names, [.. Enumerable.Range(0, 100).Select(_ => Draw(random))]) with { LatentMap = map };
        float[] strange = [9, 9];
        double before = calibration.PValue(calibration.Combine(strange));
        var after = calibration.With([.. Enumerable.Repeat(strange, 25)]);
        Assert.Equal(125, Calibration.Parse(after.ToJson()).Frames);
        Assert.Same(map, after.LatentMap);
        Assert.True(before < 0.02 && after.PValue(after.Combine(strange)) > 0.15);
    }

    [Theory]
    [InlineData(20)]
    [InlineData(61)]
    [InlineData(500)]
    public void Copies_of_one_frame_count_as_one_and_can_be_written(int count)
    {
        var random = new Random(3);
        float[] frame = Draw(random);
        var calibration = Calibration.Parse(Calibration.Fit(Names, Names, [.. Enumerable.Range(0, count).Select(_ => frame.ToArray())])
            .ToJson());
        Assert.Equal(1, calibration.EffectiveFrames, 0.01);
        Assert.Equal(0.5, calibration.PValue(1e9), 0.01);
        var before = Calibration.Fit(Names, Names, [.. Enumerable.Range(0, 300).Select(_ => Draw(random))]);
        var refitted = Calibration.Parse(before.Refit([.. Enumerable.Range(0, count).Select(_ => frame.ToArray())], [count]).ToJson());
        Assert.Equal(1, refitted.EffectiveFrames, 0.01);
        Assert.InRange(before.With([.. Enumerable.Range(0, count).Select(_ => frame.ToArray())]).EffectiveFrames, 300.5, 301.5);
    }

    [Fact]
    public void A_parked_car_counts_once_though_noise_makes_every_score_another()
    {
        var random = new Random(3);
        float[][] rows = [.. Enumerable.Range(0, 200).Select(_ => Draw(random))];
        Assert.Equal(1, Calibration.Fit(Names, Names, rows, [200], isNew: [.. rows.Select((_, i) => i == 0)]).EffectiveFrames, 0.01);
        // Before a red light, a hundred frames stand; the others move.
        Assert.Equal(101,
            Calibration.Fit(Names, Names, rows, [200], isNew: [.. rows.Select((_, i) => i is < 50 or >= 149)]).EffectiveFrames, 0.01);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Drives_are_what_counts_where_they_are_short(bool areAlike)
    {
        var random = new Random(5);
        float[][] rows = [.. Enumerable.Range(0, 10).SelectMany(_ =>
            Enumerable.Repeat(Draw(random), 5).Select(row => areAlike ? [row[0] + random.NextSingle() / 100, row[1]] : Draw(random)))];
        Assert.Equal(10, Calibration.Fit(Names, Names, rows, [.. Enumerable.Repeat(5, 10)]).EffectiveFrames, 0.01);
    }

    [Fact]
    public void Scores_of_the_spread_that_are_no_numbers_are_refused()
    {
        var random = new Random(3);
        float[][] rows = [.. Enumerable.Range(0, 30).Select(_ => Draw(random))];
        Assert.Throws<ArgumentException>(() => Calibration.Fit(Names, Names, rows, more: [[float.NaN, 1]]));
    }

    private static int[] Shuffled(int count)
    {
        int[] numbers = [.. Enumerable.Range(0, count)];
        new Random(1).Shuffle(numbers);
        return numbers;
    }

    private static float[] Draw(Random random) =>
        [(float)(random.NextDouble() + random.NextDouble()), (float)Math.Exp(random.NextDouble())];
}
