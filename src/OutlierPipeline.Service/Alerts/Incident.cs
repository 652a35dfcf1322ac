using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Service.Alerts;

/// <summary>A place of the picture, in shares of its sides.</summary>
public sealed record Where(double X, double Y, double Width, double Height);

/// <summary>Who did something, and when.</summary>
public sealed record Deed(string By, DateTimeOffset At);

/// <summary>A page of incidents, the latest first.</summary>
/// <param name="Next">To be given as <c>cursor</c> for what follows; null at the end.</param>
internal sealed record IncidentPage(IReadOnlyList<Incident> Incidents, string? Next);

/// <summary>An incident as the API tells it.</summary>
public sealed record Incident
{
    public required string Id { get; init; }

    public required string Camera { get; init; }

    /// <summary>By <c>Alerts:VehiclePattern</c>.</summary>
    public required string Vehicle { get; init; }

    public required AlertKind Kind { get; init; }

    public required Severity Severity { get; init; }

    public required bool IsOpen { get; init; }

    /// <summary>Time of the first frame of the evidence.</summary>
    public required DateTimeOffset Opened { get; init; }

    /// <summary>
    /// When its first event was produced: later than <see cref="Opened"/> by the detector's delay, or by months where old footage is
    /// played.
    /// </summary>
    public required DateTimeOffset Recorded { get; init; }

    /// <summary>Time of the frame of the latest event.</summary>
    public required DateTimeOffset Last { get; init; }

    public DateTimeOffset? Closed { get; init; }

    /// <summary>Why it closed: <c>calm</c> or <c>driveEnded</c>.</summary>
    public string? CloseReason { get; init; }

    public required string Reason { get; init; }

    /// <summary>The score that fired.</summary>
    public string? FiredScore { get; init; }

    /// <summary>How many times its normal spread that score lay above its normal median.</summary>
    public double? Strangeness { get; init; }

    /// <summary>What the picture looks like; null where nothing said so.</summary>
    public LikelyCause? Cause { get; init; }

    /// <summary>The dimensions of the code along which it is most unusual; empty where nothing said so.</summary>
    public required IReadOnlyList<UnusualDimension> Along { get; init; }

    /// <summary>Base-10 logarithm of the odds.</summary>
    public required double Martingale { get; init; }

    /// <summary>Whether the evidence rests on the extrapolated tail.</summary>
    public bool? IsExtrapolated { get; init; }

    public Where? Where { get; init; }

    /// <summary>Name and version.</summary>
    public required string Model { get; init; }

    /// <summary>Link to frame and heat map; null where there is none, it has been kept long enough, or the camera's pictures are not
    /// shown.</summary>
    public string? Picture { get; init; }

    public required bool IsPictureExpired { get; init; }

    /// <summary>Whether nobody was told, for a maintenance window.</summary>
    public required bool IsMuted { get; init; }

    public Deed? Acknowledged { get; init; }

    /// <summary><c>normal</c> or <c>real</c>, as a person judged.</summary>
    public string? Judgement { get; init; }

    public Deed? Judged { get; init; }

    internal static Incident Of(IncidentRow row, AlertsOptions options) => new()
    {
        Id = row.Id,
        Camera = row.Camera,
        Vehicle = options.VehicleOf(row.Camera),
        Kind = row.Kind,
        Severity = row.Severity,
        IsOpen = row.ClosedNanoseconds is null,
        Opened = Time(row.OpenedNanoseconds),
        Recorded = DateTimeOffset.FromUnixTimeMilliseconds(row.RecordedMilliseconds),
        Last = Time(row.LastNanoseconds),
        Closed = row.ClosedNanoseconds is { } closed ? Time(closed) : null,
        CloseReason = row.Closed,
        Reason = row.Reason,
        FiredScore = row.FiredScore,
        Strangeness = row.Strangeness,
        Cause = row.Cause is { } cause ? new LikelyCause(cause, row.CauseProbability ?? 0) : null,
        Along = row.Along is { } along ? JsonSerializer.Deserialize<UnusualDimension[]>(along, JsonSerializerOptions.Web)! : [],
        Martingale = row.Martingale,
        IsExtrapolated = row.IsExtrapolated,
        Where = row.WhereX is { } x ? new Where(x, row.WhereY ?? 0, row.WhereWidth ?? 0, row.WhereHeight ?? 0) : null,
        Model = row.Model,
        Picture = row.HasPicture && !row.IsPictureExpired && options.Pictures.For(row.Camera) != PictureRule.None
            ? $"{options.PublicUrl?.ToString().TrimEnd('/')}/api/alerts/{row.Id}/picture.jpg" : null,
        IsPictureExpired = row.IsPictureExpired,
        IsMuted = row.IsMuted,
        Acknowledged = row.AcknowledgedBy is { } by
            ? new Deed(by, DateTimeOffset.FromUnixTimeMilliseconds(row.AcknowledgedMilliseconds ?? 0)) : null,
        Judgement = row.Judgement,
        Judged = row.JudgedBy is { } judge ? new Deed(judge, DateTimeOffset.FromUnixTimeMilliseconds(row.JudgedMilliseconds ?? 0)) : null,
    };

    private static DateTimeOffset Time(long nanoseconds) =>
        UnixNanoseconds.ToTime(nanoseconds);
}

/// <summary>What the picture of an incident looks like.</summary>
/// <param name="Name">A cause that the model has learned, or <c>unknown</c>.</param>
/// <param name="Probability">Among those that it has learned; 0 for an unknown one.</param>
public sealed record LikelyCause(string Name, double Probability);

/// <summary>What a person did about an incident.</summary>
/// <param name="Action"><c>acknowledge</c>, <c>note</c>, <c>normal</c> or <c>real</c>.</param>
internal sealed record IncidentAction(DateTimeOffset At, string Who, string Action, string? Text);

/// <summary>An incident's whole life.</summary>
/// <param name="Events">The CloudEvents in order, with links instead of pictures.</param>
/// <param name="Actions">What people did, in order.</param>
internal sealed record IncidentLife(Incident Incident, IReadOnlyList<System.Text.Json.Nodes.JsonNode> Events,
    IReadOnlyList<IncidentAction> Actions);

/// <summary>A maintenance window.</summary>
internal sealed record Mute(Guid Id, string Cameras, DateTimeOffset From, DateTimeOffset Until, string Who, string? Reason);
