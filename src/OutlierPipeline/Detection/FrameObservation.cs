using OutlierPipeline.Alerts;

namespace OutlierPipeline.Detection;

/// <summary>One scored frame.</summary>
public readonly ref struct FrameObservation
{
    public required FrameRef Frame { get; init; }

    /// <summary>What the record says of the time.</summary>
    public RecordTime Record { get; init; }

    /// <summary>S scores.</summary>
    public required ReadOnlySpan<float> Scores { get; init; }

    /// <summary><c>[h, w]</c>.</summary>
    public required ReadOnlySpan<float> ErrorMap { get; init; }

    /// <summary><c>[H, W, 3]</c> uint8, RGB.</summary>
    public required ReadOnlySpan<byte> Pixels { get; init; }
}
