namespace OutlierPipeline.Detection;

/// <summary>Remembers what is wrong with a camera's clock, so that it is told once a change and not once a frame.</summary>
public struct ClockWatch
{
    /// <summary>So many frames in a row without a fault, and the clock is well again.</summary>
    private const int WellAfter = 100;

    private int _well;

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
            return true;
        }
        Corrected++;
        _well = 0;
        if (Fault == fault) return false;
        // Forward and back again is one story.
        bool isNews = !(Fault is ClockFault.Step && fault is ClockFault.Backward);
        if (isNews) Fault = fault;
        return isNews;
    }

    /// <summary>A fault in a few words.</summary>
    public static string Describe(ClockFault fault) => fault switch
    {
        ClockFault.None => "the clock is in order",
        ClockFault.Missing => "frame-timestamp is 0; the record's timestamp is used",
        ClockFault.Unit => "frame-timestamp is not in nanoseconds; its unit was recognised",
        ClockFault.Backward => "frame-timestamp stands still or goes back; the step between the records is used",
        ClockFault.Step => "frame-timestamp jumps by more than Frames:MaxClockSkew; the step between the records is used",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, "no such fault"),
    };
}
