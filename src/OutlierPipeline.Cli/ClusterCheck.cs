using Confluent.Kafka;
using Confluent.Kafka.Admin;
using OutlierPipeline.Streaming;

namespace OutlierPipeline.Cli;

/// <summary>The broker's side: reachable, topics, permissions.</summary>
internal sealed class ClusterCheck : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DescribeTimeout = TimeSpan.FromSeconds(2);
    private readonly KafkaOptions _kafka;
    private readonly CheckReport _report;
    private readonly IAdminClient _admin;
    private readonly string[] _topics;

    public ClusterCheck(KafkaOptions kafka, CheckReport report)
    {
        _kafka = kafka;
        _report = report;
        _topics = [kafka.FramesTopic, kafka.ScoresTopic, kafka.AlertsTopic, kafka.StateTopic, kafka.DeadLetterTopic];
        var config = new AdminClientConfig(new Dictionary<string, string>(kafka.Client)) { BootstrapServers = kafka.BootstrapServers };
        _admin = new AdminClientBuilder(config).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
    }

    public bool Connect()
    {
        try
        {
            var metadata = _admin.GetMetadata(Timeout);
            _report.Good("broker", $"{metadata.Brokers.Count} at {_kafka.BootstrapServers}");
            return true;
        }
        catch (KafkaException e)
        {
            _report.Fault("broker", $"{_kafka.BootstrapServers} does not answer ({e.Error.Reason})", "Is the address right as seen from here, and does the listener ask for TLS or SASL (--client security.protocol=…)?");
            return false;
        }
    }

    /// <summary>Makes what is missing: a topic, or partitions of one that has fewer than the frames' topic.</summary>
    public async Task CreateTopicsAsync(int partitions, short replication)
    {
        int wanted = Partitions(_kafka.FramesTopic) is > 0 and int known ? known : partitions;
        foreach (string topic in _topics)
        {
            int there = Partitions(topic);
            try
            {
                if (there == 0)
                {
                    await _admin.CreateTopicsAsync([new TopicSpecification { Name = topic, NumPartitions = wanted, ReplicationFactor = replication, Configs = Settings(topic) }]);
                    _report.Good(topic, $"made with {wanted} partitions");
                }
                else if (there < wanted && topic != _kafka.DeadLetterTopic)
                {
                    await _admin.CreatePartitionsAsync([new PartitionsSpecification { Topic = topic, IncreaseTo = wanted }]);
                    _report.Good(topic, $"grown from {there} to {wanted} partitions");
                }
            }
            catch (KafkaException e)
            {
                string reason = e is CreateTopicsException { Results: [{ } result, ..] } ? result.Error.Reason : e is CreatePartitionsException { Results: [{ } grown, ..] } ? grown.Error.Reason : e.Error.Reason;
                _report.Fault(topic, $"could not be made ({reason})", "The user needs CREATE on the topic or the cluster.");
            }
        }
        // A broker answers for a topic a moment before every client knows it.
        for (int i = 0; i < 50 && _topics.Any(topic => Partitions(topic) == 0); i++) await Task.Delay(100);
    }

    public async Task CheckTopicsAsync()
    {
        int frames = Partitions(_kafka.FramesTopic);
        foreach (string topic in _topics)
        {
            int there = Partitions(topic);
            bool mustFollow = topic != _kafka.FramesTopic && topic != _kafka.DeadLetterTopic;
            if (there == 0) _report.Fault(topic, "is missing", "Run this again with --create.");
            else if (mustFollow && there < frames) _report.Fault(topic, $"has {there} partitions, {_kafka.FramesTopic} has {frames}", "Results go to the partition number of their frame: run this again with --create.");
            else _report.Good(topic, $"{there} partitions");
        }
        if (Partitions(_kafka.StateTopic) > 0) await CheckCompactionAsync();
    }

    public async Task CheckPermissionsAsync()
    {
        string[] there = [.. _topics.Where(topic => Partitions(topic) > 0)];
        if (there.Length == 0) return;
        try
        {
            var described = await _admin.DescribeTopicsAsync(TopicCollection.OfTopicNames(there), new DescribeTopicsOptions { IncludeAuthorizedOperations = true, RequestTimeout = DescribeTimeout });
            foreach (var topic in described.TopicDescriptions)
            {
                if (topic.AuthorizedOperations is not { Count: > 0 } operations)
                {
                    _report.Unknown($"permissions on {topic.Name}", "the broker does not say (no authorizer, or an old one)");
                    continue;
                }
                AclOperation[] needed = topic.Name == _kafka.FramesTopic ? [AclOperation.Read] : topic.Name == _kafka.StateTopic ? [AclOperation.Read, AclOperation.Write] : [AclOperation.Write];
                string[] missing = [.. needed.Where(operation => !operations.Contains(operation)).Select(operation => operation.ToString().ToUpperInvariant())];
                if (missing.Length > 0) _report.Fault($"permissions on {topic.Name}", $"{string.Join(" and ", missing)} is not allowed", $"kafka-acls --add --operation {string.Join(" --operation ", missing)} --topic {topic.Name} for the service's user.");
                else _report.Good($"permissions on {topic.Name}", string.Join(", ", needed).ToUpperInvariant());
            }
        }
        catch (KafkaException e)
        {
            _report.Unknown("permissions", $"the broker does not say ({e.Error.Reason})");
        }
    }

    public void Dispose() => _admin.Dispose();

    private Dictionary<string, string> Settings(string topic)
    {
        var day = TimeSpan.FromDays(1);
        if (topic == _kafka.StateTopic) return new Dictionary<string, string> { ["cleanup.policy"] = "compact" };
        if (topic == _kafka.FramesTopic) return Retained(day / 24, 4);
        if (topic == _kafka.DeadLetterTopic) return Retained(7 * day, 5);
        return Retained(topic == _kafka.AlertsTopic ? 90 * day : 7 * day, 1);

        static Dictionary<string, string> Retained(TimeSpan time, int mebibytes) => new()
        {
            ["cleanup.policy"] = "delete",
            ["retention.ms"] = ((long)time.TotalMilliseconds).ToString(System.Globalization.CultureInfo.InvariantCulture),
            ["max.message.bytes"] = (mebibytes * 1024 * 1024).ToString(System.Globalization.CultureInfo.InvariantCulture),
        };
    }

    private async Task CheckCompactionAsync()
    {
        try
        {
            var described = await _admin.DescribeConfigsAsync([new ConfigResource { Type = ResourceType.Topic, Name = _kafka.StateTopic }], new DescribeConfigsOptions { RequestTimeout = DescribeTimeout });
            string policy = described[0].Entries["cleanup.policy"].Value;
            if (policy.Contains("compact", StringComparison.Ordinal)) _report.Good($"{_kafka.StateTopic} cleanup.policy", policy);
            else _report.Fault($"{_kafka.StateTopic} cleanup.policy", policy, $"Without compaction a detector's state expires: kafka-configs --alter --add-config cleanup.policy=compact --topic {_kafka.StateTopic}.");
        }
        catch (KafkaException e)
        {
            _report.Unknown($"{_kafka.StateTopic} cleanup.policy", $"the broker does not say ({e.Error.Reason})");
        }
    }

    private int Partitions(string topic)
    {
        var found = _admin.GetMetadata(topic, Timeout).Topics.SingleOrDefault();
        return found is null || found.Error.IsError ? 0 : found.Partitions.Count;
    }
}
