using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace OutlierPipeline.Pipeline;

/// <summary>Which topics the brokers let this user write.</summary>
internal static class TopicRights
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    /// <summary>Those of some topics that this user may not write; none where the brokers do not say.</summary>
    public static HashSet<string> Refusing(KafkaOptions options, BrokerHealth health, IReadOnlyList<string> topics,
        CancellationToken cancellation)
    {
        List<TopicDescription> found;
        try
        {
            found = AskAsync(options, health, topics).WaitAsync(cancellation).GetAwaiter().GetResult();
        }
        catch (DescribeTopicsException e)
        {
            found = e.Results.TopicDescriptions;
        }
        catch (KafkaException)
        {
            // Whoever asked does so again.
            return [];
        }
        return [.. found.Where(topic => topic.Error.Code == ErrorCode.TopicAuthorizationFailed
            || !topic.Error.IsError && topic.AuthorizedOperations?.Contains(AclOperation.Write) == false).Select(topic => topic.Name)];
    }

    /// <remarks>Whoever waits may cease to: the client does not go before it is answered.</remarks>
    private static async Task<List<TopicDescription>> AskAsync(KafkaOptions options, BrokerHealth health, IReadOnlyList<string> topics)
    {
        using var admin = KafkaClients.Admin(options, health);
        return (await admin.DescribeTopicsAsync(TopicCollection.OfTopicNames(topics), new DescribeTopicsOptions
        {
            IncludeAuthorizedOperations = true,
            RequestTimeout = Timeout
        })).TopicDescriptions;
    }
}
