using CsCheck;
using OutlierPipeline.Evaluation;

namespace OutlierPipeline.Tests.Evaluation;

/// <summary>Every figure against the plainest way to compute it.</summary>
public sealed class DetectionMetricsTests
{
    private const double Tolerance = 1e-12;

    // Few distinct values, so that ties are the rule.
    private static readonly Gen<double[]> Scores = Gen.Int[0, 6].Select(value => (double)value).Array[1, 25];

    public static TheoryData<double[], double[], double, double, double> HandMade => new()
    {
        // normal, outlier, AUROC, average precision, FPR at 95 % TPR
        { [1, 2, 3], [4, 5], 1, 1, 0 },
        { [4, 5], [1, 2, 3], 0, (1.0 / 3 + 2.0 / 4 + 3.0 / 5) / 3 , 1 },
        { [1], [1], 0.5, 0.5, 1 },
        { [7, 7, 7, 7], [7, 7], 0.5, 2.0 / 6, 1 },
        { [0, 1], [1, 2], 0.875, 0.5 + 0.5 * 2 / 3, 0.5 },
        { [0], [1], 1, 1, 0 },
    };

    [Theory]
    [MemberData(nameof(HandMade))]
    public void Hand_made_sets_have_the_figures_that_a_hand_computes(double[] normal, double[] outlier, double auroc, double precision,
        double rate)
    {
        Assert.Equal(auroc, DetectionMetrics.Auroc(normal, outlier), Tolerance);
        Assert.Equal(precision, DetectionMetrics.AveragePrecision(normal, outlier), Tolerance);
        Assert.Equal(rate, DetectionMetrics.FalsePositiveRate(normal, outlier), Tolerance);
    }

    [Fact]
    public void The_area_is_the_share_of_pairs_in_order() => Gen.Select(Scores, Scores).Sample((normal, outlier) =>
    {
        double pairs = normal.Sum(n => outlier.Sum(o => o > n ? 1 : o == n ? 0.5 : 0));
        Assert.Equal(pairs / (normal.Length * outlier.Length), DetectionMetrics.Auroc(normal, outlier), Tolerance);
    });

    [Fact]
    public void The_area_is_also_that_under_the_curve() => Gen.Select(Scores, Scores).Sample((normal, outlier) =>
    {
        var (x, y) = DetectionMetrics.RocCurve(normal, outlier);
        double area = Enumerable.Range(1, x.Length - 1).Sum(i => (x[i] - x[i - 1]) * (y[i] + y[i - 1]) / 2);
        Assert.Equal(DetectionMetrics.Auroc(normal, outlier), area, 1e-9);
        Assert.Equal((1, 1), (x[^1], y[^1]));
    });

    [Fact]
    public void Average_precision_sums_over_the_thresholds() => Gen.Select(Scores, Scores).Sample((normal, outlier) =>
    {
        double expected = 0;
        double before = 0;
        foreach (double threshold in normal.Concat(outlier).Distinct().OrderDescending())
        {
            double found = outlier.Count(score => score >= threshold);
            double recall = found / outlier.Length;
            expected += (recall - before) * found / (found + normal.Count(score => score >= threshold));
            before = recall;
        }
        Assert.Equal(expected, DetectionMetrics.AveragePrecision(normal, outlier), 1e-9);
    });

    [Fact]
    public void The_false_positive_rate_is_that_of_the_highest_threshold_that_finds_enough() =>
        Gen.Select(Scores, Scores).Sample((normal, outlier) =>
    {
        double threshold = outlier.Distinct().Where(candidate =>
            outlier.Count(score => score >= candidate) >= 0.95 * outlier.Length - 1e-9).Max();
        Assert.Equal(normal.Count(score => score >= threshold) / (double)normal.Length,
            DetectionMetrics.FalsePositiveRate(normal, outlier), Tolerance);
    });

    [Fact]
    public void Replicates_draw_the_same_blocks_for_every_set()
    {
        var random = new Random(5);
        double[] normal = [.. Enumerable.Range(0, 90).Select(_ => random.NextDouble())];
        double[] outlier = [.. Enumerable.Range(0, 40).Select(_ => random.NextDouble() + 0.3)];
        double[][] both = DetectionMetrics.AurocReplicates(normal, [outlier, outlier, [.. outlier.Take(7)]], seed: 2, replicates: 200);
        Assert.Equal(both[0], both[1]);
        var (low, high) = DetectionMetrics.Interval(both[0]);
        double[] alone = DetectionMetrics.AurocReplicates(normal, [outlier], seed: 2, replicates: 200)[0];
        Assert.Equal(DetectionMetrics.Interval(alone), DetectionMetrics.AurocInterval(normal, outlier, seed: 2, replicates: 200));
        Assert.Equal(0.95, both[0].Count(area => area >= low && area <= high) / 200.0, 0.02);
        Assert.NotEqual(both[0], both[2]);
    }

    [Fact]
    public void The_interval_holds_the_area_shrinks_with_the_number_of_frames_and_is_the_same_for_a_seed()
    {
        var random = new Random(5);
        double[] Draw(int count, double shift) => [.. Enumerable.Range(0, count).Select(_ => random.NextDouble() + shift)];
        double[] normal = Draw(2000, 0);
        double[] outlier = Draw(2000, 0.3);
        var many = DetectionMetrics.AurocInterval(normal, outlier, seed: 1);
        var few = DetectionMetrics.AurocInterval(normal.AsSpan(0, 60), outlier.AsSpan(0, 60), seed: 1);
        Assert.InRange(DetectionMetrics.Auroc(normal, outlier), many.Low, many.High);
        Assert.True(many.High - many.Low < 0.5 * (few.High - few.Low));
        Assert.Equal(many, DetectionMetrics.AurocInterval(normal, outlier, seed: 1));
    }

    [Fact]
    public void The_interval_of_correlated_frames_is_wider_than_that_of_independent_ones()
    {
        var random = new Random(6);
        // Each value stays for thirty frames: three thousand frames, but a hundred pieces of evidence.
        double[] Held(double shift) => [.. Enumerable.Range(0, 100).SelectMany(_ => Enumerable.Repeat(random.NextDouble() + shift, 30))];
        double[] Free(double shift) => [.. Enumerable.Range(0, 3000).Select(_ => random.NextDouble() + shift)];
        var held = DetectionMetrics.AurocInterval(Held(0), Held(0.3), seed: 1);
        var free = DetectionMetrics.AurocInterval(Free(0), Free(0.3), seed: 1);
        Assert.True(held.High - held.Low > 2 * (free.High - free.Low), $"{held} against {free}");
    }

    [Fact]
    public void The_interval_of_a_rate_holds_it_and_is_wider_for_hits_that_come_together()
    {
        var random = new Random(2);
        bool[] free = [.. Enumerable.Range(0, 2000).Select(_ => random.NextDouble() < 0.1)];
        bool[] held = [.. Enumerable.Range(0, 50).SelectMany(_ => Enumerable.Repeat(random.NextDouble() < 0.1, 40))];
        var narrow = DetectionMetrics.RateInterval(free, [1000, 1000], seed: 1);
        var wide = DetectionMetrics.RateInterval(held, [1000, 1000], seed: 1);
        Assert.InRange(free.Count(hit => hit) / 2000.0, narrow.Low, narrow.High);
        Assert.True(wide.High - wide.Low > 2 * (narrow.High - narrow.Low));
        Assert.Equal((0, 0), DetectionMetrics.RateInterval(new bool[30], [30], seed: 1));
    }

    [Fact]
    public void An_empty_set_is_an_error()
    {
        Assert.Throws<ArgumentException>(() => DetectionMetrics.Auroc([], [1]));
        Assert.Throws<ArgumentException>(() => DetectionMetrics.AveragePrecision([1], []));
    }
}
