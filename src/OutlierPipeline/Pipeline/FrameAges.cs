using OutlierPipeline.Frames;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Tells how long a frame has waited to be read. A camera's clock may be seconds off, so that its stamps alone say nothing: what counts is
/// how much later than usual they come, where
/// the usual is what was seen of the camera at the partition's end. For the consumer's thread.
/// </summary>
internal sealed class FrameAges(TimeSpan maxSkew)
{
    /// <summary>Beyond it all is forgotten and learned again: a producer that draws random keys must not fill the memory.</summary>
    private const int MaxCameras = 100_000;

    private readonly Dictionary<string, Known> _cameras = [];

    /// <param name="frame">Of a known camera.</param>
    /// <param name="end">The partition's end, and when it was measured: a record behind it was appended later.</param>
    public TimeSpan AgeOf(ConsumedFrame frame, (long Offset, DateTimeOffset At) end, DateTimeOffset now)
    {
        var byRecord = now - DateTimeOffset.UnixEpoch - TimeSpan.FromMilliseconds(frame.ProducedMilliseconds);
        // What states no time that can be one is not known to be old.
        if (frame.ProducedMilliseconds == 0) return TimeSpan.Zero;
        if (frame.IsAppendTime) return byRecord;
        var apparent = now - DateTimeOffset.UnixEpoch - UnixNanoseconds.ToDuration(frame.TimestampNanoseconds);
        var usual = Usual(frame);
        if (frame.Offset >= end.Offset)
        {
            // It was appended since the end was measured, so that the usual lies no further off than that.
            var least = apparent - (now - end.At);
            usual = usual is { } known ? TimeSpan.FromTicks(Math.Clamp(known.Ticks, least.Ticks, apparent.Ticks)) : apparent;
        }
        if (_cameras.Count >= MaxCameras) _cameras.Clear();
        _cameras[frame.Camera!] = new Known(usual, frame.TimestampNanoseconds, frame.ProducedMilliseconds);
        return usual is { } offset ? apparent - offset : byRecord;
    }

    /// <summary>
    /// What the camera's stamps lie behind by when nothing waits; null where that was not seen, or its clock was set since.
    /// </summary>
    private TimeSpan? Usual(ConsumedFrame frame)
    {
        if (!_cameras.TryGetValue(frame.Camera!, out var known)) return null;
        double contradiction = UnixNanoseconds.SecondsBetween(known.Stamp, frame.TimestampNanoseconds)
            - (frame.ProducedMilliseconds - known.Produced) / 1e3;
        return Math.Abs(contradiction) > maxSkew.TotalSeconds ? null : known.Usual;
    }

    private readonly record struct Known(TimeSpan? Usual, long Stamp, long Produced);
}
