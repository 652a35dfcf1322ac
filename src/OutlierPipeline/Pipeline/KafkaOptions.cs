using System.Text.RegularExpressions;

namespace OutlierPipeline.Pipeline;

/// <summary>What a crash may cost.</summary>
public enum Delivery
{
    /// <summary>Nothing is lost; what is done twice carries the same ids.</summary>
    AtLeastOnce,

    /// <summary>Results, state and offsets in one Kafka transaction: who reads committed records sees each result once.</summary>
    ExactlyOnce,
}

/// <summary>Where a group begins that has committed nothing yet.</summary>
public enum StartFrom
{
    Earliest,
    Latest,
}

/// <summary>Configuration section <c>Kafka</c>.</summary>
public sealed partial record KafkaOptions
{
    /// <summary>The property that says who shares the partitions out: a member, or the brokers.</summary>
    internal const string GroupProtocol = "group.protocol";

    /// <summary>Properties that are the brokers' where they share the partitions out, with what the brokers call them.</summary>
    private static readonly Dictionary<string, string> OfBrokersGroups = new(StringComparer.OrdinalIgnoreCase)
    {
        ["session.timeout.ms"] = "group.consumer.session.timeout.ms",
        ["heartbeat.interval.ms"] = "group.consumer.heartbeat.interval.ms",
        ["group.protocol.type"] = "",
    };

    /// <summary>What <see cref="InstanceId"/> is where the host's name is to be taken.</summary>
    private const string HostName = "hostname";

    /// <summary>
    /// librdkafka properties on which the service's promises rest, so that they cannot be set through <see cref="Client"/>, with what to
    /// use instead.
    /// </summary>
    private static readonly Dictionary<string, string> Reserved = new(StringComparer.OrdinalIgnoreCase)
    {
        ["bootstrap.servers"] = "Kafka:BootstrapServers",
        ["metadata.broker.list"] = "Kafka:BootstrapServers",
        ["group.id"] = "Kafka:GroupId",
        ["group.instance.id"] = "Kafka:InstanceId",
        ["enable.auto.commit"] = "",
        ["enable.auto.offset.store"] = "",
        ["auto.offset.reset"] = "Kafka:StartFrom",
        ["isolation.level"] = "",
        ["partition.assignment.strategy"] = "",
        ["transactional.id"] = "Kafka:Delivery",
        ["enable.idempotence"] = "",
        ["acks"] = "",
        ["request.required.acks"] = "",
    };

    /// <summary><c>host:port</c>, several separated by commas.</summary>
    public string BootstrapServers { get; init; } = "";

    /// <summary>Consumer group. Replicas with the same group share the partitions.</summary>
    public string GroupId { get; init; } = "outlier-pipeline";

    /// <summary>
    /// Static group membership: a restart within the session time-out moves no partition. Must differ between replicas. <c>hostname</c>
    /// takes the host's name, which must end in an ordinal, as in <c>outlier-0</c>.
    /// </summary>
    public string? InstanceId { get; init; }

    /// <summary>Topic that the frames are read from.</summary>
    public string FramesTopic { get; init; } = "camera.frames";

    /// <summary>Topic for score records, one for each frame.</summary>
    public string ScoresTopic { get; init; } = "ood.scores";

    /// <summary>Topic for alerts.</summary>
    public string AlertsTopic { get; init; } = "ood.alerts";

    /// <summary>Compacted topic for the detectors' state.</summary>
    public string StateTopic { get; init; } = "ood.state";

    /// <summary>Topic for records that cannot be scored, with the reason.</summary>
    public string DeadLetterTopic { get; init; } = "camera.frames.dlq";

    /// <summary>
    /// What a crash may cost. <c>AtLeastOnce</c>: frames since the last commit are scored again. <c>ExactlyOnce</c>: nothing, for who
    /// reads committed records.
    /// </summary>
    public Delivery Delivery { get; init; } = Delivery.AtLeastOnce;

    /// <summary>Where a new consumer group begins to read.</summary>
    public StartFrom StartFrom { get; init; } = StartFrom.Earliest;

    /// <summary>
    /// How often state and offsets are committed. After a crash, frames since the last commit are read again. With <c>ExactlyOnce</c>
    /// results are seen only when they are committed.
    /// </summary>
    public TimeSpan? CommitInterval { get; init; }

    /// <summary>How long a revoked partition, or a stop, waits for the frames in flight.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// Cameras that one replica keeps in memory. Beyond it, cameras that sent a single frame and have no incident are forgotten first. Then
    /// frames of new cameras go to the dead letters.
    /// </summary>
    public int MaxCameras { get; init; } = 100_000;

    /// <summary>Any other librdkafka property, for TLS, SASL and tuning.</summary>
    public Dictionary<string, string> Client { get; init; } = [];

    /// <summary><see cref="CommitInterval"/>, or its default.</summary>
    internal TimeSpan CommitEvery => CommitInterval ?? TimeSpan.FromMilliseconds(Delivery == Delivery.ExactlyOnce ? 100 : 1000);

    /// <summary><see cref="InstanceId"/>, with the host's name in its place; null without static membership.</summary>
    internal string? Instance => InstanceId == HostName ? Environment.MachineName : InstanceId is { Length: > 0 } given ? given : null;

    /// <summary>Whether the brokers share the partitions out (<c>group.protocol=consumer</c>), and not a member.</summary>
    internal bool HasBrokersGroups => Property(GroupProtocol, "classic").Equals("consumer", StringComparison.OrdinalIgnoreCase);

    /// <summary>How the brokers are spoken to, for messages: <c>SASL_SSL with SCRAM-SHA-512</c>, <c>SSL with a certificate</c>.</summary>
    internal string Login
    {
        get
        {
            string protocol = Property("security.protocol", "plaintext").ToUpperInvariant();
            if (protocol.StartsWith("SASL", StringComparison.Ordinal))
                return $"{protocol} with {Property("sasl.mechanism", Property("sasl.mechanisms", "GSSAPI"))}";
            string[] own = ["ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location"];
            return protocol == "SSL" ? own.Any(Client.ContainsKey) ? "SSL with a certificate" : "SSL without a certificate" : protocol;
        }
    }

    /// <summary>All topics, the frames' first.</summary>
    internal IReadOnlyList<string> Topics => [FramesTopic, ScoresTopic, AlertsTopic, StateTopic, DeadLetterTopic];

    /// <summary>Messages for what is missing or out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (string.IsNullOrWhiteSpace(BootstrapServers)) yield return "Kafka:BootstrapServers is not set; expected host:port of a broker";
        if (string.IsNullOrWhiteSpace(GroupId)) yield return "Kafka:GroupId is empty; expected the consumer group's name";
        if (Topics.Any(string.IsNullOrWhiteSpace))
            yield return "a topic's name (Kafka:FramesTopic, ScoresTopic, AlertsTopic, StateTopic, DeadLetterTopic) is empty";
        else if (Topics.Distinct().Count() < Topics.Count)
            yield return $"two of the topics [{string.Join(", ", Topics)}] have the same name; each needs its own";
        if (!Enum.IsDefined(Delivery)) yield return $"Kafka:Delivery is {Delivery}; expected AtLeastOnce or ExactlyOnce";
        if (InstanceId == HostName && !EndsInOrdinal(Environment.MachineName))
            yield return $"Kafka:InstanceId is {HostName}, and this host is called {Environment.MachineName}, which does not end in " +
                "an ordinal as outlier-0 does: a name that changes with each start would keep its partitions from the others for a " +
                "session each time. Leave Kafka:InstanceId out, or give each replica a name that stays";
        if (!Enum.IsDefined(StartFrom)) yield return $"Kafka:StartFrom is {StartFrom}; expected Earliest or Latest";
        if (CommitEvery < TimeSpan.FromMilliseconds(10) || CommitEvery > TimeSpan.FromMinutes(1))
            yield return $"Kafka:CommitInterval is {CommitInterval}; expected 00:00:00.010 to 00:01:00";
        if (DrainTimeout < TimeSpan.FromSeconds(1) || DrainTimeout > TimeSpan.FromMinutes(2))
            yield return $"Kafka:DrainTimeout is {DrainTimeout}; expected 00:00:01 to 00:02:00";
        if (MaxCameras < 1) yield return $"Kafka:MaxCameras is {MaxCameras}; expected at least 1";
        if (Property(GroupProtocol, "classic").ToUpperInvariant() is not ("CLASSIC" or "CONSUMER"))
            yield return $"Kafka:Client:{GroupProtocol} is {Client[GroupProtocol]}; expected classic or consumer";
        foreach (string key in HasBrokersGroups ? Client.Keys.Where(OfBrokersGroups.ContainsKey) : [])
            yield return $"Kafka:Client:{key} cannot be set with {GroupProtocol}=consumer: it is the brokers'"
                + (OfBrokersGroups[key].Length > 0 ? $" ({OfBrokersGroups[key]})" : "");
        foreach (string key in Client.Keys.Where(Reserved.ContainsKey))
            yield return $"Kafka:Client:{key} cannot be set: what the service promises rests on it" + (Reserved[key].Length > 0
                ? $"; use {Reserved[key]}" : "");
    }

    private string Property(string name, string otherwise) => Client.GetValueOrDefault(name) is { Length: > 0 } value ? value : otherwise;

    /// <summary>Whether a host's name is one of a numbered set, as in a StatefulSet: it comes back after a restart.</summary>
    internal static bool EndsInOrdinal(string host) => OrdinalName().IsMatch(host);

    [GeneratedRegex(@"^\w[\w.-]*-\d{1,4}$")]
    private static partial Regex OrdinalName();
}
