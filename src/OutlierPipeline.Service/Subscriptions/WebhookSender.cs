using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Streams;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>
/// Sends what is pending, on one replica at a time. Everything is in the database, so a restart forgets nothing; each subscription has a
/// task of its own, so a receiver that hangs holds up no other;
/// an incident's events go one after the other.
/// </summary>
internal sealed partial class WebhookSender(IDbContextFactory<AlertDatabase> databases, AlertBroadcast broadcast, WebhookClient client,
    WebhookOptions options, TimeProvider time, ILogger<WebhookSender> log)
    : Loop("webhooks wait", time, log)
{
    private const int Batch = 100;
    private const int MaxSubscriptions = 64;

    /// <summary>So many refusals in a row, and the receiver is left alone for a while.</summary>
    private const int MaxRefused = 5;

    private static readonly TimeSpan FirstDelay = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromHours(1);
    private static readonly TimeSpan KeepDelivered = TimeSpan.FromDays(7);
    private readonly Lease _lease = new("webhooks", databases, time);
    private readonly ConcurrentDictionary<Guid, Task> _working = new();
    private readonly SemaphoreSlim _news = new(0);
    private DateTimeOffset _cleanedAt;

    /// <summary>Starts sending what is due, and returns; false if another replica does.</summary>
    public async Task<bool> StartDueAsync(CancellationToken cancellation)
    {
        if (!await _lease.HoldAsync(cancellation)) return false;
        long now = Time.GetUtcNow().ToUnixTimeMilliseconds();
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var live = database.Subscriptions.Where(row => row.DeadReason == null && row.PausedUntilMilliseconds <= now).Select(row => row.Id);
        var due = await database.Deliveries.Where(row => row.State == DeliveryState.Pending && row.NextMilliseconds <= now
            && live.Contains(row.Subscription)).Select(row => row.Subscription).Distinct().ToListAsync(cancellation);
        foreach (var subscription in due)
        {
            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_working.Count >= MaxSubscriptions || !_working.TryAdd(subscription, done.Task)) continue;
            _ = Task.Run(() => WorkAsync(subscription, done, cancellation), CancellationToken.None);
        }
        if (Time.GetUtcNow() - _cleanedAt > TimeSpan.FromHours(1))
        {
            _cleanedAt = Time.GetUtcNow();
            long before = (_cleanedAt - KeepDelivered).ToUnixTimeMilliseconds();
            // An alert that was stored while its subscription was deleted has left a delivery to nobody.
            await database.Deliveries.Where(row => row.State == DeliveryState.Delivered && row.DoneMilliseconds < before
                || !database.Subscriptions.Any(subscription => subscription.Id == row.Subscription)).ExecuteDeleteAsync(cancellation);
        }
        return true;
    }

    /// <summary>Waits for what was started.</summary>
    public Task WhenIdleAsync() => Task.WhenAll(_working.Values);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        broadcast.Published += Wake;
        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        broadcast.Published -= Wake;
        await WhenIdleAsync().WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // Where it cannot be given back it runs out.
        await _lease.ReleaseAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public override void Dispose()
    {
        base.Dispose();
        _news.Dispose();
        _lease.Dispose();
    }

    protected override async Task RoundAsync(CancellationToken cancellation)
    {
        await StartDueAsync(cancellation);
        Succeed();
        await _news.WaitAsync(TimeSpan.FromSeconds(1), cancellation);
    }

    private void Wake(AlertRow alert)
    {
        if (_news.CurrentCount == 0) _news.Release();
    }

    /// <summary>Sends what one subscription has due, until there is nothing more or its receiver refuses.</summary>
    private async Task WorkAsync(Guid id, TaskCompletionSource done, CancellationToken cancellation)
    {
        try
        {
            while (await SendBatchAsync(id, cancellation))
            {
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The service goes.
        }
        catch (Exception e)
        {
            // Whatever it is, the others go on, and this one is tried again.
            Log.Failed(log, id, e.GetBaseException().Message);
        }
        finally
        {
            _working.TryRemove(id, out _);
            done.SetResult();
        }
    }

    /// <returns>Whether there may be more to send now.</returns>
    private async Task<bool> SendBatchAsync(Guid id, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.Subscriptions.SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { DeadReason: null } subscription)
            return false;
        long now = Time.GetUtcNow().ToUnixTimeMilliseconds();
        var pending = database.Deliveries.Where(row => row.Subscription == id && row.State == DeliveryState.Pending);
        var due = await pending.Where(row =>
            row.NextMilliseconds <= now && !pending.Any(earlier => earlier.Incident == row.Incident && earlier.Offset < row.Offset))
            .OrderBy(row => row.NextMilliseconds).ThenBy(row => row.Offset).Take(Batch).ToListAsync(cancellation);
        int refused = 0;
        foreach (var delivery in due)
        {
            if (!await _lease.HoldAsync(cancellation)) return false;
            string? json = await database.Alerts.Where(row => row.EventId == delivery.EventId).Select(row =>
                row.Json).SingleOrDefaultAsync(cancellation);
            // Without an alert its incident has been kept long enough and is gone. A post that has begun is finished, also when the service
            // goes: what was taken must not be sent again.
            var answer = json is null
                ? new WebhookAnswer(null, null)
                : await client.SendAsync(subscription, delivery.EventId, json, CancellationToken.None);
            Record(subscription, delivery, answer, Time.GetUtcNow().ToUnixTimeMilliseconds());
            refused = answer.IsDelivered ? 0 : refused + 1;
            // Nobody is there, or nothing is taken: the others are not tried one by one.
            bool isPaused = !answer.IsDelivered && (answer.Status is null || refused == MaxRefused);
            if (isPaused) subscription.PausedUntilMilliseconds = delivery.NextMilliseconds;
            await database.SaveChangesAsync(CancellationToken.None);
            if (isPaused || subscription.DeadReason is not null) return false;
        }
        return due.Count > 0;
    }

    private void Record(SubscriptionRow subscription, DeliveryRow delivery, WebhookAnswer answer, long now)
    {
        delivery.Attempts++;
        delivery.LastError = answer.Error;
        if (answer.IsDelivered)
        {
            (delivery.State, delivery.DoneMilliseconds) = (DeliveryState.Delivered, now);
            (subscription.FailingSinceMilliseconds, subscription.LastSuccessMilliseconds, subscription.LastError) = (null, now, null);
            return;
        }
        delivery.NextMilliseconds = now + (long)Delay(delivery.Attempts).TotalMilliseconds;
        subscription.FailingSinceMilliseconds ??= now;
        subscription.LastError = answer.Error;
        if (answer.IsGone) subscription.DeadReason = "the receiver answered 410: it is gone for good";
        else if (now - subscription.FailingSinceMilliseconds > options.GiveUpAfter.TotalMilliseconds)
            subscription.DeadReason = $"every attempt failed for {options.GiveUpAfter}: {answer.Error}";
        if (subscription.DeadReason is { } reason) Log.Dead(log, subscription.Name, subscription.Id, reason);
    }

    /// <summary>Twice as long after each attempt; spread, so that receivers that came back together are not called together.</summary>
    private static TimeSpan Delay(int attempts) =>
        Math.Min(LongestDelay / FirstDelay, Math.Pow(2, Math.Min(attempts - 1, 30))) * FirstDelay
        * (0.8 + 0.4 * Random.Shared.NextDouble());

    private static partial class Log
    {
        [LoggerMessage(520, LogLevel.Warning, "What the subscription {Id} has due waits: {Fault}")]
        public static partial void Failed(ILogger log, Guid id, string fault);

        [LoggerMessage(521, LogLevel.Warning,
            "The subscription {Name} ({Id}) is dead: {Reason}. Nothing more is sent to it until somebody enables it.")]
        public static partial void Dead(ILogger log, string name, Guid id, string reason);
    }
}
