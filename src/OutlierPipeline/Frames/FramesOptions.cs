namespace OutlierPipeline.Frames;

/// <summary>Configuration section <c>Frames</c>.</summary>
public sealed record FramesOptions
{
    private const string HeaderPrefix = "header:";

    /// <summary>Where a record's camera id stands: <c>key</c> or <c>header:NAME</c>.</summary>
    public string CameraId { get; init; } = "key";

    /// <summary>Largest encoded picture, in bytes.</summary>
    public int MaxBytes { get; init; } = new FrameLimits().MaxBytes;

    /// <summary>Largest picture, in pixels.</summary>
    public long MaxPixels { get; init; } = new FrameLimits().MaxPixels;

    /// <summary>
    /// Longest time that decoding one picture may take on one core. It is estimated from the header, before any pixel is decoded.
    /// </summary>
    public TimeSpan MaxDecodeTime { get; init; } = new FrameLimits().MaxDecodeTime;

    /// <summary>
    /// How far the step between two frames, by the camera's clock, may differ from the step between the two records. Beyond it, the
    /// records' step counts.
    /// </summary>
    public TimeSpan MaxClockSkew { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Encoded frames held in memory between reading and scoring, in bytes; beyond it partitions are paused.</summary>
    public long MaxBufferedBytes { get; init; } = 64L * 1024 * 1024;

    /// <summary>
    /// What decodes JPEG. <c>NvJpeg</c> decodes on the GPU, and the CPU takes what nvJPEG cannot decode. <c>Auto</c> takes it where a GPU
    /// computes and the library is present.
    /// </summary>
    public DecoderChoice Decoder { get; init; } = DecoderChoice.Auto;

    /// <summary>Threads that decode, for each model; 0 takes one a core.</summary>
    public int DecodeWorkers { get; init; }

    internal FrameLimits Limits => new() { MaxBytes = MaxBytes, MaxPixels = MaxPixels, MaxDecodeTime = MaxDecodeTime };

    /// <summary>The header that names the camera, or null where the key does.</summary>
    internal string? CameraHeader => CameraId.StartsWith(HeaderPrefix, StringComparison.Ordinal) ? CameraId[HeaderPrefix.Length..] : null;

    internal int Workers => DecodeWorkers > 0 ? DecodeWorkers : Environment.ProcessorCount;

    /// <summary>Messages for what is out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (CameraId != "key" && string.IsNullOrEmpty(CameraHeader))
            yield return $"Frames:CameraId is '{CameraId}'; expected key or header:NAME";
        if (MaxBytes < 1024) yield return $"Frames:MaxBytes is {MaxBytes}; expected at least 1024";
        if (MaxPixels < 1024) yield return $"Frames:MaxPixels is {MaxPixels}; expected at least 1024";
        if (MaxDecodeTime < TimeSpan.FromMilliseconds(1) || MaxDecodeTime > TimeSpan.FromMinutes(1))
            yield return $"Frames:MaxDecodeTime is {MaxDecodeTime}; expected 00:00:00.001 to 00:01:00";
        if (MaxClockSkew < TimeSpan.FromSeconds(1) || MaxClockSkew > TimeSpan.FromDays(1))
            yield return $"Frames:MaxClockSkew is {MaxClockSkew}; expected 00:00:01 to 1.00:00:00";
        if (MaxBufferedBytes < MaxBytes)
            yield return $"Frames:MaxBufferedBytes is {MaxBufferedBytes}; expected at least Frames:MaxBytes ({MaxBytes})";
        if (!Enum.IsDefined(Decoder)) yield return $"Frames:Decoder is {Decoder}; expected Auto, Cpu or NvJpeg";
        if (DecodeWorkers is < 0 or > 1024) yield return $"Frames:DecodeWorkers is {DecodeWorkers}; expected 0 (one a core) to 1024";
    }
}
