namespace OutlierPipeline.Frames;

/// <summary>What a picture may be at most; checked on its header, before any pixel is decoded.</summary>
public sealed record FrameLimits
{
    /// <summary>Encoded size in bytes.</summary>
    public int MaxBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>Width × height in pixels.</summary>
    public long MaxPixels { get; init; } = 64L * 1024 * 1024;
}
