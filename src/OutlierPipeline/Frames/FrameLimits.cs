namespace OutlierPipeline.Frames;

/// <summary>What a picture may be at most; checked on its header, before any pixel is decoded.</summary>
public sealed record FrameLimits
{
    /// <summary>For a team's own footage: nobody sends it to do harm, and a few slow pictures hold up nothing.</summary>
    public static readonly FrameLimits Footage = new() { MaxDecodeTime = TimeSpan.FromSeconds(10) };

    /// <summary>Encoded size in bytes.</summary>
    public int MaxBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>Width × height in pixels.</summary>
    public long MaxPixels { get; init; } = 64L * 1024 * 1024;

    /// <summary>What decoding may cost, in time of one core, by the estimate of <see cref="ImageHeader.Cost"/>.</summary>
    public TimeSpan MaxDecodeTime { get; init; } = TimeSpan.FromMilliseconds(250);
}
