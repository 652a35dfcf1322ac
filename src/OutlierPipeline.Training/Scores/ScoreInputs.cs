using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>What a score is computed from, for a batch of N frames.</summary>
/// <param name="Mean">Mean of the code, <c>[N, Z]</c>.</param>
/// <param name="LogVariance">Its log-variance, <c>[N, Z]</c>; none where the code is a point.</param>
/// <param name="Patches">Measurements of each patch, shared by several scores; what the mask leaves out moves none of them.</param>
public sealed record ScoreInputs<T>(FrameSize Size, T Mean, T? LogVariance, PatchFeatures<T> Patches)
{
    /// <summary>The picture as the discriminator sees it, <c>[N, 3, H, W]</c>; none without one.</summary>
    public T? Planes { get; init; }
}
