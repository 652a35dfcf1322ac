using System.ComponentModel;
using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using OutlierPipeline.Models;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Streams;

namespace OutlierPipeline.Service.Alerts;

/// <summary>A person's words about an incident.</summary>
/// <param name="Text">At most 4000 characters.</param>
internal sealed record NoteRequest(string? Text);

/// <summary>What an incident turned out to be.</summary>
/// <param name="Judgement"><c>normal</c> or <c>real</c>.</param>
internal sealed record JudgementRequest(string? Judgement, string? Text);

/// <summary>A maintenance window to be made.</summary>
/// <param name="Cameras">A camera's id, or a pattern such as <c>truck-*</c>; a star of the id itself is written <c>\*</c>.</param>
/// <param name="From">Now by default.</param>
internal sealed record MuteRequest(string? Cameras, DateTimeOffset? From, DateTimeOffset? Until, string? Reason);

/// <summary><c>/api/alerts</c> and <c>/api/mutes</c>.</summary>
internal static class AlertEndpoints
{
    private const int DefaultPage = 50;

    public static void MapAlerts(this WebApplication app)
    {
        var alerts = app.MapGroup("/api/alerts").WithTags("alerts").RequireAuthorization(nameof(Scope.Read)).ProducesRefusals();
        alerts.MapGet("/", ListAsync).WithSummary("Incidents, the latest first.").ProducesProblem(400);
        alerts.MapGet("/stream", StreamAsync).WithSummary("Alerts as server-sent events: each a CloudEvent of docs/schemas/alert.json.")
            .Produces<string>(200, "text/event-stream").ProducesProblem(400);
        alerts.MapGet("/{id}", FindAsync).WithSummary("An incident's whole life.");
        alerts.MapGet("/{id}/picture.jpg", PictureAsync).WithSummary("The frame that opened it, and beside it the same under its heat map.")
            .Produces<byte[]>(200, "image/jpeg");
        alerts.MapPost("/{id}/acknowledge", AcknowledgeAsync).WithSummary("Somebody has it in hand.").ProducesProblem(400)
            .RequireAuthorization(nameof(Scope.Acknowledge));
        alerts.MapPost("/{id}/note", AnnotateAsync).WithSummary("Adds a note.").ProducesProblem(400)
            .RequireAuthorization(nameof(Scope.Acknowledge));
        alerts.MapPost("/{id}/judgement", JudgeAsync).WithSummary("What it turned out to be.").ProducesProblem(400)
            .RequireAuthorization(nameof(Scope.Acknowledge));
        var mutes = app.MapGroup("/api/mutes").WithTags("mutes").RequireAuthorization(nameof(Scope.Read)).ProducesRefusals();
        mutes.MapGet("/", (IncidentBook book, CancellationToken cancellation) =>
            book.MutesAsync(cancellation)).WithSummary("Maintenance windows that are not over.");
        mutes.MapPost("/", MuteAsync).WithSummary("Alerts of these cameras are recorded and not sent until then.").ProducesProblem(400)
            .RequireAuthorization(nameof(Scope.Acknowledge));
        mutes.MapDelete("/{id:guid}", UnmuteAsync)
            .WithSummary("Ends a maintenance window.").RequireAuthorization(nameof(Scope.Acknowledge));
    }

    /// <summary>The name of who calls.</summary>
    public static string Who(this HttpContext context) => context.User.Identity?.Name ?? "unknown";

    /// <summary>Who calls, on a way that requires the scope <see cref="Scope.Acknowledge"/>.</summary>
    private static Actor Actor(this HttpContext context) =>
        Access.Actor.Of(context.User) ?? throw new InvalidOperationException("this way requires no scope");

    private static async Task<Results<Ok<IncidentPage>, ProblemHttpResult>> ListAsync(
        IncidentBook book,
        [Description("a camera's id, or a pattern such as truck-*; a star of the id itself is written \\*")] string? camera,
        [Description("at least: info, warning or critical")] string? severity,
        [Description("kinds, separated by commas")] string? kind,
        [Description("opened at it or later")] DateTimeOffset? from,
        [Description("opened before it")] DateTimeOffset? to,
        [Description("open ones only")] bool? open,
        [Description("where the page before ended")] string? cursor,
        [Description("1 to 500, 50 by default")] int? limit,
        CancellationToken cancellation)
    {
        if (limit is < 1 or > IncidentBook.MaxPage)
            return Bad(string.Create(CultureInfo.InvariantCulture, $"limit is {limit}; expected 1 to {IncidentBook.MaxPage}"));
        try
        {
            return TypedResults.Ok(await book.ListAsync(AlertFilter.Parse(camera, severity, kind), from, to, open ?? false, cursor, limit
                ?? DefaultPage, cancellation));
        }
        catch (FormatException e)
        {
            return Bad(e.Message);
        }
    }

    private static async Task<IResult> StreamAsync(
        HttpContext context, AlertBroadcast broadcast, AlertStore store, StreamLimit limit, ApiOptions api, IHostApplicationLifetime life,
        string? camera, string? severity, string? kind,
        [FromHeader(Name = "Last-Event-ID"), Description("where the listener was: what it missed comes first")] string? lastEventId)
    {
        using var place = limit.TryOpen(AccessSetup.Caller(context));
        if (place is null)
            return Results.Problem($"this caller has {api.StreamsPerCaller} streams: see Api:StreamsPerCaller", statusCode: 429);
        try
        {
            var filter = AlertFilter.Parse(camera, severity, kind);
            return await AlertStream.WriteAsync(context, broadcast, store, filter, lastEventId, life.ApplicationStopping)
                ?? TypedResults.Empty;
        }
        catch (FormatException e)
        {
            return Bad(e.Message);
        }
    }

    private static async Task<Results<Ok<IncidentLife>,
        NotFound>> FindAsync(string id, IncidentBook book, CancellationToken cancellation) =>
        await book.FindAsync(id, cancellation) is { } life ? TypedResults.Ok(life) : TypedResults.NotFound();

    private static async Task<Results<FileContentHttpResult, NotFound>> PictureAsync(string id, HttpContext context, IncidentBook book,
        CancellationToken cancellation)
    {
        if (await book.PictureAsync(id, cancellation) is not { } jpeg) return TypedResults.NotFound();
        context.Response.Headers.CacheControl = "private, max-age=3600";
        return TypedResults.File(jpeg, "image/jpeg");
    }

    private static async Task<Results<NoContent, NotFound, ProblemHttpResult>> AcknowledgeAsync(string id, NoteRequest? note,
        HttpContext context, IncidentBook book, CancellationToken cancellation) =>
        note?.Text?.Length > IncidentBook.MaxText ? TooLong()
        : await book.AcknowledgeAsync(id, context.Actor(), note?.Text, cancellation) ? TypedResults.NoContent() : TypedResults.NotFound();

    private static async Task<Results<NoContent, NotFound, ProblemHttpResult>> AnnotateAsync(string id, NoteRequest note,
        HttpContext context, IncidentBook book, CancellationToken cancellation) =>
        note.Text?.Length > IncidentBook.MaxText ? TooLong()
        : string.IsNullOrWhiteSpace(note.Text) ? Bad("text is empty")
        : await book.AnnotateAsync(id, context.Actor(), note.Text, cancellation) ? TypedResults.NoContent() : TypedResults.NotFound();

    private static async Task<Results<NoContent, NotFound, ProblemHttpResult>> JudgeAsync(string id, JudgementRequest judgement,
        HttpContext context, IncidentBook book, CancellationToken cancellation) =>
        judgement.Text?.Length > IncidentBook.MaxText ? TooLong()
        : judgement.Judgement is not ("normal" or "real") ? Bad($"judgement is {judgement.Judgement ?? "missing"}; expected normal or real")
        : await book.JudgeAsync(id, context.Actor(), judgement.Judgement == "real", judgement.Text, cancellation)
            ? TypedResults.NoContent()
            : TypedResults.NotFound();

    private static async Task<Results<NoContent, NotFound>> UnmuteAsync(
        Guid id, HttpContext context, IncidentBook book, CancellationToken cancellation) =>
        await book.UnmuteAsync(id, context.Actor(), cancellation) ? TypedResults.NoContent() : TypedResults.NotFound();

    private static async Task<Results<Created<Mute>, ProblemHttpResult>> MuteAsync(MuteRequest mute, HttpContext context,
        IncidentBook book, TimeProvider time, CancellationToken cancellation)
    {
        var from = mute.From ?? time.GetUtcNow();
        if (string.IsNullOrWhiteSpace(mute.Cameras)) return Bad("cameras is missing; expected a camera's id, or a pattern such as truck-*");
        if (mute.Until is not { } until || until <= from) return Bad("until is missing, or not after from");
        if (mute.Reason?.Length > IncidentBook.MaxText) return TooLong();
        try
        {
            var made = await book.MuteAsync(CameraPattern.Parse(mute.Cameras), from, until, context.Actor(), mute.Reason, cancellation);
            return TypedResults.Created($"/api/mutes/{made.Id}", made);
        }
        catch (FormatException e)
        {
            return Bad(e.Message);
        }
    }

    private static ProblemHttpResult Bad(string detail) => TypedResults.Problem(detail, statusCode: 400);

    private static ProblemHttpResult TooLong() =>
        Bad(string.Create(CultureInfo.InvariantCulture, $"text is longer than {IncidentBook.MaxText} characters"));
}
