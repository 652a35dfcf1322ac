using ScottPlot;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary>The curve of a load: frames a second and delay against cameras.</summary>
internal static class LoadPlot
{
    public static void Save(IReadOnlyList<LoadStep> steps, string file)
    {
        using var plot = new Plot();
        double[] cameras = [.. steps.Select(step => Math.Log2(step.Cameras))];
        var scored = plot.Add.Scatter(cameras, steps.Select(step => step.ScoredPerSecond).ToArray());
        scored.LegendText = "scored";
        var sent = plot.Add.Scatter(cameras, steps.Select(step => step.SentPerSecond).ToArray());
        sent.LegendText = "sent";
        sent.LinePattern = LinePattern.Dashed;
        var delay = plot.Add.Scatter(cameras, steps.Select(step => Math.Log10(Math.Max(1, step.P99Milliseconds))).ToArray());
        delay.LegendText = "p99 delay";
        delay.Axes.YAxis = plot.Axes.Right;
        plot.Axes.Bottom.SetTicks(cameras,
            [.. steps.Select(step => step.Cameras.ToString(System.Globalization.CultureInfo.InvariantCulture))]);
        plot.XLabel($"cameras at {steps[0].FramesPerSecondAndCamera:0} frames/s");
        plot.YLabel("frames/s");
        plot.Axes.Right.Label.Text = "produced to scored, p99 (ms)";
        plot.Axes.AutoScale();
        plot.Axes.SetLimitsY(0, plot.Axes.GetLimits().Top);
        // From a millisecond to a minute: a queue that grows leaves everything before it at the bottom of an even scale.
        double[] decades = [0, 1, 2, 3, 4, 5];
        plot.Axes.Right.SetTicks(decades, ["1", "10", "100", "1,000", "10,000", "100,000"]);
        plot.Axes.SetLimitsY(0, 5, plot.Axes.Right);
        plot.ShowLegend(Alignment.UpperLeft);
        plot.SavePng(file, 900, 500);
    }
}
