namespace OutlierPipeline.Pipeline;

/// <summary>What a crash may cost.</summary>
public enum Delivery
{
    /// <summary>Nothing is lost; what is done twice carries the same ids.</summary>
    AtLeastOnce,

    /// <summary>Results and offsets in one Kafka transaction. Not built yet: refused at start.</summary>
    ExactlyOnce,
}

/// <summary>Where a group begins that has committed nothing yet.</summary>
public enum StartFrom
{
    Earliest,
    Latest,
}

/// <summary>Configuration section <c>Kafka</c>.</summary>
public sealed record KafkaOptions
{
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
        ["group.protocol"] = "",
        ["transactional.id"] = "Kafka:Delivery",
        ["enable.idempotence"] = "",
        ["acks"] = "",
        ["request.required.acks"] = "",
    };

    /// <summary><c>host:port</c>, several separated by commas.</summary>
    public string BootstrapServers { get; init; } = "";

    /// <summary>Consumer group. Replicas with the same group share the partitions.</summary>
    public string GroupId { get; init; } = "outlier-pipeline";

    /// <summary>Static group membership: a restart within the session time-out moves no partition. Must differ between replicas.</summary>
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

    /// <summary>What a crash may cost. Only <c>AtLeastOnce</c> is built; <c>ExactlyOnce</c> is refused at the start.</summary>
    public Delivery Delivery { get; init; } = Delivery.AtLeastOnce;

    /// <summary>Where a new consumer group begins to read.</summary>
    public StartFrom StartFrom { get; init; } = StartFrom.Earliest;

    /// <summary>How often state and offsets are committed. After a crash, frames since the last commit are read again.</summary>
    public TimeSpan CommitInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a revoked partition, or a stop, waits for the frames in flight.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// Cameras that one replica keeps in memory. Beyond it, cameras that sent a single frame and have no incident are forgotten first. Then
    /// frames of new cameras go to the dead letters.
    /// </summary>
    public int MaxCameras { get; init; } = 100_000;

    /// <summary>Any other librdkafka property, for TLS, SASL and tuning.</summary>
    public Dictionary<string, string> Client { get; init; } = [];

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
        if (Delivery == Delivery.ExactlyOnce) yield return "Kafka:Delivery is ExactlyOnce, which this version does not do; use " +
            "AtLeastOnce (what is repeated carries the same ids)";
        else if (!Enum.IsDefined(Delivery)) yield return $"Kafka:Delivery is {Delivery}; expected AtLeastOnce";
        if (!Enum.IsDefined(StartFrom)) yield return $"Kafka:StartFrom is {StartFrom}; expected Earliest or Latest";
        if (CommitInterval < TimeSpan.FromMilliseconds(10) || CommitInterval > TimeSpan.FromMinutes(1))
            yield return $"Kafka:CommitInterval is {CommitInterval}; expected 00:00:00.010 to 00:01:00";
        if (DrainTimeout < TimeSpan.FromSeconds(1) || DrainTimeout > TimeSpan.FromMinutes(2))
            yield return $"Kafka:DrainTimeout is {DrainTimeout}; expected 00:00:01 to 00:02:00";
        if (MaxCameras < 1) yield return $"Kafka:MaxCameras is {MaxCameras}; expected at least 1";
        foreach (string key in Client.Keys.Where(Reserved.ContainsKey))
            yield return $"Kafka:Client:{key} cannot be set: what the service promises rests on it" + (Reserved[key].Length > 0
                ? $"; use {Reserved[key]}" : "");
    }
}
