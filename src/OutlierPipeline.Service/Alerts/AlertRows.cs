using OutlierPipeline.Alerts;

namespace OutlierPipeline.Service.Alerts;

/// <summary>One record of <c>ood.alerts</c>; a record that repeats an earlier one's event has no row.</summary>
internal sealed class AlertRow
{
    public required string Cluster { get; init; }

    public required string Topic { get; init; }

    public required int Partition { get; init; }

    public required long Offset { get; init; }

    /// <summary>The CloudEvent's id.</summary>
    public required string EventId { get; init; }

    public required string Incident { get; init; }

    /// <summary>The CloudEvent's type.</summary>
    public required string Type { get; init; }

    public required string Camera { get; init; }

    public required AlertKind Kind { get; init; }

    public required Severity Severity { get; init; }

    /// <summary>The record's timestamp, Unix milliseconds.</summary>
    public required long RecordedMilliseconds { get; init; }

    /// <summary>Recorded in a maintenance window of its camera: not sent to anybody.</summary>
    public required bool IsMuted { get; init; }

    /// <summary>The CloudEvent as it is sent on: a link instead of the picture.</summary>
    public required string Json { get; init; }
}

/// <summary>An incident as its latest record left it, and what people did about it.</summary>
internal sealed class IncidentRow
{
    public required string Id { get; init; }

    public required string Camera { get; init; }

    public required AlertKind Kind { get; init; }

    public Severity Severity { get; set; }

    /// <summary>Time of the first frame of the evidence, Unix nanoseconds.</summary>
    public required long OpenedNanoseconds { get; init; }

    /// <summary>Time of the frame of the latest record.</summary>
    public long LastNanoseconds { get; set; }

    public long? ClosedNanoseconds { get; set; }

    /// <summary>Why it closed, as in the record.</summary>
    public string? Closed { get; set; }

    public string Reason { get; set; } = "";

    public string? FiredScore { get; set; }

    public double? Strangeness { get; set; }

    /// <summary>What the picture looks like, as the latest record that says so has it.</summary>
    public string? Cause { get; set; }

    public double? CauseProbability { get; set; }

    /// <summary>Along what it is unusual, as JSON, as the latest record that says so has it.</summary>
    public string? Along { get; set; }

    /// <summary>Base-10 logarithm of the odds, the largest of its records.</summary>
    public double Martingale { get; set; }

    public bool? IsExtrapolated { get; set; }

    /// <summary>The strangest place, in shares of the picture's sides; all four or none.</summary>
    public double? WhereX { get; set; }

    public double? WhereY { get; set; }

    public double? WhereWidth { get; set; }

    public double? WhereHeight { get; set; }

    public string Model { get; set; } = "";

    /// <summary>When the first record was produced, Unix milliseconds.</summary>
    public required long RecordedMilliseconds { get; init; }

    public bool HasPicture { get; set; }

    /// <summary>Whether the picture has been deleted for its age.</summary>
    public bool IsPictureExpired { get; set; }

    /// <summary>Whether nobody was told of any of its records.</summary>
    public bool IsMuted { get; set; }

    public string? AcknowledgedBy { get; set; }

    public long? AcknowledgedMilliseconds { get; set; }

    /// <summary><c>normal</c>, <c>real</c>, or null where nobody has judged.</summary>
    public string? Judgement { get; set; }

    public string? JudgedBy { get; set; }

    public long? JudgedMilliseconds { get; set; }
}

/// <summary>An incident's picture: apart, so that lists of incidents do not load it.</summary>
internal sealed class PictureRow
{
    public required string Incident { get; init; }

    public required long RecordedMilliseconds { get; init; }

    /// <summary>A JPEG of frame and heat map.</summary>
    public required byte[] Jpeg { get; init; }
}

/// <summary>What a person did about an incident.</summary>
internal sealed class ActionRow
{
    public required Guid Id { get; init; }

    public required string Incident { get; init; }

    public required long Milliseconds { get; init; }

    public required string Who { get; init; }

    /// <summary><c>acknowledge</c>, <c>note</c>, <c>normal</c> or <c>real</c>.</summary>
    public required string Action { get; init; }

    public string? Text { get; init; }
}

/// <summary>A maintenance window: alerts of these cameras are recorded, and not sent.</summary>
internal sealed class MuteRow
{
    public required Guid Id { get; init; }

    /// <summary>A camera's id, or a pattern such as <c>truck-*</c>.</summary>
    public required string Cameras { get; init; }

    public required long FromMilliseconds { get; init; }

    public required long UntilMilliseconds { get; init; }

    public required string Who { get; init; }

    public string? Reason { get; init; }
}

/// <summary>Up to where a partition of <c>ood.alerts</c> has been read; written in the transaction that stores what was read.</summary>
internal sealed class PositionRow
{
    public required string Cluster { get; init; }

    public required string Topic { get; init; }

    public required int Partition { get; init; }

    public long NextOffset { get; set; }
}
