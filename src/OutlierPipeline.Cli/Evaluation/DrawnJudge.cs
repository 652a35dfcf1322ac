using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>
/// <c>outlier evaluate</c> of a package that only draws: its discriminator's verdict is a score, without a calibration. The figures say how
/// well it tells outliers from normal frames, and nothing else is in the report.
/// </summary>
internal static class DrawnJudge
{
    private const int Batch = 16;

    /// <param name="Group"><c>real</c>, or A and B of docs/quality.md.</param>
    /// <param name="AurocCi">95 % block bootstrap interval.</param>
    private sealed record Figures(string Group, string Name, int Frames, double Auroc, double[] AurocCi);

    /// <summary>Whether a package has nothing but its discriminator to be judged by.</summary>
    public static bool Takes(string model) => File.Exists(Path.Combine(model, "model.json"))
        && ModelPackage.ReadCard(model).Network.OnlyDraws;

    public static async Task<int> RunAsync(EvaluationRequest request, string output, CancellationToken cancellation)
    {
        OutputPath.CheckDirectory(output);
        using var discriminator = new Discriminator(request.Model);
        var size = discriminator.Size;
        using var normal = await ToolFootage.LoadAsync("normal", request.Normal, size, camera: null, cancellation);
        var outliers = new List<(string Name, DecodedFootage Footage)>();
        foreach (var (name, input) in request.Outliers)
            outliers.Add((name, await ToolFootage.LoadAsync(name, [input], size, camera: null, cancellation)));
        bool isCorrupted = request.CorruptionFrames > 0;
        var detector = FrameDetector.Of("discriminator", size.Bytes, Batch, frames =>
            [.. discriminator.Score([.. frames.SelectMany(frame => frame)]).Select(score => (double)score)]);
        var trial = KindTrial.Run(normal, outliers, isCorrupted ? OutlierKinds.All : [], [detector],
            isCorrupted ? request.CorruptionFrames : normal.Count, request.Seed, cancellation);
        foreach (var (_, footage) in outliers) footage.Dispose();
        double[][] areas = trial.Areas(0, request.Seed);
        Figures[] figures = [.. trial.Kinds.Select((kind, k) => new Figures(kind.Group, kind.Name, kind.Rows.Sum(rows => rows.Length),
            areas[k][0], [Quantiles.Of([.. areas[k].Skip(1).Order()], 0.025), Quantiles.Of([.. areas[k].Skip(1).Order()], 0.975)]))];
        Directory.CreateDirectory(output);
        await File.WriteAllTextAsync(Path.Combine(output, "report.json"), JsonSerializer.Serialize(new
        {
            Schema = 1,
            Model = discriminator.Card.Name,
            ModelVersion = discriminator.Card.Version,
            request.Command,
            Normal = new { Frames = normal.Count },
            Discriminator = figures,
        }, EvaluationReport.Json), cancellation);
        var table = new Table().AddColumns("kind", "outliers", "frames", "AUROC of the discriminator", "95 % interval");
        foreach (var kind in figures)
            table.AddRow(new[] { kind.Group, kind.Name, Text($"{kind.Frames}"), Text($"{kind.Auroc:0.000}"),
                Text($"{kind.AurocCi[0]:0.000} to {kind.AurocCi[1]:0.000}") }.Select(Markup.Escape).ToArray());
        if (figures.Length > 0) AnsiConsole.Write(table);
        Console.WriteLine($"{discriminator.Card.Name} only draws: nothing of it is calibrated. {Path.Combine(output, "report.json")} is " +
            "written");
        return 0;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
