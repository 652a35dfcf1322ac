using OutlierPipeline.Alerts;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>Somebody's webhook.</summary>
internal sealed class SubscriptionRow
{
    public required Guid Id { get; init; }

    public required string Name { get; init; }

    public required string Url { get; init; }

    /// <summary><c>whsec_</c> and Base64, as it was given or drawn: it signs, so a hash would not do.</summary>
    public required string Secret { get; init; }

    /// <summary>A camera's id, or a pattern such as <c>truck-*</c>; null for all.</summary>
    public string? Cameras { get; init; }

    public Severity MinSeverity { get; init; }

    /// <summary>Kinds, separated by commas; null for all.</summary>
    public string? Kinds { get; init; }

    public required long CreatedMilliseconds { get; init; }

    public required string CreatedBy { get; init; }

    /// <summary>Why nothing is sent any more; null while it lives.</summary>
    public string? DeadReason { get; set; }

    /// <summary>Since when every attempt has failed; null after a success.</summary>
    public long? FailingSinceMilliseconds { get; set; }

    /// <summary>Its receiver did not answer, or refused again and again: nothing is sent before.</summary>
    public long PausedUntilMilliseconds { get; set; }

    public long? LastSuccessMilliseconds { get; set; }

    public string? LastError { get; set; }
}

/// <summary>What is to be done with an event for a subscription.</summary>
internal enum DeliveryState
{
    Pending,
    Delivered,
}

/// <summary>One event for one subscription; written in the transaction that stores the event, so that none is forgotten.</summary>
internal sealed class DeliveryRow
{
    public required Guid Subscription { get; init; }

    public required string EventId { get; init; }

    public required string Incident { get; init; }

    /// <summary>Of the record: the order within the incident, whose records are all in one partition.</summary>
    public required long Offset { get; init; }

    public DeliveryState State { get; set; }

    public int Attempts { get; set; }

    /// <summary>When the next attempt is due, Unix milliseconds.</summary>
    public required long NextMilliseconds { get; set; }

    public long? DoneMilliseconds { get; set; }

    public string? LastError { get; set; }
}

/// <summary>Which replica does what only one may do.</summary>
internal sealed class LeaseRow
{
    public required string Name { get; init; }

    public required string Holder { get; set; }

    public required long UntilMilliseconds { get; set; }
}
