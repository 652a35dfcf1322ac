using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>The scores of a package, in the order of the graph's output. A new score is one file and one entry here.</summary>
public static class ScoreRegistry
{
    /// <param name="isVariational">Whether the code is a distribution: without one there is no divergence from the prior.</param>
    public static IReadOnlyList<Score> Create(FrameSize size, bool isVariational) =>
    [
        new ReconstructionScore(), .. isVariational ? [new KlScore()] : Array.Empty<Score>(), new LatentScore(), new BandsScore(),
        new LocalScore(size),
    ];
}
