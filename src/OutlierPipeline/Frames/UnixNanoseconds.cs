namespace OutlierPipeline.Frames;

/// <summary>Times as frames state them: nanoseconds since the Unix epoch. Every conversion is here; what does not fit is the nearest that
/// does.</summary>
public static class UnixNanoseconds
{
    public const long PerSecond = 1_000_000_000;

    private const long PerTick = 1_000_000_000 / TimeSpan.TicksPerSecond;

    public static long Of(DateTimeOffset time) => Of(time - DateTimeOffset.UnixEpoch);

    /// <summary>A duration in nanoseconds.</summary>
    public static long Of(TimeSpan duration) => (long)Int128.Clamp((Int128)duration.Ticks * PerTick, long.MinValue, long.MaxValue);

    /// <summary>A duration of seconds in nanoseconds.</summary>
    public static long OfSeconds(double seconds) => (long)(seconds * PerSecond);

    public static DateTimeOffset ToTime(long nanoseconds) =>
        DateTimeOffset.UnixEpoch.AddTicks(Math.Clamp(nanoseconds / PerTick, 0,
        DateTimeOffset.MaxValue.Ticks - DateTimeOffset.UnixEpoch.Ticks));

    /// <summary>A duration, to a tenth of a microsecond.</summary>
    public static TimeSpan ToDuration(long nanoseconds) => TimeSpan.FromTicks(nanoseconds / PerTick);

    /// <summary>A duration in seconds; neither end need fit into the difference of two numbers of 64 bits.</summary>
    public static double SecondsBetween(long from, long to) => ((double)to - from) / PerSecond;

    public static double ToSeconds(long nanoseconds) => (double)nanoseconds / PerSecond;

    /// <summary>A time some duration later.</summary>
    public static long Later(long nanoseconds, TimeSpan duration) => Of(duration) is var more && nanoseconds > long.MaxValue - more
        ? long.MaxValue : nanoseconds + more;
}
