using OutlierPipeline.Evaluation;
using ScottPlot;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>The report's charts, as SVG.</summary>
internal static class ReportCharts
{
    private const int Width = 720;
    private const int Height = 420;

    /// <summary>Half the width of an interval's end, in slices.</summary>
    private const double Cap = 0.08;

    public static string Roc(Evaluator evaluator)
    {
        var plot = New("Receiver operating characteristic", "share of normal frames that raise an alarm", "share of outliers found");
        foreach (var set in evaluator.Outliers)
        {
            var (x, y) = DetectionMetrics.RocCurve(evaluator.Normal.Combined, set.Combined);
            var line = plot.Add.Scatter(x, y);
            line.MarkerSize = 0;
            line.LineWidth = 2;
            line.LegendText = set.Name;
        }
        plot.Axes.SetLimits(-0.02, 1.02, -0.02, 1.02);
        plot.ShowLegend(Alignment.LowerRight);
        return plot.GetSvgXml(Width, Height);
    }

    public static string Histogram(ScoredSet normal, ScoredSet outliers)
    {
        var plot = New($"Combined scores: normal and {outliers.Name}", "combined score, signed square root", "share of frames");
        double[] normals = Compressed(normal.Combined);
        double[] strange = Compressed(outliers.Combined);
        double low = normals.Concat(strange).Min();
        double high = Math.Max(low + 1e-6, normals.Concat(strange).Max());
        Add(normals, "normal", Colors.SteelBlue);
        Add(strange, outliers.Name, Colors.OrangeRed);
        plot.ShowLegend(Alignment.UpperRight);
        return plot.GetSvgXml(Width, Height);

        void Add(double[] values, string name, Color color)
        {
            const int Bins = 60;
            double size = (high - low) / Bins;
            var bars = Enumerable.Range(0, Bins).Select(bin => new Bar
            {
                Position = low + (bin + 0.5) * size,
                Value = values.Count(value => Math.Min(Bins - 1, (int)((value - low) / size)) == bin) / (double)values.Length,
                Size = size,
                FillColor = color.WithAlpha(0.55),
                LineWidth = 0,
            }).ToArray();
            plot.Add.Bars(bars).LegendText = name;
        }
    }

    public static string Severity(CorruptionFigures corruptions)
    {
        var plot = New("Corruptions", "severity", "AUROC");
        foreach (var (name, kind) in corruptions.Kinds.Where(kind => kind.Value.Auroc.Count > 0))
        {
            var line = plot.Add.Scatter(kind.Auroc.Keys.Select(severity =>
                double.Parse(severity, System.Globalization.CultureInfo.InvariantCulture)).ToArray(), kind.Auroc.Values.ToArray());
            line.LegendText = name;
            line.LineWidth = 1.5f;
        }
        var mean = plot.Add.Scatter(corruptions.MeanAuroc.Keys.Select(severity =>
            double.Parse(severity, System.Globalization.CultureInfo.InvariantCulture)).ToArray(), corruptions.MeanAuroc.Values.ToArray());
        mean.LegendText = "mean";
        mean.LineWidth = 4;
        mean.Color = Colors.Black;
        plot.Axes.SetLimits(0.8, 5.2, 0, 1.02);
        plot.ShowLegend(Edge.Right);
        return plot.GetSvgXml(Width + 160, Height + 60);
    }

    /// <summary>Each slice's rate of false alarms with its interval, beside that of another package where there is one.</summary>
    public static string Slices(IReadOnlyList<SliceFigures> slices, double level)
    {
        bool isCompared = slices.Any(slice => slice.Before is not null);
        var plot = New("False alarms by slice", "", "share over the threshold");
        if (isCompared) Add([.. slices.Select(slice => slice.Before!)], -0.2, "before", Colors.LightGray);
        Add(slices, isCompared ? 0.2 : 0, isCompared ? "after (this package)" : "this package", Colors.SteelBlue);
        var line = plot.Add.HorizontalLine(level);
        (line.LegendText, line.Color) = ("all normal frames", Colors.Black);
        plot.Axes.Bottom.SetTicks([.. Enumerable.Range(0, slices.Count).Select(i => (double)i)],
            [.. slices.Select(slice => Label(slice.Name))]);
        plot.Axes.Bottom.TickLabelStyle.Rotation = 30;
        plot.Axes.Bottom.TickLabelStyle.Alignment = Alignment.UpperLeft;
        plot.Axes.Bottom.MinimumSize = 90;
        plot.Axes.SetLimitsY(0, 1.1 * Math.Max(level, slices.Max(slice => Math.Max(slice.RateCi[1], slice.Before?.RateCi[1] ?? 0))));
        plot.ShowLegend(Alignment.UpperRight);
        return plot.GetSvgXml(Math.Max(Width, 60 * slices.Count), Height);

        void Add(IReadOnlyList<SliceFigures> figures, double shift, string name, Color color)
        {
            var bars = figures.Select((slice, i) => new Bar
            {
                Position = i + shift,
                Value = slice.Rate,
                Size = isCompared ? 0.36 : 0.7,
                FillColor = color,
                LineWidth = 0,
            }).ToArray();
            plot.Add.Bars(bars).LegendText = name;
            foreach (var (slice, i) in figures.Select((slice, i) => (slice, i)))
            {
                Stroke(i + shift, slice.RateCi[0], i + shift, slice.RateCi[1]);
                foreach (double end in slice.RateCi) Stroke(i + shift - Cap, end, i + shift + Cap, end);
            }
        }

        void Stroke(double fromX, double fromY, double toX, double toY)
        {
            var stroke = plot.Add.Line(fromX, fromY, toX, toY);
            (stroke.Color, stroke.LineWidth, stroke.MarkerSize) = (Colors.Black, 1.5f, 0);
        }
    }

    /// <summary>A drive's name without the footage's that it stands in: beside a bar there is little room.</summary>
    private static string Label(string name)
    {
        string last = name[(name.LastIndexOfAny([':', '/']) + 1)..];
        return last.Length == 0 ? name : last;
    }

    public static string KlPerUnit(double[] kl)
    {
        var plot = New("KL divergence of each unit of the code", "unit, the largest first", "nats");
        plot.Add.Bars(kl.OrderDescending().ToArray());
        plot.Axes.Margins(bottom: 0);
        return plot.GetSvgXml(Width, 300);
    }

    private static Plot New(string title, string x, string y)
    {
        var plot = new Plot();
        plot.Title(title);
        plot.XLabel(x);
        plot.YLabel(y);
        return plot;
    }

    /// <summary>Outliers may score a thousand times what normal frames do.</summary>
    private static double[] Compressed(double[] scores) =>
        [.. scores.Select(score => Math.Sign(score) * Math.Sqrt(Math.Min(Math.Abs(score), 1e6)))];
}
