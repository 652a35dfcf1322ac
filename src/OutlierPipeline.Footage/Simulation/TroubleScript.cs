namespace OutlierPipeline.Footage.Simulation;

/// <summary>One trouble of one camera, from one time of the script to another.</summary>
public sealed record TroubleSpan(string Camera, Trouble Trouble, TimeSpan From, TimeSpan To);

/// <summary>Which simulated camera is in which trouble when: the ground truth of the demo.</summary>
public sealed class TroubleScript
{
    private static readonly TimeSpan Ramp = TimeSpan.FromSeconds(0.5);
    private readonly TimeSpan _period;

    /// <param name="cameras">Every camera, troubled or not.</param>
    /// <param name="spans">The troubles of one period.</param>
    /// <param name="period">After which the script begins anew.</param>
    public TroubleScript(IReadOnlyList<string> cameras, IReadOnlyList<TroubleSpan> spans, TimeSpan period)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(period, TimeSpan.Zero);
        Cameras = cameras;
        Spans = spans;
        _period = period;
    }

    /// <summary>Six cameras of three cars; every trouble within a minute, two cameras without any.</summary>
    public static TroubleScript Demo { get; } = new(
        ["car-1/front", "car-1/rear", "car-2/front", "car-2/rear", "car-3/front", "car-3/rear"],
        [
            Span("car-1/front", Trouble.Fog, 8, 19),
            Span("car-1/front", Trouble.Night, 32, 46),
            Span("car-1/rear", Trouble.Rain, 9, 19),
            Span("car-1/rear", Trouble.DeadRows, 27, 37),
            Span("car-1/rear", Trouble.Frozen, 45, 55),
            Span("car-2/front", Trouble.Obstacle, 11, 22),
            Span("car-2/front", Trouble.Snow, 35, 48),
            Span("car-2/rear", Trouble.DirtyLens, 13, 25),
            Span("car-2/rear", Trouble.Blur, 38, 50),
        ],
        TimeSpan.FromMinutes(1));

    public IReadOnlyList<string> Cameras { get; }

    public IReadOnlyList<TroubleSpan> Spans { get; }

    /// <summary>The trouble of a camera and its strength, 0 to 1.</summary>
    /// <param name="camera">The camera's id.</param>
    /// <param name="time">Since the script began.</param>
    public (Trouble Trouble, double Strength) At(string camera, TimeSpan time)
    {
        var within = TimeSpan.FromTicks(time.Ticks % _period.Ticks);
        foreach (var span in Spans)
        {
            if (span.Camera == camera && within >= span.From && within < span.To)
                return (span.Trouble, Math.Clamp((within - span.From) / Ramp, 0.1, 1));
        }
        return (Trouble.None, 0);
    }

    private static TroubleSpan Span(string camera, Trouble trouble, double from, double to) =>
        new(camera, trouble, TimeSpan.FromSeconds(from), TimeSpan.FromSeconds(to));
}
