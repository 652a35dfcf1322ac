using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Of which partitions results cannot be written, or the state cannot be read, and why, from the first refusal until something of them is
/// committed. Each change of a topic is told once. Thread-safe.
/// </summary>
internal sealed partial class WriteFaults(TimeProvider time, ILogger log)
{
    /// <summary>What lasts is told again after so long.</summary>
    private static readonly TimeSpan Reminder = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<TopicPartition, (string Topic, string Verb, string Reason)> _faults = [];
    private readonly Dictionary<string, (string Reason, long At)> _told = [];

    /// <summary>A topic refused what a partition of the frames led to.</summary>
    /// <param name="isRead">Whether it refused to be read.</param>
    /// <returns>Whether the partition had no fault before.</returns>
    public bool Add(TopicPartition partition, string topic, Error error, bool isRead = false)
    {
        string verb = isRead ? "read" : "written";
        string reason = error.Code == ErrorCode.TopicAuthorizationFailed ? $"not authorized ({error.Reason})" : error.Reason;
        bool isNews;
        bool isFirst;
        lock (_gate)
        {
            isFirst = !_faults.ContainsKey(partition);
            _faults[partition] = (topic, verb, reason);
            isNews = !_told.TryGetValue(topic, out var told) || told.Reason != reason || time.GetElapsedTime(told.At) > Reminder;
            if (isNews) _told[topic] = (reason, time.GetTimestamp());
        }
        if (isNews) Log.Failed(log, topic, verb, reason, partition.Partition.Value);
        return isFirst;
    }

    /// <summary>What a partition led to was written.</summary>
    public void Remove(TopicPartition partition)
    {
        string topic, verb;
        lock (_gate)
        {
            if (!_faults.Remove(partition, out var fault)) return;
            (topic, verb) = (fault.Topic, fault.Verb);
            if (_faults.Values.Any(other => other.Topic == topic)) return;
            _told.Remove(topic);
        }
        Log.Over(log, topic, verb);
    }

    /// <summary>A partition is read by another member: whether its results can be written is not known here any more.</summary>
    public void Forget(TopicPartition partition)
    {
        lock (_gate)
        {
            if (_faults.Remove(partition, out var fault) && _faults.Values.All(other => other.Topic != fault.Topic))
                _told.Remove(fault.Topic);
        }
    }

    /// <summary>Whether a partition's results could not be written the last time.</summary>
    public bool Has(TopicPartition partition)
    {
        lock (_gate) return _faults.ContainsKey(partition);
    }

    /// <summary>What cannot be written now, one line for each topic and reason.</summary>
    public IReadOnlyList<string> Now
    {
        get
        {
            lock (_gate)
            {
                return [.. _faults.Values.GroupBy(fault => fault).Select(same =>
                    $"{same.Key.Topic} cannot be {same.Key.Verb}: {same.Key.Reason}; {same.Count()} partitions wait and are read again")];
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(212, LogLevel.Error, "{Topic} cannot be {Verb}: {Reason}. Partition {Partition} and others like it are read " +
            "again from their last commit, later each time, until it can.")]
        public static partial void Failed(ILogger log, string topic, string verb, string reason, int partition);

        [LoggerMessage(214, LogLevel.Information, "{Topic} can be {Verb} again.")]
        public static partial void Over(ILogger log, string topic, string verb);
    }
}
