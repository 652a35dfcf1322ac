namespace OutlierPipeline.Frames;

/// <summary>What is wrong with a frame's stated time, so that another one was used.</summary>
public enum ClockFault
{
    None = 0,

    /// <summary>The stamp is 0 or none: the record's timestamp was taken.</summary>
    Missing,

    /// <summary>The stamp is in seconds, milliseconds or microseconds; it was read as such.</summary>
    Unit,

    /// <summary>The stamp stands still, creeps or goes back: the step between the records was taken.</summary>
    Backward,

    /// <summary>The stamp's step contradicts the records' own by more than <c>Frames:MaxClockSkew</c>: theirs was taken.</summary>
    Step,
}
