namespace OutlierPipeline.Pipeline;

/// <summary>Commits partitions, again and again: results, the detectors' state and the group's offsets.</summary>
internal interface ICommitter : IDisposable
{
    /// <summary>Why nothing is committed; null while it is.</summary>
    string? Fault { get; }

    /// <summary>Before the first frame is read; tries again until it succeeds.</summary>
    Task BeginAsync(CancellationToken cancellation);

    /// <summary>Commits every current assignment until cancelled.</summary>
    /// <param name="consumer">The member of the group whose offsets they are.</param>
    Task RunAsync(PartitionTable partitions, FrameConsumer consumer, CancellationToken cancellation);

    /// <summary>
    /// Waits until every frame handed on is done, then commits. Where the deadline passes first, or the group takes no commit of this
    /// member any more, what was not committed is repeated elsewhere, and the log says so.
    /// </summary>
    Task DrainAsync(PartitionAssignment assignment, GroupMember member, CancellationToken deadline);
}
