using Confluent.Kafka;
using OutlierPipeline.Detection;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// One partition for as long as this process reads it from one position onwards. A rebalance or a rewind ends it and begins another with a
/// higher epoch; frames point to theirs, and every stage drops those whose assignment is no longer current.
/// </summary>
public sealed class PartitionAssignment
{
    private volatile bool _isCurrent = true;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isRestored;
    private bool _isExamined;
    private bool _isAwake;

    /// <param name="end">The partition's end at the assignment.</param>
    public PartitionAssignment(TopicPartition partition, int epoch, long start, long end = 0, DateTimeOffset at = default)
    {
        Watch = new PartitionWatch(end, at);
        Partition = partition;
        Epoch = epoch;
        Start = start;
        Committed = start;
        Ledger = new OffsetLedger(start);
    }

    public TopicPartition Partition { get; }

    /// <summary>1 for the first assignment of the partition in this process, then counting.</summary>
    public int Epoch { get; }

    /// <summary>The first offset to be read.</summary>
    public long Start { get; }

    /// <summary>False once the partition was revoked, lost or rewound.</summary>
    public bool IsCurrent => _isCurrent;

    public OffsetLedger Ledger { get; }

    /// <summary>How long the partition has been read at its end.</summary>
    internal PartitionWatch Watch { get; }

    /// <summary>Guards <see cref="Detectors"/>: held for one frame by the detection stage and for a snapshot by the committer.</summary>
    internal Lock Gate { get; } = new();

    /// <summary>The detectors of the partition's cameras, by camera id.</summary>
    internal Dictionary<string, CameraDetector> Detectors { get; } = [];

    /// <summary>State records read from <c>ood.state</c> whose camera has not been seen since.</summary>
    internal Dictionary<string, byte[]> Restored { get; } = [];

    /// <summary>
    /// What goes with the partition beside its cameras' state, by keys that no camera has, and whether it is written; changed under
    /// <see cref="Gate"/>.
    /// </summary>
    internal Dictionary<string, (byte[] Value, bool IsWritten)> Reserved { get; } = [];

    /// <summary>Cameras whose state is to be deleted, to make room for others; changed under <see cref="Gate"/>.</summary>
    internal List<string> Evicted { get; } = [];

    /// <summary>Cameras whose state is held.</summary>
    internal int Cameras => Detectors.Count + Restored.Count;

    /// <summary>Alerts that belong to no frame, until they are acknowledged; changed under <see cref="Gate"/>.</summary>
    internal Task Alone { get; set; } = Task.CompletedTask;

    /// <summary>Whether <see cref="Restored"/> is complete.</summary>
    internal bool IsRestored => _isRestored;

    /// <summary>What the next transaction carries, where results are written in transactions.</summary>
    internal Outbox Outbox { get; } = new();

    /// <summary>
    /// Where results are written in transactions: offsets below which a camera's results are committed, though the partition is read again
    /// from further back. For the detection stage.
    /// </summary>
    internal Dictionary<string, long> Published { get; } = [];

    /// <summary>One commit of the partition at a time.</summary>
    internal SemaphoreSlim CommitTurn { get; } = new(1, 1);

    /// <summary>The offset last committed, or the start.</summary>
    internal long Committed { get; set; }

    /// <summary>Frames that expired before they were read; changed under <see cref="Gate"/>.</summary>
    internal (long From, long To)? Lost { get; set; }

    /// <summary>Whether the detectors that there were have been told of <see cref="Lost"/>.</summary>
    internal (long From, long To)? LostTold { get; set; }

    /// <summary>Whether the topic was recreated since its cameras' state was written: their offsets mean nothing any more.</summary>
    internal bool IsReset { get; init; }

    /// <summary>The id of the frames' topic now; null where the brokers tell none, or have not told it yet.</summary>
    internal string? TopicId { get; set; }

    /// <summary>Whether what was committed lay beyond the log's end when the partition was assigned.</summary>
    internal bool IsBegunBeyondEnd { get; init; }

    /// <summary>Whether the state belongs to an earlier topic of the same name.</summary>
    internal bool IsOfAnotherTopic => !IsReset && TopicId is not null && RecordedTopicId is { } earlier && earlier != TopicId;

    /// <summary>The id of the topic that its position belongs to; null if it is not known.</summary>
    internal string? KnownTopicId => IsBegunBeyondEnd ? RecordedTopicId : TopicId ?? (IsReset ? null : RecordedTopicId);

    private string? RecordedTopicId => Reserved.TryGetValue(TopicIdentity.Key, out var record) ? TopicIdentity.Read(record.Value) : null;

    /// <summary>
    /// Since when, and when last, the brokers said that their log ends before the position, which one, and the least end that they told;
    /// null if they never did.
    /// </summary>
    internal (DateTimeOffset Since, DateTimeOffset Last, long Next, long End)? BeyondEnd { get; set; }

    /// <summary>Records of the partition not yet read, as last measured.</summary>
    internal long Lag => Math.Max(0, Watch.End.Offset - Ledger.Next);

    /// <summary>Completes when the assignment ends: what is waited for may then never come.</summary>
    internal Task Ended => _ended.Task;

    internal void End()
    {
        _isCurrent = false;
        _ended.TrySetResult();
        Outbox.Close();
    }

    /// <summary><see cref="Restored"/> holds all that there is, and belongs to whoever holds <see cref="Gate"/> from now on.</summary>
    internal void CompleteRestore() => _isRestored = true;

    /// <summary>Whether the detection stage has taken over what the partition brings with it.</summary>
    internal bool IsEntered { get; set; }

    /// <summary>Whether the restored cameras were looked through.</summary>
    internal bool IsAwake => _isAwake;

    /// <summary>Keeps a value that goes with the partition; it is written with the next commit if it is news.</summary>
    internal void Reserve(string key, byte[] value)
    {
        if (!Reserved.TryGetValue(key, out var known) || !known.Value.AsSpan().SequenceEqual(value)) Reserved[key] = (value, false);
    }

    /// <summary>Keeps a camera that sends nothing as its written state alone.</summary>
    internal void Rest(string camera)
    {
        if (Detectors.Remove(camera, out var detector)) Restored[camera] = detector.ToRecord();
    }

    /// <summary>Names, once, the restored cameras whose absence matters although they may never send again.</summary>
    /// <param name="isWatched">Whether a camera is expected to send.</param>
    internal IReadOnlyList<string> WakeAbsent(Func<string, bool> isWatched)
    {
        if (_isAwake) return [];
        _isAwake = true;
        // After a reset all are written again, so that none keeps offsets of the topic before.
        return [.. Restored.Where(state => IsReset || isWatched(state.Key) || state.Value.AsSpan().IndexOf("\"incident\":{"u8) >= 0)
            .Select(state => state.Key)];
    }

    /// <summary>Takes out, once, the restored cameras that were last written before a time and have no open incident.</summary>
    internal IReadOnlyList<string> TakeForgotten(DateTimeOffset before)
    {
        if (!_isRestored || _isExamined) return [];
        _isExamined = true;
        string[] forgotten = [.. Restored.Where(state => DetectorState.IsOld(state.Value, before)).Select(state => state.Key)];
        foreach (string camera in forgotten) Restored.Remove(camera);
        return forgotten;
    }

    public override string ToString() => $"{Partition.Topic}[{Partition.Partition.Value}] epoch {Epoch}";
}
