using OutlierPipeline.Frames;

namespace OutlierPipeline.Detection;

/// <summary>Remembers what is wrong with a camera's clock, so that it is told once a change and not once a frame.</summary>
public struct ClockWatch
{
    /// <summary>So many frames in a row without a fault, and the clock is well again.</summary>
    private const int WellAfter = 100;

    private int _well;
    private int _told;

    /// <param name="fault">As it was told before a restart.</param>
    public ClockWatch(ClockFault fault)
    {
        Fault = fault;
        if (fault != ClockFault.None) _told = 1 << (int)fault;
    }

    /// <summary>What was wrong last, until the clock is well again.</summary>
    public ClockFault Fault { get; private set; }

    /// <summary>Frames whose time was corrected since the process began.</summary>
    public long Corrected { get; private set; }

    /// <summary>Takes one frame's fault; true where what is to be told has changed.</summary>
    internal bool Note(ClockFault fault)
    {
        if (fault == ClockFault.None)
        {
            if (Fault == ClockFault.None || ++_well < WellAfter) return false;
            Fault = ClockFault.None;
            _told = 0;
            return true;
        }
        Corrected++;
        _well = 0;
        // Each fault is told once until all is well; forward and back again is one story.
        if ((_told & 1 << (int)fault) != 0 || Fault is ClockFault.Step && fault is ClockFault.Backward) return false;
        _told |= 1 << (int)fault;
        Fault = fault;
        return true;
    }

    /// <summary>A fault in a few words.</summary>
    public static string Describe(ClockFault fault) => fault switch
    {
        ClockFault.None => "the clock is in order",
        ClockFault.Missing => "frame-timestamp is 0; the record's timestamp is used",
        ClockFault.Unit => "frame-timestamp is not in nanoseconds; its unit was recognised",
        ClockFault.Backward => "frame-timestamp stands still, creeps or goes back; the step between the records is used",
        ClockFault.Step => "frame-timestamp jumps by more than Frames:MaxClockSkew; the step between the records is used",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, "no such fault"),
    };
}
