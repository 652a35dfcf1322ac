using OutlierPipeline.Frames;

namespace OutlierPipeline.Detection;

/// <summary>What is known of a frame's time beside its stamp.</summary>
/// <param name="ProducedMilliseconds">The record's timestamp, Unix milliseconds; 0 where there is none.</param>
/// <param name="SeenAt">When this process saw it; default where nobody looked at a clock.</param>
/// <param name="Fault">What was wrong with the stamp on its own.</param>
/// <param name="HasNoStamp">Whether the camera stated no time, so that the records' step is all there is.</param>
public readonly record struct RecordTime(long ProducedMilliseconds, DateTimeOffset SeenAt, ClockFault Fault = ClockFault.None,
    bool HasNoStamp = false);

/// <summary>
/// Tells how much time has passed between two neighbouring frames of a camera. Cameras' clocks are wrong in many ways, and a constant
/// offset is none of them: only the differences
/// between neighbours count, so that a wrong stamp costs one step and no more.
/// </summary>
internal struct CameraClock
{
    /// <summary>
    /// Where neither stamps nor records tell the time, no step is taken for longer than this: the process may have been away.
    /// </summary>
    private const double MaxWallStep = 2;

    /// <summary>No step is longer: nobody's drive is.</summary>
    private const double MaxStep = 366 * 24 * 3600;

    /// <summary>
    /// A clock that runs at less than this share of the records' for so long counts something else: frames, ticks, milliseconds since its
    /// start.
    /// </summary>
    private const double SlowRate = 1 / 30.0;
    private const double RateSeconds = 2;

    /// <summary>A longer step between two records is a delay and says nothing of a clock's rate.</summary>
    private const double MaxRateStep = 1;

    private double _borrowed;
    private double _statedSum;
    private double _recordSum;
    private bool _isSlow;

    /// <summary>The time from the frame before to this one, in seconds; never negative.</summary>
    /// <param name="stated">From the frame before to this one, by the camera, in seconds; null where it states no time.</param>
    /// <param name="recordMilliseconds">The same by the records' timestamps; null where one of them has none.</param>
    /// <param name="wall">The same by the clock of this process; null where it did not see the frame before.</param>
    public (double Seconds, ClockFault Fault) Step(double? stated, long? recordMilliseconds, TimeSpan? wall, TimeSpan maxSkew)
    {
        // The producer's clock may have been set back too: then it says nothing.
        double? record = recordMilliseconds is >= 0 and { } milliseconds ? milliseconds / 1e3 : null;
        double seen = wall is { } passed ? Math.Clamp(passed.TotalSeconds, 0, MaxWallStep) : Martingale.Decorrelation.TotalSeconds / 2;
        double taken = Math.Min(record is > 0 and { } used ? used : seen, MaxStep);
        if (stated is not { } step) return (taken, ClockFault.None);
        NoteRate(step, record);
        if (_isSlow) return (taken, ClockFault.Backward);
        // A record may come any time later than its picture; what lies further apart than the records do is what a clock cannot say truly.
        if (step > 0 && (record is not { } known || step - known - _borrowed <= maxSkew.TotalSeconds))
        {
            double seconds = Math.Clamp(step - _borrowed, 0, MaxStep);
            _borrowed = 0;
            return (seconds, ClockFault.None);
        }
        // Clocks of whole seconds stand still nine frames of ten, and their next step holds all of it.
        _borrowed = step == 0 ? _borrowed + taken : 0;
        // Records of the same millisecond, whose own time is the stamp, are no fault of a clock.
        return (taken, step > 0 ? ClockFault.Step : step == 0 && record is null or 0 ? ClockFault.None : ClockFault.Backward);
    }

    private void NoteRate(double stated, double? record)
    {
        if (stated < 0 || record is not { } step || step is <= 0 or > MaxRateStep) return;
        _statedSum += stated;
        _recordSum += step;
        if (_recordSum < RateSeconds) return;
        _isSlow = _statedSum < SlowRate * _recordSum;
        (_statedSum, _recordSum) = (0, 0);
    }
}
