using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>Partitions that are added to the frames' topic: nobody reads them until the group has seen them and shares them out.</summary>
internal sealed partial class AddedPartitions(KafkaOptions options, ILogger log)
{
    private static readonly TimeSpan BrokerTimeout = TimeSpan.FromSeconds(5);
    private volatile string? _warning;
    private int _known;
    private bool _isWaiting;

    /// <summary>How many partitions there are and are read, from when some were added until all are read; null otherwise. For any thread.
    /// </summary>
    public string? Warning => _warning;

    /// <summary>Looks once.</summary>
    /// <exception cref="KafkaException">The brokers did not answer.</exception>
    public async Task LookAsync(IAdminClient admin, CancellationToken cancellation)
    {
        int count = (await Task.Run(() => admin.GetMetadata(options.FramesTopic, BrokerTimeout), cancellation)).Topics.Single()
            .Partitions.Count;
        if (count > _known && _known > 0)
        {
            Log.Added(log, options.FramesTopic, count, count - _known);
            _isWaiting = true;
        }
        // Fewer are those of a topic that is being recreated.
        if (count > 0) _known = count;
        if (!_isWaiting) return;
        var group = (await admin.DescribeConsumerGroupsAsync([options.GroupId], new DescribeConsumerGroupsOptions
        {
            RequestTimeout = BrokerTimeout
        })).ConsumerGroupDescriptions.Single();
        int read = group.Members.Sum(member => member.Assignment.TopicPartitions.Count(one => one.Topic == options.FramesTopic));
        _isWaiting = read < count;
        _warning = _isWaiting ? $"{options.FramesTopic} has {count} partitions, and the group reads {read}" : null;
    }

    private static partial class Log
    {
        [LoggerMessage(251, LogLevel.Information, "{Topic} has {Partitions} partitions, {Added} more than before: they are read from " +
            "their start as soon as the group shares them out.")]
        public static partial void Added(ILogger log, string topic, int partitions, int added);
    }
}
