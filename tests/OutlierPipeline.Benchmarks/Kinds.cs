using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>kinds</c>: each score's AUROC on the kinds of outliers that choose designs (A) and on those that judge them (B), as docs/quality.md
/// lays down, on normal footage of drives that trained and calibrated nothing.
/// </summary>
internal static class Kinds
{
    private const int Seed = 1;

    public static async Task<int> RunAsync(string[] arguments)
    {
        var model = new Option<string>("--model") { Required = true };
        var normal = new Option<string[]>("--normal") { Required = true, AllowMultipleArgumentsPerToken = true };
        var outlier = new Option<string[]>("--outlier") { AllowMultipleArgumentsPerToken = true };
        var frames = new Option<int>("--frames") { DefaultValueFactory = _ => 150 };
        var chooses = new Option<bool>("--only-choosing");
        var combinations = new Option<bool>("--combinations");
        var picture = new Option<FileInfo>("--picture")
        {
            Description = "A PNG with a row a score: a normal frame, the same with the kind that this score finds best, its error map"
        };
        var command = new RootCommand { model, normal, outlier, frames, chooses, combinations, picture };
        command.SetAction(async (options, cancellation) =>
        {
            var package = ModelPackage.Load(options.GetRequiredValue(model));
            using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
            using var scorer = new FootageScorer(engine);
            using var footage = await LoadAsync(options.GetRequiredValue(normal), package, cancellation);
            var outliers = new List<(string Name, DecodedFootage Footage)>();
            foreach (string[] parts in (options.GetValue(outlier) ?? []).Select(set => set.Split('=', 2)))
                outliers.Add((parts[0], await LoadAsync([parts[1]], package, cancellation)));
            var kinds = OutlierKinds.All.Where(kind => kind.Group == "A" || !options.GetValue(chooses)).ToArray();
            var trial = KindTrial.Run(footage, outliers, kinds, [FrameDetector.Of(scorer)], options.GetValue(frames), Seed, cancellation);
            foreach (var (_, real) in outliers) real.Dispose();
            Console.WriteLine($"{package.Card.Name}: {footage.Count} normal frames");
            Console.WriteLine(Line("", [.. trial.Columns]));
            double[][] areas = [.. trial.Columns.Select((_, column) => trial.Areas(column, Seed, 0).Select(kind => kind[0]).ToArray())];
            for (int k = 0; k < trial.Kinds.Count; k++)
                Console.WriteLine(Line($"{trial.Kinds[k].Group} {trial.Kinds[k].Name}", [.. areas.Select(column => column[k])]));
            foreach (string group in kinds.Select(kind => kind.Group).Distinct())
                Console.WriteLine(Line($"{group} mean", [.. areas.Select(column =>
                    column.Where((_, k) => trial.Kinds[k].Group == group).Average())]));
            if (options.GetValue(combinations)) Combine(package, trial);
            if (options.GetValue(picture) is { } file)
                await File.WriteAllBytesAsync(file.FullName, Draw(engine, footage, kinds, trial, areas), cancellation);
            return 0;
        });
        return await command.Parse(arguments).InvokeAsync();
    }

    /// <summary>
    /// A row a score, of a frame from the middle of the footage; the kind is the one by which it exceeds the other scores most, of those
    /// that no row above has.
    /// </summary>
    private static byte[] Draw(InferenceEngine engine, DecodedFootage footage, OutlierKind[] kinds, KindTrial trial, double[][] areas)
    {
        int index = footage.Count / 2;
        int real = trial.Kinds.Count - kinds.Length;
        using var decoder = new LatentDecoder(engine.Package);
        var gallery = new Gallery(engine, decoder);
        var left = Enumerable.Range(0, kinds.Length).ToList();
        byte[] rows = [.. Enumerable.Range(1, areas.Length - 1).SelectMany(score =>
        {
            int best = left.MaxBy(k => areas[score][real + k]
                - Enumerable.Range(1, areas.Length - 1).Where(other => other != score).Average(other => areas[other][real + k]));
            left.Remove(best);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"row {score}: {trial.Columns[score]}, {kinds[best].Name} ({areas[score][real + best]:0.000})"));
            byte[] drawn = new byte[footage.Size.Bytes];
            OutlierKinds.Draw(kinds[best].Corruptions[0], footage, index, drawn, OutlierKinds.Severity, Seed);
            return (byte[])[.. footage[index], .. drawn, .. gallery.ErrorMaps(drawn, null)];
        })];
        return PictureGrid.Encode(rows, footage.Size, 3);
    }

    /// <summary>The mean over the kinds A of every combination of two to five scores, by soft maximum and by sum, the best first.</summary>
    private static void Combine(ModelPackage package, KindTrial trial)
    {
        var calibration = package.Default.Calibration;
        int scores = package.Card.Scores.Count;
        double[][] normal = [.. Enumerable.Range(0, scores).Select(k => trial.Normal(k + 1))];
        var kinds = trial.Kinds.Where(kind => kind.Group == "A").Select(kind => kind.Rows).ToArray();
        var found = new List<(string Name, double Mean, double Worst)>();
        for (int set = 1; set < 1 << scores; set++)
        {
            int[] parts = [.. Enumerable.Range(0, scores).Where(k => (set >> k & 1) == 1)];
            if (parts.Length is < 2 or > 5) continue;
            foreach (bool isSum in new[] { false, true })
            {
                double[] baseline = [.. Enumerable.Range(0, normal[0].Length).Select(i => Combined(k => normal[k][i]))];
                double[] areas = [.. kinds.Select(kind => kind.Average(rows => DetectionMetrics.Auroc(baseline,
                    [.. rows.Select(row => Combined(k => row[k + 1]))])))];
                string names = string.Join(" + ", parts.Select(k => package.Card.Scores[k]));
                found.Add(($"{(isSum ? "sum" : "soft maximum")} of {names}", areas.Average(), areas.Min()));

                double Combined(Func<int, double> score)
                {
                    double[] values = [.. parts.Select(k => calibration.Standardise(k, (float)score(k)))];
                    return isSum ? values.Sum() : Math.Log(values.Sum(value => Math.Exp(Math.Min(600, 4 * value)))) / 4;
                }
            }
        }
        foreach (var (name, mean, worst) in found.OrderByDescending(combination => combination.Mean))
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{mean:0.000} worst {worst:0.000} {name}"));
    }

    private static Task<DecodedFootage> LoadAsync(string[] inputs, ModelPackage package, CancellationToken cancellation) =>
        new FootageLoader().LoadAsync(inputs, package.Card.Network.Size, cancellation);

    private static string Line(string first, double[] areas) =>
        Line(first, [.. areas.Select(area => area.ToString("0.000", CultureInfo.InvariantCulture))]);

    private static string Line(string first, string[] columns) =>
        first.PadRight(22) + string.Concat(columns.Select(column => (column.Length > 10 ? column[..10] : column).PadLeft(11)));
}
