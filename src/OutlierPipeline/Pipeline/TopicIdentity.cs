using System.Text;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// The id that brokers give a topic when it is created: another one under the same name is another topic. It is kept in <c>ood.state</c>
/// beside the cameras' state, under a key that no camera has.
/// </summary>
/// <param name="ask">Asks the brokers, within a time: null if they tell none.</param>
internal sealed class TopicIdentity(Func<TimeSpan, Task<string?>> ask)
{
    /// <summary>Its control character keeps it apart from cameras' ids.</summary>
    public const string Key = "\0topic";

    /// <summary>A start waits for no longer: the broker of the demo and of tests has no controller, and tells no ids.</summary>
    private static readonly TimeSpan FirstTimeout = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private Task<bool> _asking = Task.FromResult(false);
    private Task<bool>? _next;
    private volatile string? _id;

    public TopicIdentity(KafkaOptions options, BrokerHealth health)
        : this(timeout => AskBrokersAsync(options, health, timeout))
    {
    }

    /// <summary>The frames' topic's id as it was told last; null where the brokers tell none, or have not told it yet.</summary>
    public string? Id => _id;

    /// <summary>Asks for the first time.</summary>
    public void Begin() => _asking = Task.Run(() => AskAsync(FirstTimeout));

    /// <summary>
    /// The id at this moment, for a partition that was just assigned: what was told before the assignment may be of the topic before.
    /// Null where the brokers tell none, or not now.
    /// </summary>
    /// <param name="insists">Asks again though they told none: they may have been away.</param>
    public async Task<string?> AskNowAsync(bool insists, CancellationToken cancellation)
    {
        if (Id is null) await _asking.WaitAsync(cancellation);
        if (Id is not null || insists) await NextAsync().WaitAsync(cancellation);
        return Id;
    }

    /// <summary>
    /// Whether the frames' topic is the one that a partition was read as; null where the brokers do not say now, which says nothing of the
    /// topic. Where they tell no ids at all, a log that ends before what was read is taken for another topic's.
    /// </summary>
    /// <param name="known">The id that the partition was read as; null if it was not known.</param>
    public async Task<bool?> IsAsync(string? known, CancellationToken cancellation)
    {
        if (!await NextAsync().WaitAsync(cancellation)) return null;
        return Id is { } id && id == known;
    }

    /// <summary>
    /// A question that begins after this call and after the one that is open, so that no late answer takes the place of a newer one; the
    /// same for all who ask until it begins.
    /// </summary>
    /// <returns>Whether it was answered.</returns>
    private Task<bool> NextAsync()
    {
        lock (_gate) return _next ??= AfterAsync(_asking);

        async Task<bool> AfterAsync(Task before)
        {
            await Task.Yield();
            await Task.WhenAny(before);
            lock (_gate) (_asking, _next) = (_next!, null);
            return await AskAsync(Timeout);
        }
    }

    /// <summary>Asks again, unless the last question is still open.</summary>
    public void AskAgain()
    {
        if (_asking.IsCompleted) _ = NextAsync();
    }

    private async Task<bool> AskAsync(TimeSpan timeout)
    {
        try
        {
            if (await ask(timeout) is { } id) _id = id;
            return true;
        }
        catch (KafkaException)
        {
            // Not now: whoever needs it asks again.
            return false;
        }
    }

    private static async Task<string?> AskBrokersAsync(KafkaOptions options, BrokerHealth health, TimeSpan timeout)
    {
        using var admin = KafkaClients.Admin(options, health);
        var found = await admin.DescribeTopicsAsync(TopicCollection.OfTopicNames([options.FramesTopic]),
            new DescribeTopicsOptions { RequestTimeout = timeout });
        var id = found.TopicDescriptions.Single().TopicId;
        return id.MostSignificantBits != 0 || id.LeastSignificantBits != 0 ? id.ToString() : null;
    }

    public static byte[] Write(string id) => Encoding.UTF8.GetBytes($$"""{"schema":1,"topicId":"{{id}}"}""");

    /// <summary>The id in a record; null if it cannot be read.</summary>
    public static string? Read(ReadOnlySpan<byte> record)
    {
        try
        {
            var reader = new System.Text.Json.Utf8JsonReader(record);
            using var json = System.Text.Json.JsonDocument.ParseValue(ref reader);
            return json.RootElement.ValueKind == System.Text.Json.JsonValueKind.Object
                && json.RootElement.TryGetProperty("topicId", out var id) && id.ValueKind == System.Text.Json.JsonValueKind.String
                ? id.GetString()
                : null;
        }
        // Half a character (a lone surrogate) is an InvalidOperationException.
        catch (Exception e) when (e is System.Text.Json.JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
