using OutlierPipeline.Detection;

namespace OutlierPipeline.Pipeline;

/// <summary>Whether frames are read, scored and written, and if not, why; from what the stages say. For any thread.</summary>
internal sealed class Readiness(KafkaOptions options, PartitionTable partitions, FrameConsumer consumer, ICommitter committer,
    ResultPublisher publisher, BrokerHealth health, WrongClocks clocks, AddedPartitions added)
{
    private volatile bool _isRunning;

    /// <summary>Whether the pipeline has begun to read, and does not stop yet.</summary>
    public bool IsRunning
    {
        get => _isRunning;
        set => _isRunning = value;
    }

    /// <summary>Why the pipeline is not ready to do its work, one line each; empty when it is.</summary>
    public IReadOnlyList<string> Reasons
    {
        get
        {
            var reasons = new List<string>();
            if (!IsRunning) reasons.Add(health.Refusal ?? $"not connected to Kafka at {options.BootstrapServers}"
                + (health.Waiting is { } wait ? $" ({wait})" : ""));
            else if (!consumer.HasJoined) reasons.Add($"joining the consumer group {options.GroupId}");
            if (IsRunning && partitions.Awaited is > 0 and int awaited)
                reasons.Add($"the brokers have not told yet where to read {awaited} partitions from");
            if (IsRunning && health.Fault is { } fault) reasons.Add(fault);
            if (IsRunning && consumer.Fault is { } unread) reasons.Add(unread);
            if (IsRunning && committer.Fault is { } uncommitted) reasons.Add(uncommitted);
            if (partitions.Paused(PauseReason.DeadLetter) is > 0 and int blocked)
                reasons.Add($"{options.DeadLetterTopic} cannot be written: {blocked} partitions pause");
            reasons.AddRange(publisher.Faults.Now);
            // Whose results cannot be written has its reason already, and is restored at each attempt.
            int restoring = partitions.Paused(PauseReason.Restore)
                - partitions.Current.Count(one => !one.IsRestored && publisher.Faults.Has(one.Partition));
            if (restoring > 0) reasons.Add($"{restoring} partitions are being restored");
            return reasons;
        }
    }

    /// <summary>What people should look at although frames are scored, one line each: cameras whose clocks are wrong, and partitions that
    /// nobody reads yet.</summary>
    public IReadOnlyList<string> Warnings
    {
        get
        {
            const int Named = 5;
            var wrong = clocks.Now;
            var lines = wrong.Take(Named).Select(clock =>
                $"the clock of camera {clock.Camera}: {ClockWatch.Describe(clock.Fault)} ({clock.Frames} frames)").ToList();
            if (wrong.Count > Named) lines.Add($"the clocks of {wrong.Count - Named} more cameras are wrong");
            if (added.Warning is { } unread) lines.Add(unread);
            return lines;
        }
    }
}
