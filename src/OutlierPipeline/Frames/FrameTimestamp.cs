namespace OutlierPipeline.Frames;

/// <summary>Reads a camera's stamp, which should be Unix nanoseconds.</summary>
internal static class FrameTimestamp
{
    /// <summary>A stamp in another unit is recognised if it lies within ten years of its record: late footage may be years old.</summary>
    private const long NearSeconds = 10L * 366 * 24 * 3600;

    /// <summary>From the year 2000 on, in seconds: such nanoseconds are what they should be.</summary>
    private const long Earliest = 946_684_800;

    /// <summary>The stamp in nanoseconds, and whether it was in seconds, milliseconds or microseconds.</summary>
    /// <param name="recordNanoseconds">When the record was produced.</param>
    /// <remarks>A clock that began at its start, and counts nanoseconds from there, is left as it is.</remarks>
    public static (long Nanoseconds, bool IsOtherUnit) Read(long stated, long recordNanoseconds)
    {
        if (stated / UnixNanoseconds.PerSecond >= Earliest) return (stated, false);
        foreach (long unit in (ReadOnlySpan<long>)[1_000_000, 1_000, 1])
        {
            if (Math.Abs(stated / unit - recordNanoseconds / UnixNanoseconds.PerSecond) <= NearSeconds)
                return (stated * (UnixNanoseconds.PerSecond / unit), true);
        }
        return (stated, false);
    }
}
