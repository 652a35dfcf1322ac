using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Detection;

/// <summary>
/// Where a camera is in its log and in time: the offset that comes next, and the camera's time without the faults of its clock.
/// </summary>
/// <param name="maxSkew">How far a stamp may lie from its record, <c>Frames:MaxClockSkew</c>.</param>
internal sealed class CameraTimeline(DetectorState state, TimeSpan maxSkew)
{
    private ClockWatch _watch = new(state.ClockFault);
    private CameraClock _clock;
    private DateTimeOffset _seenAt;

    /// <summary>What is wrong with the camera's clock.</summary>
    public ClockFault Fault => _watch.Fault;

    /// <summary>Frames whose time was corrected since the process began.</summary>
    public long Corrected => _watch.Corrected;

    /// <summary>What was wrong with the time of the last frame.</summary>
    public ClockFault LastFault { get; private set; }

    /// <summary>Whether the last frame changed what there is to say of the clock.</summary>
    public bool HasChanged { get; private set; }

    /// <summary>The time between the last two frames.</summary>
    public TimeSpan LastStep { get; private set; }

    /// <summary>The camera's last frame, where <paramref name="absent"/> has passed since it.</summary>
    public FrameRef Last(string topic, int partition, TimeSpan absent = default) =>
        new(topic, partition, Math.Max(0, state.NextOffset - 1), UnixNanoseconds.Later(state.Timestamp, absent))
        {
            Clock = UnixNanoseconds.Later(state.Clock, absent)
        };

    /// <summary>Steps on to a frame.</summary>
    /// <returns>The frame, with the camera's time without the faults of its clock.</returns>
    public FrameRef Advance(FrameRef frame, RecordTime record)
    {
        double seconds = Martingale.Decorrelation.TotalSeconds / 2;
        var fault = record.Fault;
        if (state.Clock == 0)
        {
            state.Clock = Math.Max(1, frame.TimestampNanoseconds);
        }
        else
        {
            long? produced = record.ProducedMilliseconds > 0 && state.Produced > 0 ? record.ProducedMilliseconds - state.Produced : null;
            TimeSpan? wall = record.SeenAt != default && _seenAt != default ? record.SeenAt - _seenAt : null;
            double? stated = record.HasNoStamp ? null : UnixNanoseconds.SecondsBetween(state.Timestamp, frame.TimestampNanoseconds);
            (seconds, var step) = _clock.Step(stated, produced, wall, maxSkew);
            if (fault == ClockFault.None) fault = step;
            state.Clock = UnixNanoseconds.Later(state.Clock, TimeSpan.FromSeconds(seconds));
        }
        LastFault = fault;
        LastStep = TimeSpan.FromSeconds(seconds);
        HasChanged = _watch.Note(fault);
        _seenAt = record.SeenAt;
        state.ClockFault = _watch.Fault;
        state.Once = state.NextOffset == 0;
        // Where none is stated the last stamp goes on, for whatever is stated next.
        state.Timestamp = record.HasNoStamp && state.Timestamp != 0
            ? UnixNanoseconds.Later(state.Timestamp, LastStep)
            : frame.TimestampNanoseconds;
        state.Produced = record.ProducedMilliseconds;
        state.NextOffset = frame.Offset + 1;
        return frame with { Clock = state.Clock };
    }

    /// <summary>The next frame follows on nothing: another drive begins with it.</summary>
    public void Break() => (state.Clock, state.Timestamp) = (0, 0);

    /// <summary>
    /// Takes over a state of a version that kept the largest stamp ever seen: the time goes on from there.
    /// </summary>
    /// <returns>
    /// False where that stamp lies in the future, by the clock that wrote it: what was measured from it must start afresh.
    /// </returns>
    public bool TryHeal()
    {
        if (state.Clock != 0 || state.Timestamp == 0) return true;
        state.Clock = state.Timestamp;
        if (state.Timestamp / UnixNanoseconds.PerSecond < state.WrittenSeconds + (long)maxSkew.TotalSeconds) return true;
        if (state.Incident is { } incident)
            state.Incident = incident with { First = incident.First with { Clock = state.Clock }, LastStrange = state.Clock };
        return false;
    }
}
