namespace OutlierPipeline.Detection;

/// <summary>Configuration section <c>Detection</c>.</summary>
public sealed record DetectionOptions
{
    /// <summary>An incident opens when the evidence against "this frame is normal" reaches one over this probability.</summary>
    public double FalseAlarmProbability { get; init; } = 1e-6;

    /// <summary>An incident closes when its camera has been calm for this long.</summary>
    public TimeSpan CloseAfter { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>A picture that does not change for this long (and five frames) is frozen.</summary>
    public TimeSpan FrozenAfter { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>So many frames of a camera in a row that cannot be decoded are an incident.</summary>
    public int UndecodableFrames { get; init; } = 10;

    /// <summary>The state of a camera that sent nothing for this long is deleted.</summary>
    public TimeSpan ForgetAfter { get; init; } = TimeSpan.FromDays(7);

    /// <summary>Messages for what is out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (!(FalseAlarmProbability is > 0 and < 0.5)) yield return $"Detection:FalseAlarmProbability is {FalseAlarmProbability}; expected more than 0 and less than 0.5, such as 1e-6";
        if (CloseAfter <= TimeSpan.Zero || CloseAfter > TimeSpan.FromHours(1)) yield return $"Detection:CloseAfter is {CloseAfter}; expected more than 0 and at most 01:00:00";
        if (FrozenAfter <= TimeSpan.Zero || FrozenAfter > TimeSpan.FromHours(1)) yield return $"Detection:FrozenAfter is {FrozenAfter}; expected more than 0 and at most 01:00:00";
        if (UndecodableFrames is < 2 or > 100_000) yield return $"Detection:UndecodableFrames is {UndecodableFrames}; expected 2 to 100000 frames";
        if (ForgetAfter < TimeSpan.FromMinutes(1)) yield return $"Detection:ForgetAfter is {ForgetAfter}; expected at least 00:01:00";
    }
}
