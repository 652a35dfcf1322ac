using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>What a score is computed from, for a batch of N frames.</summary>
/// <param name="Image"><c>[N, 3, H, W]</c>, from −0.5 to 0.5.</param>
/// <param name="Residual">Image less reconstruction, <c>[N, 3, H, W]</c>.</param>
/// <param name="Mean">Mean of the code, <c>[N, Z]</c>.</param>
/// <param name="LogVariance">Its log-variance, <c>[N, Z]</c>.</param>
public sealed record ScoreInputs<T>(FrameSize Size, T Image, T Residual, T Mean, T LogVariance);
