using System.Globalization;
using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Frames;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Footage;

/// <summary>
/// What a topic received in its last seconds, read once without a group: <c>kafka://host:port/topic?seconds=600</c>. Further parameters are
/// librdkafka
/// properties, such as <c>&amp;security.protocol=SSL</c>.
/// </summary>
internal sealed class TopicTail
{
    public const string Scheme = "kafka://";
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);
    private readonly KafkaOptions _options;
    private readonly BrokerErrors _errors = new();
    private readonly TimeSpan _last = TimeSpan.FromSeconds(600);

    /// <exception cref="FootageException">The address cannot be read.</exception>
    public TopicTail(string address)
    {
        string[] parts = address[Scheme.Length..].Split('?', 2);
        string[] place = parts[0].Split('/', 2);
        if (place.Length < 2 || place[0].Length == 0 || place[1].Length == 0)
            throw new FootageException($"{address}: expected kafka://host:port/topic?seconds=600");
        var client = new Dictionary<string, string>();
        foreach (string parameter in parts.Length < 2 ? [] : parts[1].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] pair = [.. parameter.Split('=', 2).Select(Uri.UnescapeDataString)];
            if (pair.Length < 2) throw new FootageException($"{address}: the parameter {parameter} has no value");
            if (pair[0] != "seconds") client[pair[0]] = pair[1];
            else if (double.TryParse(pair[1], CultureInfo.InvariantCulture, out double seconds) && seconds is > 0 and < 1e8)
                _last = TimeSpan.FromSeconds(seconds);
            else throw new FootageException($"{address}: seconds is {pair[1]}; expected a positive number");
        }
        _options = new KafkaOptions { BootstrapServers = place[0], FramesTopic = place[1], GroupId = "outlier-footage", Client = client };
    }

    public string Topic => _options.FramesTopic;

    /// <summary>The records, partition by partition mixed as they come; a record's value is valid until the next.</summary>
    /// <exception cref="FootageException">The topic cannot be read, or no record of it is of its last seconds.</exception>
    public IEnumerable<ConsumeResult<CameraKey, RentedPayload>> Read(CancellationToken cancellation)
    {
        var budget = new PayloadBudget(64 * 1024 * 1024);
        using var consumer = Connect(budget, out var ends);
        long from = DateTimeOffset.UtcNow.Subtract(_last).ToUnixTimeMilliseconds();
        int left = ends.Count;
        int found = 0;
        int old = 0;
        var latest = DateTime.MinValue;
        while (left > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            var record = Consume(consumer)
                ?? throw new FootageException($"{Topic} at {_options.BootstrapServers}: no record came for {Timeout.TotalSeconds:0} s");
            if (record.IsPartitionEOF)
            {
                left--;
                continue;
            }
            try
            {
                // What comes in while we read is not waited for, or the end would never come.
                if (record.Offset.Value >= ends[record.TopicPartition])
                {
                    consumer.Pause([record.TopicPartition]);
                    left--;
                    continue;
                }
                if (record.Message.Timestamp.UnixTimestampMs >= from)
                {
                    found++;
                    yield return record;
                }
                else
                {
                    old++;
                    latest = new[] { latest, record.Message.Timestamp.UtcDateTime }.Max();
                }
            }
            finally
            {
                budget.Return(record.Message.Value);
            }
        }
        if (found > 0) yield break;
        string place = $"{Topic} at {_options.BootstrapServers}";
        throw new FootageException(old == 0 ? $"{place} holds no record" : string.Create(CultureInfo.InvariantCulture,
            $"{place}: nothing of its last {_last.TotalSeconds:0.###} seconds; the latest of the {old} older records there is stamped " +
            $"{latest:u}: ask for more with ?seconds="));
    }

    private IConsumer<CameraKey, RentedPayload> Connect(PayloadBudget budget, out Dictionary<TopicPartition, long> ends)
    {
        var config = new ConsumerConfig(new Dictionary<string, string>(_options.Client))
        {
            BootstrapServers = _options.BootstrapServers,
            GroupId = _options.GroupId,
            EnableAutoCommit = false,
            EnablePartitionEof = true,
            AutoOffsetReset = AutoOffsetReset.Earliest
        };
        var consumer = new ConsumerBuilder<CameraKey, RentedPayload>(config).SetKeyDeserializer(new CameraKeys())
            .SetValueDeserializer(budget).SetLogHandler((_, _) => { }).SetErrorHandler((_, error) => _errors.Add(error)).Build();
        try
        {
            ends = [];
            var starts = new List<TopicPartitionOffset>();
            using var admin = KafkaClients.Admin(_options, new BrokerHealth(_options, NullLogger.Instance), _errors.Add);
            var topic = admin.GetMetadata(_options.FramesTopic, Timeout).Topics.Single();
            if (topic.Error.IsError)
                throw new FootageException($"{_options.FramesTopic} at {_options.BootstrapServers}: {topic.Error.Reason}");
            var begin = new Timestamp(DateTimeOffset.UtcNow.Subtract(_last));
            foreach (var partition in topic.Partitions)
            {
                var at = new TopicPartition(_options.FramesTopic, partition.PartitionId);
                var marks = consumer.QueryWatermarkOffsets(at, Timeout);
                if (marks.High <= marks.Low) continue;
                var first = consumer.OffsetsForTimes([new TopicPartitionTimestamp(at, begin)], Timeout).Single().Offset;
                // Only the first record at that time or later is wanted; a broker that does not say makes us look at all of them.
                starts.Add(new TopicPartitionOffset(at, first.Value >= marks.Low ? first : marks.Low));
                ends[at] = marks.High.Value;
            }
            consumer.Assign(starts);
            return consumer;
        }
        catch (KafkaException e)
        {
            consumer.Dispose();
            throw new FootageException($"{_options.FramesTopic} at {_options.BootstrapServers} cannot be read: {_errors.Explain(e.Error)}",
                e);
        }
        catch
        {
            consumer.Dispose();
            throw;
        }
    }

    private ConsumeResult<CameraKey, RentedPayload>? Consume(IConsumer<CameraKey, RentedPayload> consumer)
    {
        try
        {
            return consumer.Consume(Timeout);
        }
        catch (ConsumeException e)
        {
            throw new FootageException($"{_options.FramesTopic} at {_options.BootstrapServers} cannot be read: {_errors.Explain(e.Error)}",
                e);
        }
    }
}
