namespace OutlierPipeline.Frames;

/// <summary>Reads a camera's stamp, which should be Unix nanoseconds.</summary>
internal static class FrameTimestamp
{
    /// <summary>Between the years 2000 and 2100, in seconds: a stamp that falls there in another unit, and not in nanoseconds, is in that unit.</summary>
    private const long Earliest = 946_684_800;

    private const long Latest = 4_102_444_800;

    /// <summary>The stamp in nanoseconds, and whether it was in seconds, milliseconds or microseconds.</summary>
    /// <remarks>A clock that began at its start, and counts nanoseconds from there, is left as it is.</remarks>
    public static (long Nanoseconds, bool IsOtherUnit) Read(long stated)
    {
        if (stated / 1_000_000_000 >= Earliest) return (stated, false);
        foreach (long unit in (ReadOnlySpan<long>)[1_000_000, 1_000, 1])
        {
            if (stated / unit is >= Earliest and <= Latest) return (stated * (1_000_000_000 / unit), true);
        }
        return (stated, false);
    }
}
