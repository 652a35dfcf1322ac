namespace OutlierPipeline.Training.Scores;

/// <summary>The scores of a package, in the order of the graph's output. A new score is one file and one entry here.</summary>
public static class ScoreRegistry
{
    public static IReadOnlyList<Score> Create() => [new ReconstructionScore(), new KlScore(), new LatentScore(), new StatisticsScore(), new BandsScore(), new LocalScore()];
}
