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
        var delay = plot.Add.Scatter(cameras, steps.Select(step => step.P99Milliseconds).ToArray());
        delay.LegendText = "p99 delay";
        delay.Axes.YAxis = plot.Axes.Right;
        plot.Axes.Bottom.SetTicks(cameras, [.. steps.Select(step => step.Cameras.ToString(System.Globalization.CultureInfo.InvariantCulture))]);
        plot.XLabel($"cameras at {steps[0].FramesPerSecondAndCamera:0} frames/s");
        plot.YLabel("frames/s");
        plot.Axes.Right.Label.Text = "produced to scored, p99 (ms)";
        plot.Axes.AutoScale();
        plot.Axes.SetLimitsY(0, plot.Axes.GetLimits().Top);
        plot.Axes.SetLimitsY(0, 1.1 * steps.Max(step => step.P99Milliseconds), plot.Axes.Right);
        plot.ShowLegend(Alignment.UpperLeft);
        plot.SavePng(file, 900, 500);
    }
}
