using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Cli;

/// <summary>The broker's side: reachable, topics, permissions.</summary>
internal sealed class ClusterCheck : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DescribeTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan GroupRetry = TimeSpan.FromMilliseconds(500);
    private const int GroupAttempts = 10;
    private readonly KafkaOptions _kafka;
    private readonly CheckReport _report;
    private readonly IAdminClient _admin;
    private readonly BrokerErrors _errors = new();

    public ClusterCheck(KafkaOptions kafka, CheckReport report)
    {
        _kafka = kafka;
        _report = report;
        _admin = KafkaClients.Admin(kafka, new BrokerHealth(kafka, NullLogger.Instance), _errors.Add);
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
            string reason = _errors.Explain(e.Error);
            if (_errors.IsRefused) _report.Fault("broker", $"{_kafka.BootstrapServers} refuses the connection ({_kafka.Login}): {reason}",
                "Look at --client sasl.mechanism, sasl.username, sasl.password, security.protocol and ssl.ca.location.");
            else _report.Fault("broker", $"{_kafka.BootstrapServers} does not answer ({reason})",
                "Is the address right as seen from here, and does the listener ask for TLS or SASL (--client security.protocol=…)?");
            return false;
        }
    }

    /// <summary>Makes what is missing: a topic, or partitions of one that has fewer than the frames' topic.</summary>
    public async Task CreateTopicsAsync(int partitions, short replication)
    {
        int wanted = Look(_kafka.FramesTopic).Partitions is > 0 and int known ? known : partitions;
        foreach (string topic in _kafka.Topics)
        {
            int there = Look(topic).Partitions;
            try
            {
                if (there == 0)
                {
                    await _admin.CreateTopicsAsync([new TopicSpecification { Name = topic, NumPartitions = wanted,
                        ReplicationFactor = replication, Configs = Settings(topic) }]);
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
                var error = e switch
                {
                    CreateTopicsException { Results: [{ } made, ..] } => made.Error,
                    CreatePartitionsException { Results: [{ } grown, ..] } => grown.Error,
                    _ => e.Error,
                };
                // It is there, but this user may not see it: the next check says so.
                if (error.Code == ErrorCode.TopicAlreadyExists) continue;
                _report.Fault(topic, $"could not be {(there == 0 ? "made" : "grown")} ({error.Reason})",
                    there == 0 ? "The user needs CREATE on the topic or the cluster." : "The user needs ALTER on the topic.");
            }
        }
        // A broker answers for a topic a moment before every client knows it.
        for (int i = 0; i < 50 && _kafka.Topics.Any(IsComing); i++) await Task.Delay(100);

        bool IsComing(string topic) => Look(topic).Error is ErrorCode.UnknownTopicOrPart or ErrorCode.LeaderNotAvailable;
    }

    /// <returns>Whether the frames' topic can be looked into.</returns>
    public async Task<bool> CheckTopicsAsync()
    {
        int frames = Look(_kafka.FramesTopic).Partitions;
        foreach (string topic in _kafka.Topics)
        {
            var (there, error) = Look(topic);
            bool mustFollow = topic != _kafka.FramesTopic && topic != _kafka.DeadLetterTopic;
            bool isMissing = error is ErrorCode.UnknownTopicOrPart or ErrorCode.Local_UnknownTopic || error == ErrorCode.NoError
                && there == 0;
            if (error == ErrorCode.TopicAuthorizationFailed)
                _report.Fault(topic, "may not be seen by this user, so that the broker does not say whether it is there",
                $"{Acls(topic)} for the service's user; if it is missing, run this again with --create as a user with CREATE.");
            else if (isMissing) _report.Fault(topic, "is missing", "Run this again with --create.");
            else if (error != ErrorCode.NoError)
                _report.Fault(topic, $"cannot be looked at ({new Error(error).Reason})", "The broker's log may say more.");
            else if (mustFollow && there < frames) _report.Fault(topic, $"has {there} partitions, {_kafka.FramesTopic} has {frames}",
                "Results go to the partition number of their frame: run this again with --create.");
            else _report.Good(topic, $"{there} partitions");
        }
        if (Look(_kafka.StateTopic).Partitions > 0) await StateLog.CheckAsync(_admin, _kafka.StateTopic, _report);
        return frames > 0;
    }

    /// <summary>What the service's user may do: with topics, with the group, and as an idempotent producer.</summary>
    public async Task CheckPermissionsAsync()
    {
        bool writes = await CheckTopicPermissionsAsync();
        await CheckGroupAsync();
        await CheckIdempotenceAsync(writes);
        await new TransactionCheck(_kafka, _report, _admin).RunAsync();
    }

    public void Dispose() => _admin.Dispose();

    private Dictionary<string, string> Settings(string topic)
    {
        var day = TimeSpan.FromDays(1);
        if (topic == _kafka.StateTopic) return StateLog.Settings;
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

    /// <returns>Whether a topic may be written to.</returns>
    private async Task<bool> CheckTopicPermissionsAsync()
    {
        bool writes = false;
        string[] there = [.. _kafka.Topics.Where(topic => Look(topic).Partitions > 0)];
        if (there.Length == 0) return writes;
        try
        {
            var described = await _admin.DescribeTopicsAsync(TopicCollection.OfTopicNames(there),
                new DescribeTopicsOptions { IncludeAuthorizedOperations = true, RequestTimeout = DescribeTimeout });
            foreach (var topic in described.TopicDescriptions)
            {
                writes |= topic.AuthorizedOperations?.Contains(AclOperation.Write) ?? false;
                Compare($"permissions on {topic.Name}", topic.AuthorizedOperations, Needed(topic.Name), $"--topic {topic.Name}");
            }
        }
        catch (KafkaException e)
        {
            _report.Unknown("permissions on topics", $"the broker does not say ({e.Error.Reason})");
        }
        return writes;
    }

    private async Task CheckGroupAsync()
    {
        string what = $"permissions on group {_kafka.GroupId}";
        try
        {
            var group = await DescribeGroupAsync();
            Compare(what, group.AuthorizedOperations, [AclOperation.Read], $"--group {_kafka.GroupId}");
        }
        catch (DescribeConsumerGroupsException e)
            when (e.Results.ConsumerGroupDescriptions.Any(group => group.Error.Code == ErrorCode.GroupAuthorizationFailed))
        {
            Compare(what, [AclOperation.Unknown], [AclOperation.Read, AclOperation.Describe], $"--group {_kafka.GroupId}");
        }
        catch (KafkaException e)
        {
            _report.Unknown(what, $"the broker does not say ({e.Error.Reason})");
        }
    }

    /// <summary>The group, once its coordinator is there: on a new cluster the first question has it made.</summary>
    private async Task<ConsumerGroupDescription> DescribeGroupAsync()
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                var described = await _admin.DescribeConsumerGroupsAsync([_kafka.GroupId],
                    new DescribeConsumerGroupsOptions { IncludeAuthorizedOperations = true, RequestTimeout = DescribeTimeout });
                return described.ConsumerGroupDescriptions.Single();
            }
            catch (KafkaException e) when (attempt < GroupAttempts && !IsRefused(e))
            {
                await Task.Delay(GroupRetry);
            }
        }

        static bool IsRefused(KafkaException e) => e is DescribeConsumerGroupsException described
            && described.Results.ConsumerGroupDescriptions.Any(group => group.Error.Code == ErrorCode.GroupAuthorizationFailed);
    }

    /// <summary>Asked of the cluster by brokers before 2.8; later ones let everybody who may write to a topic.</summary>
    private async Task CheckIdempotenceAsync(bool writes)
    {
        const string What = "idempotent writes";
        try
        {
            var cluster = await _admin.DescribeClusterAsync(
                new DescribeClusterOptions { IncludeAuthorizedOperations = true, RequestTimeout = DescribeTimeout });
            bool isAllowed = cluster.AuthorizedOperations?.Contains(AclOperation.IdempotentWrite) ?? false;
            if (isAllowed) _report.Good(What, "IDEMPOTENT_WRITE on the cluster");
            else if (writes) _report.Good(What, "allowed by WRITE on a topic (brokers before 2.8 ask for IDEMPOTENT_WRITE on the cluster)");
            else _report.Fault(What, "this user may write to no topic, and IDEMPOTENT_WRITE on the cluster is not allowed",
                "kafka-acls --add --operation IdempotentWrite --cluster for the service's user.");
        }
        catch (KafkaException e)
        {
            _report.Unknown(What, $"the broker does not say ({e.Error.Reason})");
        }
    }

    /// <param name="allowed">Null or empty where the broker does not say.</param>
    /// <param name="resource">As kafka-acls names it.</param>
    private void Compare(string what, IReadOnlyCollection<AclOperation>? allowed, AclOperation[] needed, string resource)
    {
        string[] missing = [.. needed.Where(operation => !(allowed ?? []).Contains(operation)).Select(Named)];
        if (allowed is not { Count: > 0 }) _report.Unknown(what, "the broker does not say (no authorizer, or an old one)");
        else if (missing.Length > 0) _report.Fault(what, $"{string.Join(" and ", missing)} is not allowed",
            $"kafka-acls --add --operation {string.Join(" --operation ", missing)} {resource} for the service's user.");
        else _report.Good(what, string.Join(", ", needed.Select(Named)));
    }

    private AclOperation[] Needed(string topic) =>
        topic == _kafka.FramesTopic ? [AclOperation.Read, AclOperation.Describe]
        // Alerts are read again by every replica, for its history and its streams.
        : topic == _kafka.StateTopic || topic == _kafka.AlertsTopic ? [AclOperation.Read, AclOperation.Write, AclOperation.Describe]
        : [AclOperation.Write, AclOperation.Describe];

    private string Acls(string topic) =>
        $"kafka-acls --add --operation {string.Join(" --operation ", Needed(topic).Select(Named))} --topic {topic}";

    private static string Named(AclOperation operation) => operation.ToString().ToUpperInvariant();

    private (int Partitions, ErrorCode Error) Look(string topic)
    {
        var found = _admin.GetMetadata(topic, Timeout).Topics.SingleOrDefault();
        return found is null ? (0, ErrorCode.UnknownTopicOrPart) : (found.Error.IsError ? 0 : found.Partitions.Count, found.Error.Code);
    }
}
