using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Before the first frame is read: the broker answers, the topics are there, and the result topics have the frames' partitions.
/// </summary>
internal static partial class TopicCheck
{
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Waits for the broker for as long as it takes, saying so.</summary>
    /// <exception cref="PipelineException">A topic is missing or has too few partitions.</exception>
    public static async Task RunAsync(KafkaOptions options, BrokerHealth health, TimeProvider time, ILogger log,
        CancellationToken cancellation)
    {
        using var admin = KafkaClients.Admin(options, health);
        while (true)
        {
            try
            {
                var partitions = await Task.Run(() => CountPartitions(options, admin), cancellation);
                health.NoteAnswer();
                health.Waiting = null;
                Check(options, partitions);
                return;
            }
            catch (KafkaException e) when (!e.Error.IsFatal)
            {
                health.Waiting = e.Error.Reason;
                // Of a refusal it says no more than that no answer came, and the refusal is told already.
                if (health.Refusal is null && health.IsNews("waiting" + e.Error.Reason))
                    Log.Waiting(log, options.BootstrapServers, e.Error.Reason);
                await Task.Delay(TimeSpan.FromSeconds(1), time, cancellation);
            }
        }
    }

    private static Dictionary<string, int> CountPartitions(KafkaOptions options, IAdminClient admin)
    {
        var counts = new Dictionary<string, int>();
        foreach (string topic in options.Topics)
        {
            var metadata = admin.GetMetadata(topic, BrokerTimeout).Topics.Single();
            if (metadata.Error.Code is ErrorCode.UnknownTopicOrPart or ErrorCode.Local_UnknownTopic) counts[topic] = 0;
            else if (metadata.Error.IsError) throw new KafkaException(new Error(metadata.Error.Code, $"{topic}: {metadata.Error.Reason}"));
            else counts[topic] = metadata.Partitions.Count;
        }
        return counts;
    }

    private static void Check(KafkaOptions options, Dictionary<string, int> partitions)
    {
        string remedy = $"'outlier check --bootstrap {options.BootstrapServers} --create' makes what is missing";
        string[] missing = [.. partitions.Where(topic => topic.Value == 0).Select(topic => topic.Key)];
        if (missing.Length > 0)
            throw new PipelineException($"topics are missing at {options.BootstrapServers}: {string.Join(", ", missing)}; {remedy}");
        int frames = partitions[options.FramesTopic];
        foreach (string topic in new[] { options.ScoresTopic, options.AlertsTopic, options.StateTopic })
        {
            if (partitions[topic] < frames) throw new PipelineException($"{topic} has {partitions[topic]} partitions and " +
                $"{options.FramesTopic} has {frames}: results go to the partition number of their frame; {remedy}");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(250, LogLevel.Warning, "Waiting for Kafka at {Servers}: {Reason}.")]
        public static partial void Waiting(ILogger log, string servers, string reason);
    }
}
