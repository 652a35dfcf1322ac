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
    private const int Severity = 3;
    private const int Seed = 1;

    /// <summary>Frames that a frozen strip is behind the rest.</summary>
    private const int Stale = 5;

    private static readonly (string Kind, string[] Corruptions)[] Choosing =
    [
        ("blur", ["defocus-blur", "motion-blur"]), ("fog", ["fog"]), ("snow", ["snow"]),
        ("noise", ["gaussian-noise", "shot-noise", "impulse-noise"]), ("dirt", ["lens-dirt"]), ("obstacle", ["obstacle"]),
    ];

    private static readonly (string Kind, string[] Corruptions)[] Judging =
    [
        ("rain", ["rain"]), ("dead rows", ["dead-rows"]), ("colour cast", ["colour-cast"]), ("dusk", ["underexposure"]),
        ("glare", ["overexposure"]), ("frozen strips", ["frozen-strips"]),
    ];

    public static async Task<int> RunAsync(string[] arguments)
    {
        var model = new Option<string>("--model") { Required = true };
        var normal = new Option<string[]>("--normal") { Required = true, AllowMultipleArgumentsPerToken = true };
        var outlier = new Option<string[]>("--outlier") { AllowMultipleArgumentsPerToken = true };
        var frames = new Option<int>("--frames") { DefaultValueFactory = _ => 150 };
        var chooses = new Option<bool>("--only-choosing");
        var combinations = new Option<bool>("--combinations");
        var command = new RootCommand { model, normal, outlier, frames, chooses, combinations };
        command.SetAction(async (options, cancellation) =>
        {
            var package = ModelPackage.Load(options.GetRequiredValue(model));
            using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
            using var scorer = new FootageScorer(engine);
            using var footage = await LoadAsync(options.GetRequiredValue(normal), package, cancellation);
            string[] names = ["combined", .. package.Card.Scores];
            float[][] normalRows = scorer.Score(footage, null, cancellation);
            double[][] baseline = Columns(package, normalRows);
            var ofKinds = new List<float[][][]>();
            Console.WriteLine($"{package.Card.Name}: {footage.Count} normal frames");
            Console.WriteLine(Line("", names));
            foreach (string set in options.GetValue(outlier) ?? [])
            {
                string[] parts = set.Split('=', 2);
                using var outliers = await LoadAsync([parts[1]], package, cancellation);
                double[][] columns = Columns(package, scorer.Score(outliers, null, cancellation));
                Console.WriteLine(Line($"{parts[0]} ({outliers.Count})", Areas(baseline, columns)));
            }
            int count = Math.Min(options.GetValue(frames), footage.Count);
            int[] chosen = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * footage.Count / count))];
            foreach (var (group, kinds) in new[] { ("A", Choosing), ("B", Judging) }.Take(options.GetValue(chooses) ? 1 : 2))
            {
                var sums = new double[names.Length];
                foreach (var (kind, corruptions) in kinds)
                {
                    double[] areas = new double[names.Length];
                    float[][][] rows = [.. corruptions.Select(corruption => Score(scorer, footage, chosen, corruption, cancellation))];
                    if (group == "A") ofKinds.Add(rows);
                    foreach (float[][] corrupted in rows)
                    {
                        double[] part = Areas(baseline, Columns(package, corrupted));
                        for (int k = 0; k < part.Length; k++) areas[k] += part[k] / corruptions.Length;
                    }
                    for (int k = 0; k < areas.Length; k++) sums[k] += areas[k] / kinds.Length;
                    Console.WriteLine(Line($"{group} {kind}", areas));
                }
                Console.WriteLine(Line($"{group} mean", sums));
            }
            if (options.GetValue(combinations)) Combine(package, normalRows, ofKinds);
            return 0;
        });
        return await command.Parse(arguments).InvokeAsync();
    }

    /// <summary>The mean over the kinds A of every combination of two to five scores, by soft maximum and by sum, the best first.</summary>
    private static void Combine(ModelPackage package, float[][] normal, List<float[][][]> kinds)
    {
        var calibration = package.Default.Calibration;
        int scores = package.Card.Scores.Count;
        var found = new List<(string Name, double Mean, double Worst)>();
        for (int set = 1; set < 1 << scores; set++)
        {
            int[] parts = [.. Enumerable.Range(0, scores).Where(k => (set >> k & 1) == 1)];
            if (parts.Length is < 2 or > 5) continue;
            foreach (bool isSum in new[] { false, true })
            {
                double[] baseline = Combined(normal);
                double[] areas = [.. kinds.Select(kind => kind.Average(rows => DetectionMetrics.Auroc(baseline, Combined(rows))))];
                string names = string.Join(" + ", parts.Select(k => package.Card.Scores[k]));
                found.Add(($"{(isSum ? "sum" : "soft maximum")} of {names}", areas.Average(), areas.Min()));

                double[] Combined(float[][] rows) => [.. rows.Select(row =>
                {
                    double[] values = [.. parts.Select(k => calibration.Standardise(k, row[k]))];
                    return isSum ? values.Sum() : Math.Log(values.Sum(value => Math.Exp(Math.Min(600, 4 * value)))) / 4;
                })];
            }
        }
        foreach (var (name, mean, worst) in found.OrderByDescending(combination => combination.Mean))
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{mean:0.000} worst {worst:0.000} {name}"));
    }

    private static float[][] Score(FootageScorer scorer, DecodedFootage footage, int[] chosen, string corruption,
        CancellationToken cancellation)
    {
        float[][] rows = new float[chosen.Length][];
        var size = footage.Size;
        scorer.Score(
            chosen.Length,
            (i, rgb) =>
            {
                footage.Read(chosen[i], rgb);
                if (corruption == "frozen-strips")
                {
                    // Two strips of a twelfth of the height stand still.
                    byte[] old = footage[Math.Max(0, chosen[i] - Stale)];
                    foreach (int top in new[] { size.Height / 3, size.Height * 3 / 4 })
                    {
                        int from = top * size.Width * 3;
                        old.AsSpan(from, size.Height / 12 * size.Width * 3).CopyTo(rgb[from..]);
                    }
                    return;
                }
                CorruptionSuite.All.Single(candidate => candidate.Name == corruption).Apply(rgb, size, Severity, Seed, chosen[i]);
            },
            null,
            (i, batch, slot) => rows[i] = batch.Scores(slot).ToArray(),
            cancellation);
        return rows;
    }

    /// <summary>The combined score of each frame, then each score.</summary>
    private static double[][] Columns(ModelPackage package, float[][] rows) =>
    [
        [.. rows.Select(row => package.Default.Calibration.Combine(row))],
        .. package.Card.Scores.Select((_, k) => rows.Select(row => (double)row[k]).ToArray()),
    ];

    private static double[] Areas(double[][] normal, double[][] outliers) =>
        [.. normal.Zip(outliers, (a, b) => DetectionMetrics.Auroc(a, b))];

    private static Task<DecodedFootage> LoadAsync(string[] inputs, ModelPackage package, CancellationToken cancellation) =>
        new FootageLoader().LoadAsync(inputs, package.Card.Network.Size, cancellation);

    private static string Line(string first, double[] areas) =>
        Line(first, [.. areas.Select(area => area.ToString("0.000", CultureInfo.InvariantCulture))]);

    private static string Line(string first, string[] columns) =>
        first.PadRight(22) + string.Concat(columns.Select(column => (column.Length > 10 ? column[..10] : column).PadLeft(11)));
}
