using Confluent.Kafka;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Service.Streams;

namespace OutlierPipeline.Service.Alerts;

/// <summary>
/// Reads <c>ood.alerts</c> from where the database stands, stores it, and tells the streams. Every replica reads all of it: whoever is
/// first stores, and all tell their own listeners.
/// </summary>
internal sealed partial class AlertReader(PipelineOptions pipeline, AlertsOptions options, AlertStore store, AlertBroadcast broadcast,
    PipelineService frames, TimeProvider time, ILogger<AlertReader> log)
    : Loop("alerts are not being read", time, log)
{
    private const int MaxBatch = 500;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Housekeeping = TimeSpan.FromMinutes(1);
    private readonly Dictionary<int, long> _positions = [];
    private readonly BrokerHealth _health = new(pipeline.Kafka, log, time);
    private IConsumer<byte[], byte[]>? _consumer;
    private string _cluster = "";
    private int _partitions;
    private bool _isAlone = true;

    /// <summary>Whether they have been read, if only for a moment.</summary>
    public bool HasBegun { get; private set; }

    private string Topic => pipeline.Kafka.AlertsTopic;

    public override void Dispose()
    {
        _consumer?.Dispose();
        base.Dispose();
    }

    /// <summary>Reads until something fails. Nothing is lost by that: the position is in the database, and reading begins there
    /// again.</summary>
    protected override async Task RoundAsync(CancellationToken cancellation)
    {
        // A database that was away when the service started.
        await store.MigrateAsync(cancellation);
        _consumer?.Dispose();
        _consumer = KafkaClients.Reader(pipeline.Kafka, _health);
        using var admin = KafkaClients.Admin(pipeline.Kafka, _health);
        _cluster = Cluster();
        _health.NoteAnswer();
        _partitions = 0;
        _positions.Clear();
        foreach (var (partition, offset) in await store.PositionsAsync(_cluster, Topic, cancellation)) _positions[partition] = offset;
        var told = broadcast.Begin(_cluster, Topic, _positions);
        foreach (var (partition, next) in _positions.Where(pair => told.Next(pair.Key) < pair.Value))
            broadcast.Publish(partition, next, await store.RowsAsync(_cluster, Topic, partition, told.Next(partition), next, int.MaxValue,
                cancellation));
        Assign(admin);
        var read = new HashSet<int>();
        long kept = Time.GetTimestamp();
        var batch = new List<ConsumeResult<byte[], byte[]>>();
        while (!cancellation.IsCancellationRequested)
        {
            batch.Clear();
            for (var record = Next(TimeSpan.FromMilliseconds(250)); record is not null; record = Next(TimeSpan.Zero))
            {
                if (record.IsPartitionEOF) read.Add(record.Partition.Value);
                else batch.Add(record);
                if (batch.Count == MaxBatch) break;
            }
            foreach (var partition in batch.GroupBy(record => record.Partition.Value))
            {
                await StoreAsync(partition.Key, [.. partition], cancellation);
                read.Add(partition.Key);
            }
            if (read.Count >= _partitions)
            {
                // Not before each partition has been read from: what makes one fail again and again is told all the while.
                HasBegun = true;
                Succeed();
            }
            if (Time.GetElapsedTime(kept) < Housekeeping) continue;
            kept = Time.GetTimestamp();
            Assign(admin);
            await KeepHouseAsync(cancellation);
        }
    }

    private ConsumeResult<byte[], byte[]>? Next(TimeSpan timeout)
    {
        try
        {
            return _consumer!.Consume(timeout);
        }
        catch (ConsumeException e)
        {
            throw new InvalidOperationException($"{Topic}: {e.Error.Reason}");
        }
    }

    private async Task StoreAsync(int partition, IReadOnlyList<ConsumeResult<byte[], byte[]>> records, CancellationToken cancellation)
    {
        long? expected = _positions.TryGetValue(partition, out long known) ? known : null;
        long first = records[0].Offset.Value;
        long next = records[^1].Offset.Value + 1;
        if (first > expected && Expired(partition, expected.Value, first) is { } to) Log.Hole(log, Topic, partition, expected.Value, to);
        if (first < expected) throw new InvalidOperationException($"{Topic} [{partition}] begins again at {first}, before {expected}, up " +
            $"to where it was read: its leader lags behind, which passes, or it was recreated. If this stays, use another " +
            $"Alerts:Database, or another topic");
        var pending = records;
        while (pending.Count > 0 && !await store.TryStoreAsync(_cluster, Topic, partition, expected, pending, cancellation))
        {
            var stored = await store.PositionsAsync(_cluster, Topic, cancellation);
            expected = stored.TryGetValue(partition, out long position) ? position : null;
            pending = [.. pending.Where(record => expected is null || record.Offset.Value >= expected)];
        }
        var rows = await store.RowsAsync(_cluster, Topic, partition, first, next, int.MaxValue, cancellation);
        _positions[partition] = next;
        broadcast.Publish(partition, next, rows);
    }

    /// <summary>Up to where the records of a hole expired; null if it holds nothing but the marks of transactions.</summary>
    private long? Expired(int partition, long from, long to)
    {
        long low = _consumer!.QueryWatermarkOffsets(new TopicPartition(Topic, partition), Patience).Low.Value;
        return low > from ? Math.Min(low, to) : null;
    }

    /// <summary>Takes partitions that are new.</summary>
    private void Assign(IAdminClient admin)
    {
        int count = admin.GetMetadata(Topic, Patience).Topics.Single().Partitions.Count;
        if (count <= _partitions) return;
        _consumer!.IncrementalAssign(Enumerable.Range(_partitions, count - _partitions)
            .Select(partition =>
            new TopicPartitionOffset(Topic, partition, _positions.TryGetValue(partition, out long next)
            ? new Offset(next)
            : Offset.Beginning)));
        _partitions = count;
    }

    private async Task KeepHouseAsync(CancellationToken cancellation)
    {
        var (pictures, incidents) = await store.CleanAsync(cancellation);
        if (pictures + incidents > 0) Log.Cleaned(log, pictures, incidents);
        bool isAlone = frames.AssignedPartitions == 0 || frames.AssignedPartitions >= _partitions;
        if (_isAlone && !isAlone && !options.IsPostgreSql) Log.NotAlone(log, frames.AssignedPartitions, _partitions);
        _isAlone = isAlone;
    }

    /// <summary>Never a guess: under another name everything would be read and told again.</summary>
    private string Cluster() =>
        options.Cluster
        ?? KafkaClients.ClusterId(pipeline.Kafka, Patience)
        ?? throw new InvalidOperationException(
            $"Kafka at {pipeline.Kafka.BootstrapServers} does not tell its cluster's id; if it never does, give it a name in " +
            $"Alerts:Cluster");

    private static partial class Log
    {
        [LoggerMessage(511, LogLevel.Warning, "{Topic} [{Partition}]: the records {From} to before {To} expired before they were read.")]
        public static partial void Hole(ILogger log, string topic, int partition, long from, long to);

        [LoggerMessage(512, LogLevel.Information, "Deleted for their age: {Pictures} pictures, {Incidents} incidents.")]
        public static partial void Cleaned(ILogger log, int pictures, int incidents);

        [LoggerMessage(513, LogLevel.Error, "This replica reads {Assigned} of {Partitions} partitions, so there are others, but " +
            "Alerts:Database is a SQLite file: acknowledgements, mutes and subscriptions made here are not known there. More than one " +
            "replica needs PostgreSQL.")]
        public static partial void NotAlone(ILogger log, int assigned, int partitions);
    }
}
