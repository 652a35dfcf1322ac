using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>What a score is computed from, for a batch of N frames.</summary>
/// <param name="Image"><c>[N, 3, H, W]</c>, from −0.5 to 0.5; the mean training picture where the mask is 0.</param>
/// <param name="Residual">Image less reconstruction, <c>[N, 3, H, W]</c>; 0 where the mask is 0.</param>
/// <param name="Mask">The region of interest, <c>[N or 1, 1, H, W]</c>, 1 or 0: what is outside must not move any score.</param>
/// <param name="Mean">Mean of the code, <c>[N, Z]</c>.</param>
/// <param name="LogVariance">Its log-variance, <c>[N, Z]</c>; none where the code is a point.</param>
/// <param name="Patches">Measurements of each patch, shared by several scores.</param>
public sealed record ScoreInputs<T>(FrameSize Size, T Image, T Residual, T Mask, T Mean, T? LogVariance, PatchFeatures<T> Patches);
