using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Service.Access;

namespace OutlierPipeline.Service.Alerts;

/// <summary>What is asked of the incidents, and what people do about them.</summary>
internal sealed class IncidentBook(IDbContextFactory<AlertDatabase> databases, AlertsOptions options, TimeProvider time)
{
    public const int MaxPage = 500;

    /// <summary>The longest note.</summary>
    public const int MaxText = 4000;

    /// <summary>Called with an incident's id after somebody did something about it.</summary>
    public event Action<string>? Changed;

    /// <summary>Incidents, the latest first.</summary>
    /// <param name="from">Opened at it or later.</param>
    /// <param name="to">Opened before it.</param>
    /// <param name="cursor">Where the page before ended, or null. Incidents that opened since do not move what follows.</param>
    /// <exception cref="FormatException">The cursor is none.</exception>
    public async Task<IncidentPage> ListAsync(AlertFilter filter, DateTimeOffset? from, DateTimeOffset? to, bool openOnly, string? cursor,
        int limit, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = database.Incidents.AsNoTracking().Where(row => row.Severity >= filter.MinSeverity);
        if (filter.Kinds is { } kinds) rows = rows.Where(row => kinds.Contains(row.Kind));
        if (openOnly) rows = rows.Where(row => row.ClosedNanoseconds == null);
        if (from is { } begin) rows = rows.Where(row => row.OpenedNanoseconds >= Nanoseconds(begin));
        if (to is { } end) rows = rows.Where(row => row.OpenedNanoseconds < Nanoseconds(end));
        if (filter.Cameras is { } cameras)
        {
            // SQLite's LIKE does not care for case, PostgreSQL's does.
            string glob = cameras.Translate("*", "?", letter => letter is "*" or "?" or "[" ? $"[{letter}]" : letter);
            string like = cameras.Translate("%", "_", letter => letter is "%" or "_" or "\\" ? $"\\{letter}" : letter);
            rows = database.Database.IsSqlite() ? rows.Where(row => EF.Functions.Glob(row.Camera, glob))
                : rows.Where(row => EF.Functions.Like(row.Camera, like, "\\"));
        }
        if (!string.IsNullOrEmpty(cursor))
        {
            string[] parts = cursor.Split('-', 2);
            if (parts.Length != 2 || !long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out long before))
                throw new FormatException("cursor is none that a page ended with");
            string id = parts[1];
            rows = rows.Where(row => row.OpenedNanoseconds < before || row.OpenedNanoseconds == before && row.Id.CompareTo(id) < 0);
        }
        var page = await rows.OrderByDescending(row => row.OpenedNanoseconds).ThenByDescending(row =>
            row.Id).Take(limit + 1).ToListAsync(cancellation);
        string? next = page.Count > limit
            ? string.Create(CultureInfo.InvariantCulture, $"{page[limit - 1].OpenedNanoseconds}-{page[limit - 1].Id}") : null;
        return new IncidentPage([.. page.Take(limit).Select(row => Incident.Of(row, options))], next);
    }

    /// <summary>An incident's whole life, or null if there is no such.</summary>
    public async Task<IncidentLife?> FindAsync(string id, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.Incidents.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { } incident)
            return null;
        var events = await database.Alerts.AsNoTracking().Where(row => row.Incident == id).OrderBy(row =>
            row.RecordedMilliseconds).ThenBy(row => row.Offset).Select(row => row.Json).ToListAsync(cancellation);
        var actions = await database.Actions.AsNoTracking().Where(row => row.Incident == id).OrderBy(row =>
            row.Milliseconds).ToListAsync(cancellation);
        return new IncidentLife(
            Incident.Of(incident, options),
            [.. events.Select(json => JsonNode.Parse(json)!)],
            [.. actions.Select(action =>
                new IncidentAction(DateTimeOffset.FromUnixTimeMilliseconds(action.Milliseconds), action.Who, action.Action, action.Text))]);
    }

    /// <summary>The JPEG of frame and heat map; null where there is none, it has been kept long enough, or it is not shown any
    /// more.</summary>
    public async Task<byte[]?> PictureAsync(string id, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        string? camera = await database.Incidents.AsNoTracking().Where(row => row.Id == id).Select(row => row.Camera)
            .SingleOrDefaultAsync(cancellation);
        if (camera is null || options.Pictures.For(camera) is var rule && rule == PictureRule.None) return null;
        byte[]? jpeg = await database.Pictures.AsNoTracking().Where(row => row.Incident == id).Select(row => row.Jpeg)
            .SingleOrDefaultAsync(cancellation);
        // One that was stored before the rule was there; one that is blurred already stays as it is.
        if (jpeg is not null && rule == PictureRule.Blurred) jpeg = AlertPicture.Blur(jpeg);
        return jpeg is { Length: > 0 } ? jpeg : null;
    }

    /// <summary>Open incidents that somebody is to be told of.</summary>
    public async Task<IReadOnlyList<Incident>> OpenAsync(CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = await database.Incidents.AsNoTracking().Where(row => row.ClosedNanoseconds == null && !row.IsMuted)
            .ToListAsync(cancellation);
        return [.. rows.Select(row => Incident.Of(row, options))];
    }

    /// <summary>Somebody has it in hand. Who was first stays.</summary>
    /// <returns>False if there is no such incident.</returns>
    public Task<bool> AcknowledgeAsync(string id, Actor who, string? text, CancellationToken cancellation) =>
        ActAsync(id, who, "acknowledge", text, (row, now) =>
    {
        row.AcknowledgedBy ??= who.Name;
        row.AcknowledgedMilliseconds ??= now;
    }, cancellation);

    /// <inheritdoc cref="AcknowledgeAsync"/>
    public Task<bool> AnnotateAsync(string id, Actor who, string text, CancellationToken cancellation) =>
        ActAsync(id, who, "note", text, (_, _) => { }, cancellation);

    /// <summary>What it turned out to be: the latest judgement counts.</summary>
    /// <param name="isReal">Whether it was a real outlier; else its frames were normal.</param>
    /// <inheritdoc cref="AcknowledgeAsync"/>
    public Task<bool> JudgeAsync(string id, Actor who, bool isReal, string? text, CancellationToken cancellation) =>
        ActAsync(id, who, isReal ? "real" : "normal", text, (row, now) =>
    {
        row.Judgement = isReal ? "real" : "normal";
        row.JudgedBy = who.Name;
        row.JudgedMilliseconds = now;
    }, cancellation);

    /// <summary>The maintenance windows that are not over.</summary>
    public async Task<IReadOnlyList<Mute>> MutesAsync(CancellationToken cancellation)
    {
        long now = time.GetUtcNow().ToUnixTimeMilliseconds();
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = await database.Mutes.AsNoTracking().Where(row => row.UntilMilliseconds > now).OrderBy(row =>
            row.FromMilliseconds).ToListAsync(cancellation);
        return [.. rows.Select(Of)];
    }

    public async Task<Mute> MuteAsync(CameraPattern cameras, DateTimeOffset from, DateTimeOffset until, Actor who, string? reason,
        CancellationToken cancellation)
    {
        var row = new MuteRow
        {
            Id = Guid.CreateVersion7(),
            Cameras = cameras.Text,
            FromMilliseconds = from.ToUnixTimeMilliseconds(),
            UntilMilliseconds = until.ToUnixTimeMilliseconds(),
            Who = who.Name,
            Reason = reason
        };
        await using var database = await databases.CreateDbContextAsync(cancellation);
        database.Mutes.Add(row);
        await database.SaveChangesAsync(cancellation);
        return Of(row);
    }

    /// <param name="who">Whoever ends it: that somebody may is all that is asked.</param>
    /// <returns>False if there is no such window.</returns>
    public async Task<bool> UnmuteAsync(Guid id, Actor who, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(who);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.Mutes.Where(row => row.Id == id).ExecuteDeleteAsync(cancellation) == 1;
    }

    private async Task<bool> ActAsync(string id, Actor who, string action, string? text, Action<IncidentRow, long> change,
        CancellationToken cancellation)
    {
        // A page's maxlength binds the browser only.
        ArgumentOutOfRangeException.ThrowIfGreaterThan(text?.Length ?? 0, MaxText, nameof(text));
        long now = time.GetUtcNow().ToUnixTimeMilliseconds();
        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.Incidents.SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { } incident) return false;
        change(incident, now);
        database.Actions.Add(new ActionRow
        {
            Id = Guid.CreateVersion7(),
            Incident = id,
            Milliseconds = now,
            Who = who.Name,
            Action = action,
            Text = string.IsNullOrWhiteSpace(text) ? null : text
        });
        await database.SaveChangesAsync(cancellation);
        Changed?.Invoke(id);
        return true;
    }

    private static Mute Of(MuteRow row) =>
        new(row.Id, row.Cameras, DateTimeOffset.FromUnixTimeMilliseconds(row.FromMilliseconds),
        DateTimeOffset.FromUnixTimeMilliseconds(row.UntilMilliseconds), row.Who, row.Reason);

    /// <summary>What lies beyond the range of 64 bits, the years 1678 to 2261, is its end.</summary>
    private static long Nanoseconds(DateTimeOffset at) =>
        UnixNanoseconds.Of(at);
}
