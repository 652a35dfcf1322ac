using ScottPlot;
using ScottPlot.MultiplotLayouts;
using SkiaSharp;

namespace OutlierPipeline.Benchmarks.Soak;

/// <summary>A small panel for each series over time.</summary>
internal static class SoakPlot
{
    private const int Columns = 3;
    private const int Width = 320;
    private const int Height = 180;

    /// <param name="from">Up to where it warmed up, which is grey.</param>
    public static void Save(IReadOnlyList<SoakSample> samples, TimeSpan from, string file)
    {
        double[] minutes = [.. samples.Select(sample => sample.At.TotalMinutes)];
        int rows = (SoakSample.Series.Length + Columns - 1) / Columns;
        var panels = new Multiplot { Layout = new Grid(rows, Columns) };
        panels.AddPlots(SoakSample.Series.Length);
        foreach (var ((name, of), i) in SoakSample.Series.Select((series, i) => (series, i)))
        {
            double[] values = [.. samples.Select(of)];
            var plot = panels.GetPlot(i);
            plot.Title(name, 12);
            if (i >= SoakSample.Series.Length - Columns) plot.XLabel("minutes", 11);
            plot.Add.HorizontalSpan(0, from.TotalMinutes, Colors.Gray.WithAlpha(0.15));
            var line = plot.Add.ScatterLine(minutes, values, Colors.SteelBlue);
            line.LineWidth = 1.2f;
            // From zero: what is flat looks flat, and what grows is seen in its proportion.
            plot.Axes.SetLimits(0, Math.Max(1, minutes[^1]), 0, 1.15 * Math.Max(1, values.Max()));
        }
        var size = new PixelRect(0, Columns * Width, rows * Height, 0);
        using var stream = File.Create(file);
        using var canvas = SKSvgCanvas.Create(new SKRect(0, 0, size.Width, size.Height), stream);
        canvas.Clear(SKColors.White);
        panels.Render(canvas, size);
    }
}
