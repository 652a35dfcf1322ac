using System.Text.Json;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Detection;

/// <summary>Missed outliers move the weights of the combination, and normal frames stay where they were.</summary>
public sealed class LessonTests
{
    private const double Level = 0.05;
    private static readonly string[] Names = ["a", "b", "c", "shown"];
    private static readonly string[] Combines = ["a", "b", "c"];

    [Fact]
    public void Weights_find_more_of_the_missed_kind_on_other_frames_and_normal_ones_stay_put()
    {
        var random = new Random(5);
        var before = Fit(random, drives: 10, 200);
        Assert.Null(before.Weights);
        var lesson = Lesson.Teach(before, [.. Enumerable.Range(0, 100).Select(_ => Strange(random))], Level);
        Assert.True(lesson.Moved);
        Assert.Equal((1000, 1000, 100), (lesson.Choosing, lesson.Calibrating, lesson.Missed));
        var after = lesson.Calibration;
        Assert.True(after.Weights![1] > after.Weights[0] && after.Weights[1] > after.Weights[2], string.Join(' ', after.Weights));
        Assert.Equal(1000, after.Frames);
        float[][] others = [.. Enumerable.Range(0, 2000).Select(_ => Strange(random))];
        Assert.True(Share(after, others) > Share(before, others) + 0.1, $"{Share(before, others)}, {Share(after, others)}");
        // 4,000 unseen normal frames against 1,000 that calibrate: four deviations of both.
        float[][] normal = [.. Enumerable.Range(0, 4000).Select(_ => Normal(random))];
        Assert.InRange(Share(after, normal), 0.02, Level + 4 * Math.Sqrt(Level * (1 - Level) * (1 / 4000.0 + 1 / 1000.0)));
        Assert.InRange(lesson.NormalAfter, 0.02, 0.09);
    }

    [Fact]
    public void On_average_the_false_alarm_rate_is_no_more_than_the_level_however_few_frames_chose()
    {
        var random = new Random(11);
        int over = 0;
        const int rounds = 60;
        const int unseen = 100;
        for (int round = 0; round < rounds; round++)
        {
            var lesson = Lesson.Teach(Fit(random, drives: 2, 60), [.. Enumerable.Range(0, 40).Select(_ => Strange(random))], Level);
            over += Enumerable.Range(0, unseen).Count(_ => PValue(lesson.Calibration, Normal(random)) <= Level);
        }
        // Each round has its own 60 calibrating frames: their chance dominates.
        double bound = Level + 4 * Math.Sqrt(Level * (1 - Level) / rounds * (1 / 60.0 + 1.0 / unseen));
        Assert.InRange(over / (double)(rounds * unseen), 0, bound);
    }

    [Fact]
    public void A_frame_or_two_move_little_and_what_is_found_already_moves_nothing()
    {
        var random = new Random(6);
        var before = Fit(random, drives: 4, 100);
        var few = Lesson.Teach(before, [Strange(random), Strange(random)], Level).Calibration.Weights ?? [1, 1, 1];
        Assert.All(few, weight => Assert.InRange(weight, 0.7, 1.5));
        var found = Lesson.Teach(before, [.. Enumerable.Range(0, 50).Select(_ => new float[] { 50, 50, 50, 0 })], Level);
        Assert.False(found.Moved);
        Assert.Same(before, found.Calibration);
    }

    [Fact]
    public void Lessons_add_up_and_survive_a_new_calibration()
    {
        var random = new Random(7);
        var first = Lesson.Teach(Fit(random, drives: 6, 100), [.. Enumerable.Range(0, 60).Select(_ => Strange(random))], Level).Calibration;
        var second = Lesson.Teach(first, [.. Enumerable.Range(0, 30).Select(_ => Strange(random))], Level);
        Assert.Equal(90, second.Missed);
        var refitted = first.Refit([.. Enumerable.Range(0, 200).Select(_ => Normal(random))], [100, 100]);
        Assert.Equal(first.Weights, refitted.Weights);
        Assert.Equal(60, refitted.Missed!.Count);
        Assert.Equal((200, 200), (refitted.Frames, refitted.Rows!.Count));
        Assert.InRange(Share(refitted, [.. Enumerable.Range(0, 2000).Select(_ => Normal(random))]), 0.01, 0.12);
        Assert.Equal(630, first.With([.. Enumerable.Range(0, 30).Select(_ => Normal(random))]).Rows!.Count);
    }

    [Fact]
    public void One_drive_is_cut_in_time_with_a_gap()
    {
        var random = new Random(8);
        var lesson = Lesson.Teach(Fit(random, drives: 1, 400), [.. Enumerable.Range(0, 60).Select(_ => Strange(random))], Level);
        Assert.Equal((180, 180), (lesson.Choosing, lesson.Calibrating));
    }

    [Fact]
    public void What_cannot_teach_says_why()
    {
        var random = new Random(9);
        var before = Fit(random, drives: 2, 100);
        float[][] missed = [Strange(random)];
        Refused("no frame was missed", before, []);
        Refused("has no score", before, [[1, float.NaN, 1, 1]]);
        Refused("keeps no rows", before with { Rows = null, Drives = null }, missed);
        Refused("45 such frames are needed", Fit(random, drives: 1, 30), missed);
        // Frames that count for a tenth are needed ten times.
        Refused("423 such frames are needed", before with { Weight = 0.1 }, missed);

        static void Refused(string why, Calibration calibration, float[][] rows) =>
            Assert.Contains(why, Assert.Throws<ArgumentException>(() => Lesson.Teach(calibration, rows, Level)).Message,
                StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_travel_with_the_calibration_and_damaged_ones_are_refused()
    {
        var random = new Random(10);
        float[][] missed = [.. Enumerable.Range(0, 60).Select(_ => Strange(random))];
        var taught = Lesson.Teach(Fit(random, drives: 4, 100), missed, Level).Calibration;
        var read = Calibration.Parse(taught.ToJson());
        Assert.Equal(taught.Weights, read.Weights);
        Assert.Equal(taught.Combine([1, 2, 3, 4]), read.Combine([1, 2, 3, 4]));
        Assert.Equal((400, 60), (read.Rows!.Count, read.Missed!.Count));
        // An older file: weights are 1.
        var old = Calibration.Parse((taught with { Weights = null, Rows = null, Drives = null, Missed = null }).ToJson());
        Assert.Equal((taught with { Weights = [1, 1, 1] }).Combine([1, 2, 3, 4]), old.Combine([1, 2, 3, 4]));
        foreach (var damaged in new[]
        {
            taught with { Weights = [1, 1] }, taught with { Weights = [1, 0, 1] }, taught with { Drives = [399] },
            taught with { Rows = [[1]], Drives = [1] }, taught with { Missed = [[1]] }, taught with { Rows = null },
        })
            Assert.Throws<JsonException>(() => Calibration.Parse(damaged.ToJson()));
    }

    private static Calibration Fit(Random random, int drives, int frames)
    {
        float[][] rows = [.. Enumerable.Range(0, drives * frames).Select(_ => Normal(random))];
        var calibration = Calibration.Fit(Names, Combines, rows, [.. Enumerable.Repeat(frames, drives)]);
        return calibration with { Weight = 1 };
    }

    /// <summary>Strange in one score, by less than the others' chance adds to the maximum.</summary>
    private static float[] Strange(Random random)
    {
        float[] row = Normal(random);
        row[1] += 2;
        return row;
    }

    private static float[] Normal(Random random) => [.. Enumerable.Range(0, Names.Length).Select(_ =>
        (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    private static double PValue(Calibration calibration, float[] row) => calibration.PValue(calibration.Combine(row));

    private static double Share(Calibration calibration, float[][] rows) =>
        rows.Count(row => PValue(calibration, row) <= Level) / (double)rows.Length;
}
