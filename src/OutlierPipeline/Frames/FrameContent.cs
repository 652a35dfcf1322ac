namespace OutlierPipeline.Frames;

/// <summary>What a record's value holds.</summary>
public readonly record struct FrameContent
{
    public FrameError Error { get; init; }

    /// <summary>What is wrong, in a sentence, where <see cref="Error"/> alone does not say it.</summary>
    public string? Message { get; init; }

    /// <summary>Where the encoded picture lies in the value.</summary>
    public Range Image { get; init; }

    /// <summary>The message's own time, Unix nanoseconds, if it has one.</summary>
    public long? TimestampNanoseconds { get; init; }

    /// <summary>
    /// Whether the header <c>content-type</c> names another kind of picture than the bytes are; it is decoded all the same.
    /// </summary>
    public bool IsMislabelled { get; init; }
}
