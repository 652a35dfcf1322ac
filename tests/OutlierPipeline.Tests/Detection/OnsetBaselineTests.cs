using OutlierPipeline.Detection;

namespace OutlierPipeline.Tests.Detection;

public class OnsetBaselineTests
{
    /// <summary>A window learns no faster than this while an incident is open.</summary>
    private const double Slow = 30;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(10)]
    [InlineData(30)]
    public void A_change_shows_from_its_third_frame_on_and_is_forgotten_after_half_of_the_window(double framesPerSecond)
    {
        var baseline = new OnsetBaseline(1);
        int window = Math.Max(40, (int)Math.Round(4 * framesPerSecond));
        Run(baseline, framesPerSecond, 2 * window, _ => 0);
        double[] shown = Run(baseline, framesPerSecond, window, _ => 1);
        Assert.Equal([0, 0, 1], shown[..3]);
        int forgotten = Array.FindIndex(shown, 3, value => value < 0.75);
        Assert.InRange(forgotten, 0.4 * window, 0.8 * window);
        Assert.All(shown[(forgotten + window / 4)..], value => Assert.Equal(0, value));
    }

    [Fact]
    public void Too_few_frames_say_nothing()
    {
        var baseline = new OnsetBaseline(2);
        for (int i = 0; i < 21; i++)
        {
            baseline.Add([i, -i], 0.1);
            Assert.False(baseline.HasFast);
        }
        baseline.Add([21, -21], 0.1);
        Assert.True(baseline.HasFast);
        baseline.Forget();
        baseline.Add([25, -25], 0.1);
        Assert.False(baseline.HasFast);
    }

    [Fact]
    public void What_stays_while_an_incident_is_open_is_learned_within_four_slots_and_not_before_three()
    {
        var baseline = new OnsetBaseline(1);
        Run(baseline, 10, 100, _ => 0);
        double[] shown = Run(baseline, 10, 1500, _ => 1, Slow);
        int forgotten = Array.FindIndex(shown, 3, value => value < 0.75);
        Assert.InRange(forgotten / 10.0, 3 * Slow, 4 * Slow + 1);
        Assert.Equal(0, shown[^1]);
    }

    [Theory]
    [InlineData(10, 10)]
    [InlineData(60, 10)]
    [InlineData(300, 10)]
    [InlineData(1200, 10)]
    [InlineData(60, 1)]
    [InlineData(300, 1)]
    [InlineData(1200, 1)]
    [InlineData(1200, 30)]
    public void A_ramp_shows_against_one_of_the_two_baselines(int seconds, double framesPerSecond)
    {
        var baseline = new OnsetBaseline(1);
        for (int i = 0; i < 1500 * framesPerSecond; i++) baseline.Add([0], 1 / framesPerSecond);
        double most = 0;
        int frames = (int)(seconds * framesPerSecond);
        for (int i = 0; i < frames; i++)
        {
            baseline.Add([(i + 1.0) / frames], 1 / framesPerSecond);
            most = Math.Max(most, Math.Max(baseline.Fast[0], baseline.Slow[0]));
        }
        Assert.True(baseline.HasSlow);
        Assert.InRange(most, 0.25, 1);
    }

    [Fact]
    public void The_slow_window_grows_with_the_drive_to_twenty_minutes_and_forgets_what_stays()
    {
        var baseline = new OnsetBaseline(1);
        Run(baseline, 10, 160, _ => 0);
        Assert.True(baseline.HasSlow);
        Assert.Equal(4, baseline.SlowSlot, 3);
        Run(baseline, 10, 3600 * 10, _ => 0);
        Assert.InRange(baseline.SlowSlot, OnsetBaseline.LongestSlot / 2, OnsetBaseline.LongestSlot);
        Run(baseline, 10, 40, _ => 1);
        Assert.Equal(1, baseline.Slow[0], 3);
        Run(baseline, 10, 20 * 60 * 10, _ => 1);
        Assert.Equal(0, baseline.Slow[0], 3);
    }

    [Fact]
    public void It_goes_on_from_a_saved_state_as_if_nothing_had_been()
    {
        var whole = new OnsetBaseline(3);
        var random = new Random(1);
        double[][] rows = [.. Enumerable.Range(0, 700).Select(_ => (double[])[random.NextDouble(), 100 * random.NextDouble(), -5])];
        for (int i = 0; i < rows.Length; i++)
        {
            var restored = new OnsetBaseline(3);
            restored.Restore(whole.Save());
            whole.Add(rows[i], 0.1);
            restored.Add(rows[i], 0.1);
            Assert.Equal(whole.Save(), restored.Save());
            Assert.Equal((whole.HasFast, whole.HasSlow), (restored.HasFast, restored.HasSlow));
            Assert.Equal(whole.Fast, restored.Fast);
            Assert.Equal(whole.Slow, restored.Slow);
        }
    }

    [Fact]
    public void Scores_that_are_no_number_neither_throw_nor_show_as_normal()
    {
        var baseline = new OnsetBaseline(1);
        Run(baseline, 10, 100, _ => 0);
        double[] shown = Run(baseline, 10, 5, i => i % 2 == 0 ? double.NaN : double.PositiveInfinity);
        Assert.Equal((double)Half.MaxValue, shown[^1]);
    }

    private static double[] Run(OnsetBaseline baseline, double framesPerSecond, int frames, Func<int, double> score, double slot = 0)
    {
        double[] shown = new double[frames];
        for (int i = 0; i < frames; i++)
        {
            baseline.Add([score(i)], 1 / framesPerSecond, slot);
            shown[i] = baseline.Fast[0];
        }
        return shown;
    }
}
