using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>A subscription to be made.</summary>
/// <param name="Url">Where events are posted to, http or https.</param>
/// <param name="Secret"><c>whsec_</c> and Base64 of 24 to 64 bytes; drawn if absent.</param>
/// <param name="Cameras">A camera's id, or a pattern such as <c>truck-*</c>; a star of the id itself is written <c>\*</c>; all if
/// absent.</param>
/// <param name="MinSeverity">info, warning or critical; info if absent.</param>
/// <param name="Kinds">All if absent.</param>
internal sealed record SubscriptionRequest(string? Name, string? Url, string? Secret, string? Cameras, string? MinSeverity,
    string[]? Kinds);

/// <summary>A subscription.</summary>
/// <param name="Url">Null for callers without the scope Subscribe: it often is a secret.</param>
/// <param name="State"><c>active</c>, <c>failing</c> or <c>dead</c>.</param>
/// <param name="Pending">Events that wait to be delivered.</param>
internal sealed record Subscription(Guid Id, string Name, string? Url, string? Cameras, string MinSeverity, string[] Kinds,
    DateTimeOffset Created, string CreatedBy, string State, string? DeadReason, DateTimeOffset? FailingSince, DateTimeOffset? LastSuccess,
    string? LastError, int Pending);

/// <summary>A subscription that was just made.</summary>
/// <param name="Secret">Shown now, and never again.</param>
internal sealed record NewSubscription(Subscription Subscription, string Secret);

/// <summary>How a test went.</summary>
/// <param name="Status">The receiver's answer, if there was one.</param>
internal sealed record SubscriptionTest(bool IsDelivered, int? Status, string? Error);

/// <summary><c>/api/subscriptions</c>.</summary>
internal static class SubscriptionEndpoints
{
    private const int MaxSubscriptions = 1000;
    private const int MaxText = 200;
    private const int MaxUrl = 2000;

    public static void MapSubscriptions(this WebApplication app)
    {
        var subscriptions = app.MapGroup("/api/subscriptions").WithTags("subscriptions").RequireAuthorization(nameof(Scope.Read))
            .ProducesRefusals();
        subscriptions.MapGet("/", ListAsync).WithSummary("Webhooks, and how they do.");
        subscriptions.MapGet("/{id:guid}", FindAsync).WithSummary("One webhook.");
        subscriptions.MapPost("/", CreateAsync).WithSummary("Posts alerts to a URL from now on, signed.").ProducesProblem(400)
            .RequireAuthorization(nameof(Scope.Subscribe));
        subscriptions.MapDelete("/{id:guid}", DeleteAsync).WithSummary("Ends it; what was not delivered is forgotten.")
            .RequireAuthorization(nameof(Scope.Subscribe));
        subscriptions.MapPost("/{id:guid}/test", TestAsync).WithSummary("Sends an event of the type outlier.test now.")
            .RequireAuthorization(nameof(Scope.Subscribe));
        subscriptions.MapPost("/{id:guid}/enable", EnableAsync).WithSummary("Revives a dead one; what waits is sent.")
            .RequireAuthorization(nameof(Scope.Subscribe));
    }

    private static async Task<Subscription[]> ListAsync(HttpContext context, IDbContextFactory<AlertDatabase> databases,
        CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var pending = await database.Deliveries.Where(row => row.State == DeliveryState.Pending).GroupBy(row =>
            row.Subscription).Select(group => new { group.Key, Count = group.Count() }).ToDictionaryAsync(group => group.Key, group =>
            group.Count, cancellation);
        var rows = await database.Subscriptions.AsNoTracking().OrderBy(row => row.CreatedMilliseconds).ToListAsync(cancellation);
        return [.. rows.Select(row => Of(row, pending.GetValueOrDefault(row.Id), context))];
    }

    private static async Task<Results<Ok<Subscription>, NotFound>> FindAsync(Guid id, HttpContext context,
        IDbContextFactory<AlertDatabase> databases, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.Subscriptions.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { } found)
            return TypedResults.NotFound();
        int pending = await database.Deliveries
            .CountAsync(row => row.Subscription == id && row.State == DeliveryState.Pending, cancellation);
        return TypedResults.Ok(Of(found, pending, context));
    }

    private static async Task<Results<Created<NewSubscription>, ProblemHttpResult>> CreateAsync(SubscriptionRequest request,
        HttpContext context, IDbContextFactory<AlertDatabase> databases, TimeProvider time, CancellationToken cancellation)
    {
        if (string.IsNullOrWhiteSpace(request.Name) || request.Name.Length > MaxText)
            return Bad($"name is missing or longer than {MaxText} characters");
        if (request.Url is not { Length: <= MaxUrl } url || !Uri.TryCreate(url, UriKind.Absolute, out var uri)
            || uri.Scheme is not ("http" or "https")
            || uri.UserInfo.Length > 0) return Bad("url is not an address of http or https without a user's name in it");
        if (request.Secret is { } given && !WebhookSignature.IsSecret(given))
            return Bad("secret is not a whsec_ with Base64 of 24 to 64 bytes; leave it out to get one");
        AlertFilter filter;
        try
        {
            filter = AlertFilter.Parse(request.Cameras, request.MinSeverity, request.Kinds is null
                ? null
                : string.Join(',', request.Kinds), "minSeverity", "kinds");
        }
        catch (FormatException e)
        {
            return Bad(e.Message);
        }
        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.Subscriptions.CountAsync(cancellation) >= MaxSubscriptions)
            return Bad(string.Create(CultureInfo.InvariantCulture, $"there are {MaxSubscriptions} subscriptions already: delete one"));
        var row = new SubscriptionRow
        {
            Id = Guid.CreateVersion7(),
            Name = request.Name,
            Url = uri.AbsoluteUri,
            Secret = request.Secret ?? WebhookSignature.CreateSecret(),
            Cameras = filter.Cameras?.Text,
            MinSeverity = filter.MinSeverity,
            Kinds = filter.Kinds is null ? null : string.Join(',', filter.Kinds),
            CreatedMilliseconds = time.GetUtcNow().ToUnixTimeMilliseconds(),
            CreatedBy = context.Who(),
        };
        database.Subscriptions.Add(row);
        await database.SaveChangesAsync(cancellation);
        return TypedResults.Created($"/api/subscriptions/{row.Id}", new NewSubscription(Of(row, 0, context), row.Secret));
    }

    private static async Task<Results<NoContent, NotFound>> DeleteAsync(Guid id, IDbContextFactory<AlertDatabase> databases,
        CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        await database.Deliveries.Where(row => row.Subscription == id).ExecuteDeleteAsync(cancellation);
        return await database.Subscriptions.Where(row => row.Id == id).ExecuteDeleteAsync(cancellation) == 1
            ? TypedResults.NoContent()
            : TypedResults.NotFound();
    }

    private static async Task<Results<Ok<SubscriptionTest>, NotFound>> TestAsync(Guid id, IDbContextFactory<AlertDatabase> databases,
        WebhookClient client, TimeProvider time, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.Subscriptions.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { } row)
            return TypedResults.NotFound();
        string eventId = $"test-{Guid.NewGuid():n}";
        var body = new JsonObject
        {
            ["specversion"] = "1.0",
            ["id"] = eventId,
            ["source"] = "urn:outlier-pipeline",
            ["type"] = "outlier.test",
            ["time"] = time.GetUtcNow().ToString("O", CultureInfo.InvariantCulture),
            ["datacontenttype"] = "application/json",
            ["data"] = new JsonObject { ["subscription"] = row.Name }
        };
        var answer = await client.SendAsync(row, eventId, body.ToJsonString(), cancellation);
        return TypedResults.Ok(new SubscriptionTest(answer.IsDelivered, answer.Status, answer.Error));
    }

    private static async Task<Results<NoContent, NotFound>> EnableAsync(Guid id, IDbContextFactory<AlertDatabase> databases,
        TimeProvider time, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        long now = time.GetUtcNow().ToUnixTimeMilliseconds();
        int found = await database.Subscriptions.Where(row => row.Id == id).ExecuteUpdateAsync(set =>
            set.SetProperty(row => row.DeadReason, (string?)null).SetProperty(row => row.FailingSinceMilliseconds, (long?)null)
            .SetProperty(row => row.PausedUntilMilliseconds, 0), cancellation);
        await database.Deliveries.Where(row => row.Subscription == id && row.State == DeliveryState.Pending).ExecuteUpdateAsync(set =>
            set.SetProperty(row => row.NextMilliseconds, now).SetProperty(row => row.Attempts, 0), cancellation);
        return found == 1 ? TypedResults.NoContent() : TypedResults.NotFound();
    }

    private static Subscription Of(SubscriptionRow row, int pending, HttpContext context)
    {
        bool maySeeUrl = context.User.HasClaim(AccessHandler.ScopeClaim, nameof(Scope.Subscribe));
        return new Subscription(
            row.Id, row.Name, maySeeUrl ? row.Url : null, row.Cameras, row.MinSeverity.ToString().ToLowerInvariant(),
            row.Kinds?.ToLowerInvariant().Split(',') ?? [], Time(row.CreatedMilliseconds)!.Value, row.CreatedBy,
            row.DeadReason is not null ? "dead" : row.FailingSinceMilliseconds is not null ? "failing" : "active",
            Shown(row.DeadReason), Time(row.FailingSinceMilliseconds), Time(row.LastSuccessMilliseconds), Shown(row.LastError), pending);

        // What a connection says of its fault names the host, which is a part of the address.
        string? Shown(string? fault) =>
            maySeeUrl || fault is null ? fault : fault.Replace(new Uri(row.Url).Host, "…", StringComparison.OrdinalIgnoreCase);
    }

    private static DateTimeOffset? Time(long? milliseconds) =>
        milliseconds is { } known ? DateTimeOffset.FromUnixTimeMilliseconds(known) : null;

    private static ProblemHttpResult Bad(string detail) => TypedResults.Problem(detail, statusCode: 400);
}
