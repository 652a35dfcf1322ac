namespace OutlierPipeline.Service.Dashboard.Parts;

/// <summary>A point of a chart.</summary>
/// <param name="X">For charts over time: seconds, 0 now and negative before.</param>
public sealed record ChartPoint(double X, double Y);

/// <summary>A line of a chart.</summary>
/// <param name="Color">In CSS.</param>
public sealed record ChartLine(string Name, IReadOnlyList<ChartPoint> Points, string Color, bool IsDashed = false, double Width = 2);
