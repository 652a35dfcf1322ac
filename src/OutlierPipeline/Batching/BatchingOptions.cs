namespace OutlierPipeline.Batching;

/// <summary>Configuration section <c>Batching</c>.</summary>
public sealed record BatchingOptions
{
    /// <summary>Frames of one batch at most; 16 on a CPU and 128 on a GPU unless it is set.</summary>
    public int? MaxBatchSize { get; init; }

    /// <summary>How long the first frame of a batch waits for others at most; while the engine is idle it does not wait.</summary>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>The size that holds for an engine.</summary>
    internal int Capacity(bool onGpu) => MaxBatchSize ?? (onGpu ? 128 : 16);

    /// <summary>Messages for what is out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (MaxBatchSize is < 1 or > 4096) yield return $"Batching:MaxBatchSize is {MaxBatchSize}; expected 1 to 4096 frames";
        if (MaxDelay < TimeSpan.Zero || MaxDelay > TimeSpan.FromSeconds(10))
            yield return $"Batching:MaxDelay is {MaxDelay}; expected 00:00:00 to 00:00:10";
    }
}
