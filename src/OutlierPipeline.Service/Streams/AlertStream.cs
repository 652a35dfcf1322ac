using System.Text;
using Microsoft.AspNetCore.Http.Features;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.Service.Streams;

/// <summary><c>GET /api/alerts/stream</c>: alerts as server-sent events.</summary>
/// <remarks>HTML Standard, section 9.2. An event's id is the position after it.</remarks>
internal static class AlertStream
{
    private const int Page = 500;

    /// <param name="lastEventId">The header <c>Last-Event-ID</c>, or null for what comes from now on.</param>
    /// <returns>Null once the stream has ended, else a problem: nothing was sent then.</returns>
    public static async Task<IResult?> WriteAsync(HttpContext context, AlertBroadcast broadcast, AlertStore store, AlertFilter filter,
        string? lastEventId, CancellationToken stopping)
    {
        using var listener = broadcast.Listen(filter);
        if (listener is null) return Results.Problem("alerts are not being read yet; see /healthz/ready", statusCode: 503);
        var from = listener.Position;
        if (!string.IsNullOrEmpty(lastEventId))
        {
            try
            {
                from = StreamPosition.Parse(lastEventId);
            }
            catch (FormatException e)
            {
                return Results.Problem(e.Message, statusCode: 400);
            }
            if (from.Cluster != listener.Position.Cluster)
                return Results.Problem(
                    "Last-Event-ID is of another cluster or topic; connect without one, and read what you missed from /api/alerts",
                    statusCode: 400);
        }
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
        try
        {
            await SendAsync(context, Encoding.UTF8.GetBytes($"retry: 2000\nid: {from}\n\n"), ending.Token);
            from = await CatchUpAsync(context, broadcast, store, filter, from, listener.Position, ending.Token);
            await FollowAsync(context, listener, from, ending.Token);
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The listener has gone, or the service goes.
        }
        catch (Exception e) when (DatabaseFault.Of(e) is not null && context.Response.HasStarted)
        {
            // What it missed cannot be read now: it connects again where it was.
        }
        return null;
    }

    /// <summary>What was stored between where the listener was and where it begins to listen.</summary>
    /// <returns>Where the listener is then: beyond where it begins to listen, in partitions of which another replica had read
    /// more.</returns>
    private static async Task<StreamPosition> CatchUpAsync(HttpContext context, AlertBroadcast broadcast, AlertStore store,
        AlertFilter filter, StreamPosition from, StreamPosition to, CancellationToken cancellation)
    {
        foreach (int partition in to.Partitions)
        {
            long next = from.Next(partition);
            while (next < to.Next(partition))
            {
                var rows = await store.RowsAsync(broadcast.Cluster, broadcast.Topic, partition, next, to.Next(partition), Page,
                    cancellation);
                foreach (var row in rows)
                {
                    from = from.With(partition, row.Offset + 1);
                    if (!row.IsMuted && filter.Fits(row.Camera, row.Severity, row.Kind))
                        await SendAsync(context, StreamEvent.Of(row, from).Bytes, cancellation);
                }
                next = rows.Count < Page ? to.Next(partition) : rows[^1].Offset + 1;
                from = from.With(partition, next);
            }
        }
        return from;
    }

    private static async Task FollowAsync(HttpContext context, AlertBroadcast.Listener listener, StreamPosition position,
        CancellationToken cancellation)
    {
        bool isAhead = position.IsAheadOf(listener.Position);
        await foreach (var alert in listener.Events.ReadAllAsync(cancellation))
        {
            var bytes = alert.Bytes;
            if (isAhead && alert.Row is { } row)
            {
                // The listener comes from a replica that had read more: what it has heard is passed over, and its position is its own until
                // this replica has read as much.
                if (row.Offset < position.Next(row.Partition)) continue;
                position = position.With(row.Partition, row.Offset + 1);
                isAhead = position.IsAheadOf(alert.After);
                if (isAhead) bytes = StreamEvent.Of(row, position).Bytes;
            }
            await SendAsync(context, bytes, cancellation);
        }
        if (!listener.IsDropped) return;
        await SendAsync(context, Encoding.UTF8.GetBytes($"event: dropped\ndata: {{\"reason\":\"more than {AlertBroadcast.Capacity} " +
            $"events waited for this reader; connect again with Last-Event-ID\"}}\n\n"), cancellation);
    }

    /// <summary>Writes and flushes at once.</summary>
    private static async Task SendAsync(HttpContext context, ReadOnlyMemory<byte> bytes, CancellationToken cancellation) =>
        await context.Response.BodyWriter.WriteAsync(bytes, cancellation);
}
