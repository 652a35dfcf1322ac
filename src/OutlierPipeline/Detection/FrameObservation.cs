using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>One scored frame; its memory is valid during the call only.</summary>
public readonly ref struct FrameObservation
{
    public required FrameRef Frame { get; init; }

    /// <summary>What the record says of the time.</summary>
    public RecordTime Record { get; init; }

    /// <summary>S scores.</summary>
    public required ReadOnlySpan<float> Scores { get; init; }

    /// <summary><c>[h, w]</c>.</summary>
    public required ReadOnlySpan<float> ErrorMap { get; init; }

    /// <summary>What the second graph says of it; null where it was not computed.</summary>
    public SecondScores? Second { get; init; }

    /// <summary>The code's mean, Z values; empty where scores were stored without it.</summary>
    public ReadOnlySpan<float> Latent { get; init; }

    /// <summary>What the cause is told by, F values; empty where the package has no causes, or scores were stored without it.</summary>
    public ReadOnlySpan<float> Profile { get; init; }

    /// <summary><c>[H, W, 3]</c> uint8, RGB; empty where scores were stored without their picture.</summary>
    public required ReadOnlySpan<byte> Pixels { get; init; }

    /// <summary>The picture as it was received; empty where nobody has it.</summary>
    public ReadOnlySpan<byte> Encoded { get; init; }
}

/// <summary>Looks at a scored frame, at what was said of it, and at the detector of its camera as it is now.</summary>
public delegate void FrameObserver(in FrameObservation frame, in Verdict verdict, CameraDetector detector);
