using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary>The second graph that a package has, or gets from a package of pairs (<c>outlier calibrate --second</c>).</summary>
/// <param name="Combines">Its scores that join the combined one.</param>
internal sealed record SecondAttachment(SecondCard Card, ReadOnlyMemory<byte> Graph, string Directory, string[] Combines)
{
    /// <summary>What trained it, where it comes from a package of pairs that says so; else null.</summary>
    private KnownFootage.FrameSet? Training { get; init; }

    /// <summary>Scores that join the combined one unless others are named: those that look at places.</summary>
    private static readonly string[] Places = [SecondGraph.Resynthesis, SecondGraph.Classes];

    /// <param name="pairs">A package of pairs; null for what the package has itself.</param>
    /// <param name="combines">Names of scores; none for the package's own choice, or those of places.</param>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="CommandException">It has no such score.</exception>
    /// <exception cref="ModelPackageException">The package of pairs has no second graph, or is damaged.</exception>
    public static SecondAttachment? Of(ModelPackage package, string? pairs, string[] combines)
    {
        if (pairs is null && package.Card.Second is null)
            return combines.Length == 0 ? null
                : throw new CommandException($"--combine goes with --second: {package.Path} has no second graph");
        SecondCard second;
        ReadOnlyMemory<byte> graph;
        if (pairs is null)
        {
            (second, graph) = (package.Card.Second!, package.Second!.Value);
        }
        else
        {
            var (card, bytes) = ModelPackage.ReadTranslator(pairs, SecondGraph.FileName);
            var maps = card.Network.Translation!;
            graph = bytes;
            second = new SecondCard
            {
                Scores = maps.Second ?? [],
                Classes = maps.Classes,
                Source = $"{card.Name} {card.Version}",
                Height = card.Network.Height,
                Width = card.Network.Width,
            };
        }
        if (combines.Except(second.Scores).FirstOrDefault() is { } unknown)
            throw new CommandException($"--combine {unknown}: the second graph has {string.Join(", ", second.Scores)}");
        if (combines.Length == 0)
            combines = [.. (pairs is null ? package.Default.Calibration.Second?.Combines : null) ?? Places.Intersect(second.Scores)];
        return new SecondAttachment(second, graph, pairs ?? package.Path, combines)
        {
            Training = pairs is not null && ModelPackage.ReadCard(pairs).Files.ContainsKey(KnownFootage.FileName)
                ? KnownFootage.Parse(ModelPackage.ReadFile(pairs, KnownFootage.FileName)).Training : null,
        };
    }

    /// <summary>What trained either graph trained the package.</summary>
    public KnownFootage AddTo(KnownFootage known) => Training is null ? known : known with { Training = known.Training.And(Training) };

    /// <exception cref="CommandException">Some of the frames trained the second graph.</exception>
    public void CheckUnseen(DecodedFootage footage)
    {
        if (Training is null) return;
        var known = new KnownFootage { Training = Training, Calibration = new([], []) };
        foreach (var drive in footage.Drives.Where(drive => known.With(footage, drive) == Acquaintance.Trained))
            throw new CommandException($"{KnownFootage.NameOf(footage, drive)}: some of these frames trained the second graph, and what " +
                "trains must not calibrate");
    }

    /// <summary>The calibration with what both graphs say of its frames.</summary>
    /// <param name="footage">At the second graph's size.</param>
    /// <param name="rows">The first graph's scores of the footage, which calibrated it.</param>
    public Calibration Calibrate(Calibration first, DecodedFootage footage, float[][] rows, bool[] isNew,
        CancellationToken cancellation)
    {
        float[][] own = Score(footage, cancellation);
        int[] drives = [.. footage.Drives.Select(drive => drive.Count)];
        return first with
        {
            Second = SecondCalibration.Fit(first, Card.Scores, Combines, rows, own, drives, isNew),
        };
    }

    /// <summary>Every frame's scores by the second graph, n rows of S.</summary>
    public float[][] Score(DecodedFootage footage, CancellationToken cancellation)
    {
        using var scorer = new SecondScorer(Graph, Card, Directory);
        float[][] rows = new float[footage.Count][];
        for (int i = 0; i < rows.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            rows[i] = scorer.Score(footage[i], footage.Size);
        }
        return rows;
    }
}
