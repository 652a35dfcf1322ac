using System.Globalization;
using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary>Which dead letters are meant; null is all.</summary>
internal sealed record DeadLetterFilter(string? Reason, CameraPattern? Camera, DateTimeOffset? From, DateTimeOffset? To)
{
    public bool Fits(DeadLetterRecord letter) =>
        (Reason is null || string.Equals(Reason, letter.Reason, StringComparison.OrdinalIgnoreCase))
        && (Camera is null || letter.Camera is { } camera && Camera.Fits(camera))
        && (From is null || letter.Time >= From) && (To is null || letter.Time <= To);
}

/// <summary>A record of the dead-letter topic.</summary>
internal sealed class DeadLetterRecord(ConsumeResult<byte[], byte[]> record)
{
    /// <summary>Headers that the service has added; they do not go back.</summary>
    private static readonly string[] Added = ["error.", "source."];

    public byte[]? Key => record.Message.Key;

    public byte[]? Value => record.Message.Value;

    public string Reason => Header("error.reason") ?? "(none)";

    public string Text => Header("error.message") ?? "";

    /// <summary>The key as text; null where it is none.</summary>
    public string? Camera => record.Message.Key is { Length: > 0 and <= 128 } key && System.Text.Unicode.Utf8.IsValid(key)
        ? Encoding.UTF8.GetString(key) : null;

    /// <summary>When the frame was produced; of letters of older versions, when it was put aside.</summary>
    public DateTimeOffset Time => DateTimeOffset.FromUnixTimeMilliseconds(
        long.TryParse(Header("source.timestamp"), NumberStyles.None, CultureInfo.InvariantCulture, out long source) && source > 0
        ? source
        : Math.Max(0, record.Message.Timestamp.UnixTimestampMs));

    /// <summary>Where it came from, for people.</summary>
    public string Source => $"{Header("source.topic")}[{Header("source.partition")}]@{Header("source.offset")}";

    public int? SourcePartition =>
        int.TryParse(Header("source.partition"), NumberStyles.None, CultureInfo.InvariantCulture, out int partition) ? partition : null;

    /// <summary>Whether something was left out that a frame needs.</summary>
    public bool IsIncomplete => Header("error.payload") is not null || Header("error.key") is not null
        || Header("error.headers") is not null;

    /// <summary>The headers as they were received.</summary>
    public Headers Received()
    {
        var headers = new Headers();
        foreach (var header in record.Message.Headers ?? [])
        {
            if (!Added.Any(prefix => header.Key.StartsWith(prefix, StringComparison.Ordinal)))
                headers.Add(header.Key, header.GetValueBytes());
        }
        return headers;
    }

    private string? Header(string name) => record.Message.Headers is { } headers && headers.TryGetLastBytes(name, out byte[] value)
        ? Encoding.UTF8.GetString(value) : null;
}

/// <summary>Reads a dead-letter topic from its start to where it ends now.</summary>
internal static class DeadLetters
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <exception cref="CommandException">The topic is not there, or the broker does not answer.</exception>
    public static IEnumerable<DeadLetterRecord> Read(Dictionary<string, string> client, string topic, DeadLetterFilter filter,
        CancellationToken cancellation)
    {
        var config = new ConsumerConfig(client)
        {
            GroupId = "outlier-deadletters",
            EnableAutoCommit = false,
            EnablePartitionEof = true,
            AutoOffsetReset = AutoOffsetReset.Earliest,
            IsolationLevel = IsolationLevel.ReadCommitted,
        };
        using var consumer = new ConsumerBuilder<byte[], byte[]>(config).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) =>
            { }).Build();
        int open = Partitions(client, topic);
        consumer.Assign(Enumerable.Range(0, open).Select(partition => new TopicPartitionOffset(topic, partition, Offset.Beginning)));
        var heard = System.Diagnostics.Stopwatch.StartNew();
        while (open > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            if (consumer.Consume(TimeSpan.FromMilliseconds(200)) is not { } record)
            {
                if (heard.Elapsed > Timeout)
                    throw new CommandException(
                        $"{topic} at {client["bootstrap.servers"]} cannot be read: nothing came for {Timeout.TotalSeconds:0} s");
                continue;
            }
            heard.Restart();
            if (record.IsPartitionEOF)
            {
                open--;
                consumer.IncrementalUnassign([record.TopicPartition]);
                continue;
            }
            var letter = new DeadLetterRecord(record);
            if (filter.Fits(letter)) yield return letter;
        }
    }

    private static int Partitions(Dictionary<string, string> client, string topic)
    {
        using var admin = new AdminClientBuilder(new AdminClientConfig(client)).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) =>
            { }).Build();
        var found = admin.GetMetadata(topic, Timeout).Topics.Single();
        return found.Partitions.Count > 0
            ? found.Partitions.Count
            : throw new CommandException($"{topic} is not at {client["bootstrap.servers"]}: {found.Error.Reason}; --topic names another");
    }
}
