namespace OutlierPipeline.Service.Level;

/// <summary>What a normal drive scored, until it is one of those that calibrate.</summary>
internal sealed class NormalDriveRow
{
    /// <summary>Digest of the package as it was loaded: scores of another one, or drives that another judged, do not count.</summary>
    public required string Package { get; init; }

    public required string Camera { get; init; }

    public required long FromNanoseconds { get; init; }

    public required long ToNanoseconds { get; init; }

    public required double StepSeconds { get; init; }

    public required int Frames { get; init; }

    /// <summary>[frames, S] float32, little-endian.</summary>
    public required byte[] Scores { get; init; }
}

/// <summary>A calibration by so many normal drives, to be taken over or taken over already.</summary>
internal sealed class LevelCalibrationRow
{
    public required string Package { get; init; }

    public required int Drives { get; init; }

    public required int Frames { get; init; }

    /// <summary>When the first of the drives began, and the last ended.</summary>
    public required long FromNanoseconds { get; init; }

    public required long ToNanoseconds { get; init; }

    /// <summary>As in <c>calibration.json</c>.</summary>
    public required byte[] Json { get; init; }

    public required long MadeMilliseconds { get; init; }

    /// <summary>Null until it was taken over.</summary>
    public long? TakenMilliseconds { get; set; }

    public string? TakenBy { get; set; }
}
