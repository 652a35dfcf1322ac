namespace OutlierPipeline.Detection;

/// <summary>What is wrong with a frame's stated time, so that another one was used.</summary>
public enum ClockFault
{
    None = 0,

    /// <summary>The stamp is 0 or none: the record's timestamp was taken.</summary>
    Missing,

    /// <summary>The stamp is in seconds, milliseconds or microseconds; it was read as such.</summary>
    Unit,

    /// <summary>The stamp stands still or goes back: the step between the records was taken.</summary>
    Backward,

    /// <summary>The stamp's step contradicts the records' own by more than <c>Frames:MaxClockSkew</c>: theirs was taken.</summary>
    Step,
}

/// <summary>What is known of a frame's time beside its stamp.</summary>
/// <param name="ProducedMilliseconds">The record's timestamp, Unix milliseconds; 0 where there is none.</param>
/// <param name="SeenAt">When this process saw it; default where nobody looked at a clock.</param>
/// <param name="Fault">What was wrong with the stamp on its own.</param>
public readonly record struct RecordTime(long ProducedMilliseconds, DateTimeOffset SeenAt, ClockFault Fault = ClockFault.None);

/// <summary>
/// Tells how much time has passed between two neighbouring frames of a camera. Cameras' clocks are wrong in many ways, and a constant offset is none of them: only the differences
/// between neighbours count, so that a wrong stamp costs one step and no more.
/// </summary>
internal static class CameraClock
{
    /// <summary>Where neither stamps nor records tell the time, no step is taken for longer than this: the process may have been away.</summary>
    private static readonly TimeSpan MaxWallStep = TimeSpan.FromSeconds(2);

    /// <summary>The time from the frame before to this one, in seconds; never negative.</summary>
    /// <param name="stampNanoseconds">From the frame before to this one, by the camera.</param>
    /// <param name="recordMilliseconds">The same by the records' timestamps; null where one of them has none.</param>
    /// <param name="borrowed">
    /// Seconds that were taken from the records while the stamp stood still: clocks of whole seconds stand still nine frames of ten, and their next step holds all of it.
    /// </param>
    /// <param name="wall">The same by the clock of this process; null where it did not see the frame before.</param>
    public static (double Seconds, ClockFault Fault) Step(double stampNanoseconds, long? recordMilliseconds, TimeSpan? wall, TimeSpan maxSkew, ref double borrowed)
    {
        double stated = stampNanoseconds / 1e9;
        // The producer's clock may have been set back too: then it says nothing.
        double? record = recordMilliseconds is >= 0 and { } milliseconds ? milliseconds / 1e3 : null;
        if (stated > 0 && (record is not { } step || Math.Abs(stated - step - borrowed) <= maxSkew.TotalSeconds))
        {
            double seconds = Math.Max(stated - borrowed, 0);
            borrowed = 0;
            return (seconds, ClockFault.None);
        }
        double seen = wall is { } passed ? Math.Clamp(passed.TotalSeconds, 0, MaxWallStep.TotalSeconds) : Martingale.Decorrelation.TotalSeconds / 2;
        double taken = record is > 0 and { } used ? used : seen;
        borrowed = stated == 0 ? borrowed + taken : 0;
        return (taken, stated > 0 ? ClockFault.Step : ClockFault.Backward);
    }
}
