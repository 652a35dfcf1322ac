using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// How long a partition waits before it is read again: longer each time, until a commit shows that its results can be written.
/// </summary>
internal sealed class RewindBackoff
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(15);
    private readonly Dictionary<TopicPartition, (int Times, long Committed)> _partitions = [];

    /// <param name="committed">The partition's committed offset.</param>
    public TimeSpan Next(TopicPartition partition, long committed)
    {
        var known = _partitions.GetValueOrDefault(partition);
        int times = committed > known.Committed ? 0 : known.Times;
        _partitions[partition] = (times + 1, committed);
        return After(times);
    }

    /// <param name="times">Attempts that failed. The first time at once: most failures are over by then.</param>
    public static TimeSpan After(int times) =>
        times == 0 ? TimeSpan.Zero : TimeSpan.FromTicks(Math.Min(Longest.Ticks, First.Ticks << Math.Min(times - 1, 10)));
}
