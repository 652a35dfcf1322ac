using OutlierPipeline.Cli.Evaluation;

namespace OutlierPipeline.Tests.Evaluation;

/// <summary>The bars of slices show how sure their rates are.</summary>
public sealed class SliceChartTests
{
    private const string Stroke = "stroke-width=\"1.5\"";

    [Fact]
    public void Every_bar_has_an_interval_before_and_after()
    {
        SliceFigures[] slices = [Slice("day", 0.02), Slice("night", 0.6)];
        // A stroke and its two ends.
        Assert.Equal(2 * 3, Strokes(ReportCharts.Slices(slices, 0.05)));
        string compared = ReportCharts.Slices([.. slices.Select(slice => slice with { Before = Slice(slice.Name, 0.9) })], 0.05);
        Assert.Equal(2 * 2 * 3, Strokes(compared));
        Assert.Contains("before", compared, StringComparison.Ordinal);
        Assert.Contains("night", compared, StringComparison.Ordinal);
    }

    private static int Strokes(string svg) => svg.Split(Stroke).Length - 1;

    private static SliceFigures Slice(string name, double rate) =>
        new("time", name, 50, rate, [rate / 2, Math.Min(1, 1.5 * rate)], null, null, 40, null);
}
