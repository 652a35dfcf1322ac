using OutlierPipeline.Frames;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training.Scores;

/// <summary>The scores of a package, in the order of the graph's output. A new score is one file and one entry here.</summary>
public static class ScoreRegistry
{
    /// <param name="isVariational">Whether the code is a distribution: without one there is no divergence from the prior.</param>
    /// <param name="critic">The discriminator of the training, where there was one.</param>
    public static IReadOnlyList<Score> Create(FrameSize size, bool isVariational, Critic? critic = null) =>
    [
        new ReconstructionScore(), .. isVariational ? [new KlScore()] : Array.Empty<Score>(), new LatentScore(), new BandsScore(),
        new LocalScore(size), .. critic is null ? Array.Empty<Score>() : [new CriticScore(critic)],
    ];
}
