using System.Text.Json;
using Confluent.Kafka;
using Microsoft.EntityFrameworkCore;
using OutlierPipeline.Alerts;
using OutlierPipeline.Models;
using OutlierPipeline.Service.Subscriptions;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Service.Alerts;

/// <summary>
/// Stores what is read from <c>ood.alerts</c>: rows, incidents, deliveries to subscriptions and the position, in one transaction.
/// </summary>
internal sealed partial class AlertStore(IDbContextFactory<AlertDatabase> databases, AlertsOptions options, TimeProvider time,
    ILogger<AlertStore> log)
{
    private volatile bool _isMigrated;

    /// <summary>Creates the tables, or brings those of an older version up to date; once.</summary>
    public async Task MigrateAsync(CancellationToken cancellation)
    {
        if (_isMigrated) return;
        await using var database = await databases.CreateDbContextAsync(cancellation);
        await database.Database.MigrateAsync(cancellation);
        // Readers then do not wait for the writer.
        if (!options.IsPostgreSql) await database.Database.ExecuteSqlRawAsync("PRAGMA journal_mode=WAL", cancellation);
        _isMigrated = true;
    }

    /// <summary>The same at the start, where a database that is merely away is waited for later: frames are scored without it.</summary>
    /// <exception cref="PipelineException">The database cannot be used, and waiting does not help.</exception>
    public async Task PrepareAsync(CancellationToken cancellation)
    {
        try
        {
            await MigrateAsync(cancellation);
        }
        catch (Exception e) when (DatabaseFault.IsOutage(e))
        {
            Log.Away(log, e.GetBaseException().Message);
        }
        catch (Exception e) when (DatabaseFault.Of(e) is not null || e is ArgumentException)
        {
            throw new PipelineException($"Alerts:Database cannot be used: {e.GetBaseException().Message}", e);
        }
    }

    /// <summary>Where the next read of each partition begins; partitions of which nothing was read are missing.</summary>
    public async Task<Dictionary<int, long>> PositionsAsync(string cluster, string topic, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.Positions.Where(row => row.Cluster == cluster && row.Topic == topic).ToDictionaryAsync(row =>
            row.Partition, row => row.NextOffset, cancellation);
    }

    /// <summary>Stores records of one partition, in their order. What the database takes by no means is passed over alone.</summary>
    /// <param name="expected">The position that the partition had, or null if it had none.</param>
    /// <returns>False, and nothing is stored, if the partition is not there any more: another replica has stored some of these.</returns>
    public async Task<bool> TryStoreAsync(string cluster, string topic, int partition, long? expected,
        IReadOnlyList<ConsumeResult<byte[], byte[]>> records, CancellationToken cancellation)
    {
        try
        {
            return await StoreAsync(cluster, topic, partition, expected, records, records, cancellation);
        }
        catch (Exception e) when (DatabaseFault.IsOfTheRecord(e))
        {
            if (records.Count > 1)
            {
                // One of these: they go one by one.
                foreach (var record in records)
                {
                    if (!await TryStoreAsync(cluster, topic, partition, expected, [record], cancellation)) return false;
                    expected = record.Offset.Value + 1;
                }
                return true;
            }
            PassOver(records[0], e.GetBaseException().Message);
            return await StoreAsync(cluster, topic, partition, expected, records, [], cancellation);
        }
    }

    /// <summary>
    /// The rows of a partition from one offset to before another, by whomever they were stored: none for records that repeat earlier
    /// events.
    /// </summary>
    /// <param name="limit">At most so many.</param>
    public async Task<List<AlertRow>> RowsAsync(string cluster, string topic, int partition, long from, long to, int limit,
        CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.Alerts.AsNoTracking()
            .Where(row => row.Cluster == cluster && row.Topic == topic && row.Partition == partition && row.Offset >= from
            && row.Offset < to)
            .OrderBy(row => row.Offset).Take(limit).ToListAsync(cancellation);
    }

    /// <summary>Deletes what has been kept long enough.</summary>
    /// <returns>How many pictures, and how many incidents.</returns>
    public async Task<(int Pictures, int Incidents)> CleanAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        long pictures = (now - options.KeepPictures).ToUnixTimeMilliseconds();
        long history = (now - options.KeepHistory).ToUnixTimeMilliseconds();
        await using var database = await databases.CreateDbContextAsync(cancellation);
        await database.Incidents.Where(row => row.HasPicture && !row.IsPictureExpired && row.RecordedMilliseconds < pictures)
            .ExecuteUpdateAsync(set => set.SetProperty(row => row.IsPictureExpired, true), cancellation);
        int withoutPicture = await database.Pictures.Where(row => row.RecordedMilliseconds < pictures).ExecuteDeleteAsync(cancellation);
        var old = database.Incidents.Where(row => row.RecordedMilliseconds < history && row.ClosedNanoseconds != null)
            .Select(row => row.Id);
        await using var transaction = await database.Database.BeginTransactionAsync(cancellation);
        await database.Actions.Where(row => old.Contains(row.Incident)).ExecuteDeleteAsync(cancellation);
        await database.Pictures.Where(row => old.Contains(row.Incident)).ExecuteDeleteAsync(cancellation);
        await database.Deliveries.Where(row => old.Contains(row.Incident)).ExecuteDeleteAsync(cancellation);
        await database.Alerts.Where(row => old.Contains(row.Incident)).ExecuteDeleteAsync(cancellation);
        int deleted = await database.Incidents.Where(row => row.RecordedMilliseconds < history && row.ClosedNanoseconds != null)
            .ExecuteDeleteAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return (withoutPicture, deleted);
    }

    /// <param name="records">Those that the position passes.</param>
    /// <param name="stored">Those of them that are stored.</param>
    private async Task<bool> StoreAsync(string cluster, string topic, int partition, long? expected,
        IReadOnlyList<ConsumeResult<byte[], byte[]>> records, IReadOnlyList<ConsumeResult<byte[], byte[]>> stored,
        CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        await using var transaction = await database.Database.BeginTransactionAsync(cancellation);
        if (!await AdvanceAsync(database, cluster, topic, partition, expected, records[^1].Offset.Value + 1, cancellation)) return false;
        long now = time.GetUtcNow().ToUnixTimeMilliseconds();
        // Patterns are read once for all records.
        var windows = await database.Mutes.AsNoTracking().ToListAsync(cancellation);
        var live = await database.Subscriptions.AsNoTracking().Where(row => row.DeadReason == null).ToListAsync(cancellation);
        (MuteRow Row, CameraPattern Cameras)[] mutes = [.. windows.Select(row => (row, CameraPattern.Of(row.Cameras)))];
        (SubscriptionRow Row, AlertFilter Filter)[] subscriptions = [.. live.Select(row => (row, AlertFilter.Of(row)))];
        foreach (var record in stored) await AddAsync(database, cluster, record, mutes, subscriptions, now, cancellation);
        await database.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    /// <summary>Moves the position, which locks it; false if another replica has moved it.</summary>
    private static async Task<bool> AdvanceAsync(AlertDatabase database, string cluster, string topic, int partition, long? expected,
        long next, CancellationToken cancellation)
    {
        if (expected is { } from)
        {
            return await database.Positions.Where(row => row.Cluster == cluster && row.Topic == topic && row.Partition == partition
                && row.NextOffset == from)
                .ExecuteUpdateAsync(set => set.SetProperty(row => row.NextOffset, next), cancellation) == 1;
        }
        if (await database.Positions.AnyAsync(row => row.Cluster == cluster && row.Topic == topic
            && row.Partition == partition, cancellation)) return false;
        database.Positions.Add(new PositionRow { Cluster = cluster, Topic = topic, Partition = partition, NextOffset = next });
        try
        {
            await database.SaveChangesAsync(cancellation);
            return true;
        }
        catch (DbUpdateException)
        {
            database.ChangeTracker.Clear();
            return false;
        }
    }

    private async Task AddAsync(AlertDatabase database, string cluster, ConsumeResult<byte[], byte[]> record,
        (MuteRow Row, CameraPattern Cameras)[] mutes, (SubscriptionRow Row, AlertFilter Filter)[] subscriptions, long now,
        CancellationToken cancellation)
    {
        AlertRecord alert;
        try
        {
            alert = AlertRecord.Parse(record.Message.Value ?? []);
            alert = alert.Under(options.Pictures.For(alert.Camera));
        }
        catch (Exception e)
        {
            // Nothing but the record was looked at, so whatever it is, the record is the reason.
            PassOver(record, e.Message);
            return;
        }
        // What was done twice carries the same id.
        if (database.Alerts.Local.Any(row => row.EventId == alert.EventId)
            || await database.Alerts.AnyAsync(row => row.EventId == alert.EventId, cancellation)) return;
        long recorded = record.Message.Timestamp.UnixTimestampMs;
        var incident = await database.Incidents.FindAsync([alert.Incident], cancellation);
        bool isMuted = alert.IsClosed && incident is not null
            ? incident.IsMuted
            : mutes.Any(mute =>
                mute.Row.FromMilliseconds <= recorded && recorded < mute.Row.UntilMilliseconds && mute.Cameras.Fits(alert.Camera));
        if (incident is null)
        {
            incident = new IncidentRow
            {
                Id = alert.Incident,
                Camera = alert.Camera,
                Kind = alert.Kind,
                OpenedNanoseconds = alert.FirstNanoseconds,
                RecordedMilliseconds = recorded,
                IsMuted = true
            };
            database.Incidents.Add(incident);
        }
        Update(incident, alert, isMuted);
        if (alert.Picture is { } jpeg && !incident.HasPicture)
        {
            incident.HasPicture = true;
            database.Pictures.Add(new PictureRow { Incident = incident.Id, RecordedMilliseconds = recorded, Jpeg = jpeg });
        }
        database.Alerts.Add(new AlertRow
        {
            Cluster = cluster,
            Topic = record.Topic,
            Partition = record.Partition.Value,
            Offset = record.Offset.Value,
            EventId = alert.EventId,
            Incident = alert.Incident,
            Type = alert.Type,
            Camera = alert.Camera,
            Kind = alert.Kind,
            Severity = alert.Severity,
            RecordedMilliseconds = recorded,
            IsMuted = isMuted,
            // Whoever gets the event can fetch the picture, as long as it is kept.
            Json = alert.ToJson($"{options.PublicUrl?.ToString().TrimEnd('/')}/api/alerts/{incident.Id}/picture.jpg"),
        });
        if (isMuted) return;
        foreach (var (subscription, filter) in subscriptions)
        {
            if (!filter.Fits(alert.Camera, alert.Severity, alert.Kind)) continue;
            database.Deliveries.Add(new DeliveryRow
            {
                Subscription = subscription.Id,
                EventId = alert.EventId,
                Incident = alert.Incident,
                Offset = record.Offset.Value,
                NextMilliseconds = now
            });
        }
    }

    private static void Update(IncidentRow incident, AlertRecord alert, bool isMuted)
    {
        incident.IsMuted &= isMuted;
        incident.LastNanoseconds = Math.Max(incident.LastNanoseconds, alert.LastNanoseconds);
        incident.Model = alert.Model;
        if (alert.IsClosed)
        {
            incident.ClosedNanoseconds = alert.LastNanoseconds;
            incident.Closed = alert.Closed ?? "calm";
            return;
        }
        incident.Severity = alert.Severity;
        incident.Reason = alert.Reason;
        incident.FiredScore = alert.FiredScore ?? incident.FiredScore;
        incident.Strangeness = alert.Strangeness ?? incident.Strangeness;
        if (alert.Cause is { } cause) (incident.Cause, incident.CauseProbability) = (cause, alert.CauseProbability);
        if (alert.Along.Count > 0) incident.Along = JsonSerializer.Serialize(alert.Along, JsonSerializerOptions.Web);
        incident.IsExtrapolated = alert.IsExtrapolated ?? incident.IsExtrapolated;
        incident.Martingale = Math.Max(incident.Martingale, alert.Martingale ?? 0);
        if (incident.WhereX is null && alert.Where is { } place)
            (incident.WhereX, incident.WhereY, incident.WhereWidth, incident.WhereHeight) = (place.X, place.Y, place.Width, place.Height);
    }

    /// <summary>Another program's record: it stays in the topic, and what follows it must not wait.</summary>
    private void PassOver(ConsumeResult<byte[], byte[]> record, string fault)
    {
        PipelineTelemetry.CountUnreadableAlert();
        Log.Unreadable(log, record.Topic, record.Partition.Value, record.Offset.Value, fault);
    }

    private static partial class Log
    {
        [LoggerMessage(501, LogLevel.Warning,
            "The database of alerts cannot be reached: {Fault}. Frames are scored; alerts are stored and sent when it is there.")]
        public static partial void Away(ILogger log, string fault);

        [LoggerMessage(500, LogLevel.Warning, "{Topic} [{Partition}] @{Offset} is not an alert and is skipped: {Fault}.")]
        public static partial void Unreadable(ILogger log, string topic, int partition, long offset, string fault);
    }
}
