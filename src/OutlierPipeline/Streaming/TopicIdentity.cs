using System.Text;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace OutlierPipeline.Streaming;

/// <summary>
/// The id that brokers give a topic when it is created: another one under the same name is another topic. It is kept in <c>ood.state</c> beside the cameras' state, under a key that no
/// camera has.
/// </summary>
internal static class TopicIdentity
{
    /// <summary>Its control character keeps it apart from cameras' ids.</summary>
    public const string Key = "\0topic";

    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(5);

    /// <summary>The topic's id; null where the brokers tell none, or not now.</summary>
    public static string? Of(IAdminClient admin, string topic)
    {
        try
        {
            var found = admin.DescribeTopicsAsync(TopicCollection.OfTopicNames([topic]), new DescribeTopicsOptions { RequestTimeout = BrokerTimeout }).GetAwaiter().GetResult();
            var id = found.TopicDescriptions.Single().TopicId;
            return id.MostSignificantBits == 0 && id.LeastSignificantBits == 0 ? null : id.ToString();
        }
        catch (KafkaException)
        {
            return null;
        }
    }

    public static byte[] Write(string id) => Encoding.UTF8.GetBytes($$"""{"schema":1,"topicId":"{{id}}"}""");

    /// <summary>The id in a record; null if it cannot be read.</summary>
    public static string? Read(ReadOnlySpan<byte> record)
    {
        try
        {
            var reader = new System.Text.Json.Utf8JsonReader(record);
            return System.Text.Json.JsonDocument.ParseValue(ref reader).RootElement.TryGetProperty("topicId", out var id) ? id.GetString() : null;
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }
}
