using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Pipeline;

/// <summary>What became of one scored frame; its memory is valid during the call only.</summary>
public readonly ref struct ObservedFrame
{
    public required string Camera { get; init; }

    public required FrameRef At { get; init; }

    public required ModelPackage Package { get; init; }

    public required Verdict Verdict { get; init; }

    /// <summary>The open incident's id, or null.</summary>
    public required string? Incident { get; init; }

    public required bool IsShadow { get; init; }

    /// <summary>What is wrong with the camera's clock.</summary>
    public ClockFault ClockFault { get; init; }

    /// <summary>Frames of the camera whose time was corrected since the process began.</summary>
    public long ClockCorrections { get; init; }

    /// <summary>S scores.</summary>
    public required ReadOnlySpan<float> Scores { get; init; }

    /// <summary><c>[h, w]</c>.</summary>
    public required ReadOnlySpan<float> ErrorMap { get; init; }

    /// <summary>The code's mean, Z values.</summary>
    public required ReadOnlySpan<float> Latent { get; init; }

    /// <summary><c>[H, W, 3]</c> uint8, RGB.</summary>
    public required ReadOnlySpan<byte> Pixels { get; init; }

    /// <summary>The picture as it was received.</summary>
    public required ReadOnlySpan<byte> Encoded { get; init; }
}

/// <summary>Looks at a scored frame.</summary>
public delegate void FrameObserver(in ObservedFrame frame);
