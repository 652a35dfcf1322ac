using System.Globalization;
using System.Net;
using System.Text;
using OutlierPipeline.Evaluation;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>
/// <c>report.html</c>: one self-contained file for people; figures as in <c>report.json</c>, charts as SVG, pictures inside.
/// </summary>
internal sealed class HtmlReport(Evaluator evaluator, EvaluationReport report)
{
    private const int Pictures = 6;

    internal const string Style = """
        :root { color-scheme: light dark; }
        body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
        body { background: Canvas; color: CanvasText; }
        h1 { font-size: 1.6rem; } h2 { margin-top: 2.2rem; font-size: 1.2rem; }
        table { border-collapse: collapse; } th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #8884; }
        th:first-child, td:first-child, td.text { text-align: left; }
        .good { color: #1a7f37; } .bad { color: #d1242f; font-weight: 600; }
        figure { display: inline-block; margin: .4rem .8rem .4rem 0; } figure img { max-width: 100%; image-rendering: pixelated; }
        figcaption { font-size: .8rem; max-width: 330px; overflow-wrap: anywhere; }
        .chart { background: #fff; display: inline-block; } .chart svg { max-width: 100%; height: auto; display: block; }
        code { overflow-wrap: anywhere; } .wide { overflow-x: auto; }
        """;

    private readonly StringBuilder _html = new();

    public string Write()
    {
        _html.Append(CultureInfo.InvariantCulture, $"<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta " +
            $"name=\"viewport\" content=\"width=device-width\"><title>Evaluation of " +
            $"{Encode(report.Model)}</title><style>{Style}</style></head><body><main>");
        _html.Append(CultureInfo.InvariantCulture,
            $"<h1>Evaluation of {Encode(report.Model)} {Encode(report.ModelVersion)}</h1><p><code>{Encode(report.Command)}</code></p>");
        WriteNormal();
        WriteOutliers();
        WriteSlices();
        WriteCorruptions();
        WriteLatent();
        _html.Append("</main></body></html>\n");
        return _html.ToString();
    }

    private void WriteNormal()
    {
        var normal = report.Normal;
        string earliest = normal.ShortestDelaySeconds is { } seconds
            ? Text($"after {seconds:0.0} s at the earliest")
            : "but this calibration is too small for it to open any";
        Heading("Normal footage");
        _html.Append(CultureInfo.InvariantCulture, $"<p>{normal.Frames} frames. A p-value of at most {normal.Level} is a false alarm of " +
            $"a frame: <b>{normal.FalseAlarmRate:P2}</b> were (95 % interval {normal.FalseAlarmRateCi[0]:P2} to " +
            $"{normal.FalseAlarmRateCi[1]:P2}). The detector opened {normal.Incidents} false incidents.</p><p>The footage that " +
                    $"calibrated can support a false-alarm rate of {normal.SupportedRate:P2} a frame and no smaller one. Guaranteed " +
                    $"evidence opens at most {normal.BoundPerCameraDay:0.##} false incidents a camera-day on average, " +
                            $"{earliest}; large deviations are found sooner, by extrapolation.</p>");
        Table(["level", "share of normal frames at or below it"], normal.FalseAlarmRates.Select(rate =>
            new[] { rate.Key, Text($"{rate.Value:P2}") }));
        Table(["set", "drive", "frames", "which", "of its frames at or below the level"], report.Drives.Select(drive =>
            new[] { drive.Set, drive.Drive, Text($"{drive.Frames}"), EvaluateCommand.Meaning(drive.Acquaintance),
            Text($"{drive.StrangeRate:P2}") }));
        _html.Append("<h3>Worst false alarms</h3><p>The normal frames that were strangest: frame, and the same with the error map.</p>");
        Show(evaluator.Normal, Enumerable.Range(0, evaluator.Normal.Combined.Length).OrderByDescending(i => evaluator.Normal.Combined[i]));
    }

    private void WriteOutliers()
    {
        if (report.Outliers.Count == 0) return;
        Heading("Outliers");
        Table(["outliers", "frames", "AUROC", "95 % interval", "AUPR", "FPR at 95 % TPR", "delay, frames", "drives found"],
            report.Outliers.Select(set => new[]
        {
            set.Key, Text($"{set.Value.Frames}"), Text($"{set.Value.Auroc:0.000}"),
                Text($"{set.Value.AurocCi[0]:0.000} to {set.Value.AurocCi[1]:0.000}"), Text($"{set.Value.Aupr:0.000}"),
                Text($"{set.Value.Fpr95:0.000}"), Delay(set.Value.DetectionDelayFrames),
                Text($"{set.Value.DetectedDrives} of {set.Value.Drives}"),
        }));
        string[] scores = [.. evaluator.Package.Card.Scores];
        _html.Append("<h3>Each score on its own (AUROC)</h3>");
        Table(["outliers", .. scores, "combined"], report.Outliers.Select(set =>
            new[] { set.Key }.Concat(scores.Select(score => Text($"{set.Value.Scores[score].Auroc:0.000}")))
            .Append(Text($"{set.Value.Auroc:0.000}")).ToArray()));
        Chart(ReportCharts.Roc(evaluator));
        foreach (var set in evaluator.Outliers)
        {
            _html.Append(CultureInfo.InvariantCulture, $"<h3>{Encode(set.Name)}</h3>");
            Chart(ReportCharts.Histogram(evaluator.Normal, set));
            _html.Append("<p>Worst misses: the outliers that were least strange.</p>");
            Show(set, Enumerable.Range(0, set.Combined.Length).OrderBy(i => set.Combined[i]));
        }
    }

    private void WriteSlices()
    {
        if (report.Slices is not { } slices) return;
        Heading("Slices");
        _html.Append(CultureInfo.InvariantCulture, $"<p>Parts of the normal frames. The threshold is the one that " +
            $"{report.Normal.Level:P0} of all normal frames pass: where a slice passes it more often, its frames raise more false alarms " +
            $"than others. By p-values of its own, a slice's frames are ranked among its others alone.</p>");
        Table(EvaluateCommand.SliceColumns(slices), EvaluateCommand.SliceRows(slices));
        Chart(ReportCharts.Slices(slices, report.Normal.Level));
        foreach (var slice in evaluator.Slices.Where(slice => slice.By == Slices.Clusters))
        {
            _html.Append(CultureInfo.InvariantCulture, $"<h3>{Encode(slice.Name)}</h3>");
            Show(evaluator.Normal, Enumerable.Range(0, Pictures).Select(k =>
                slice.Frames[(int)((long)k * (slice.Frames.Length - 1) / (Pictures - 1))]).Distinct());
        }
    }

    private void WriteCorruptions()
    {
        if (report.Corruptions is not { } corruptions) return;
        Heading("Corruptions");
        _html.Append(CultureInfo.InvariantCulture, $"<p>AUROC against the normal frames, on {corruptions.Frames} of them, seed " +
            $"{corruptions.Seed}; the delay is that of streams at severity 3 that begin normally.</p>");
        string[] severities = [.. corruptions.MeanAuroc.Keys];
        Table(["kind", "group", .. severities, "delay, frames", "streams found", "within 15 frames", "by onset"],
            corruptions.Kinds.Select(kind =>
            new[] { kind.Key, kind.Value.Group }
            .Concat(severities.Select(severity => kind.Value.Auroc.TryGetValue(severity, out double area) ? Text($"{area:0.000}") : ""))
            .Append(Delay(kind.Value.DetectionDelayFrames)).Append(Text($"{kind.Value.DetectedSequences} of {kind.Value.Sequences}"))
            .Append(Text($"{kind.Value.FoundWithin15}")).Append(Text($"{kind.Value.FoundByOnset}")).ToArray())
            .Append(["mean", "", .. corruptions.MeanAuroc.Values.Select(area => Text($"{area:0.000}")), "", "", "", ""]));
        Chart(ReportCharts.Severity(corruptions));
        WriteCauses(corruptions, severities);
        foreach (var (name, kind) in corruptions.Kinds.Where(kind => kind.Value.PixelAuroc is not null))
        {
            _html.Append(CultureInfo.InvariantCulture, $"<h3>Where: {Encode(name)}, by pixel</h3>");
            Table(["severity", .. severities],
                [["AUROC of the error map", .. kind.PixelAuroc!.Values.Select(area => Text($"{area:0.000}"))],
                ["average precision", .. kind.PixelAveragePrecision!.Values.Select(area => Text($"{area:0.000}"))]]);
        }
        _html.Append("<h3>Each score on its own at severity 3 (AUROC)</h3>");
        string[] scores = [.. evaluator.Package.Card.Scores];
        Table(["kind", .. scores, "combined"], corruptions.Kinds.Where(kind => kind.Value.Auroc.Count > 0).Select(kind =>
            new[] { kind.Key }.Concat(scores.Select(score => Text($"{kind.Value.ScoreAuroc[score]["3"]:0.000}")))
            .Append(Text($"{kind.Value.Auroc["3"]:0.000}")).ToArray()));
    }

    private void WriteCauses(CorruptionFigures corruptions, string[] severities)
    {
        var named = corruptions.Kinds.Where(kind => kind.Value.Causes is not null).ToArray();
        if (named.Length == 0) return;
        _html.Append("<h3>What it looks like</h3><p>Share of the frames with the right cause by severity, and of the incidents of the " +
            "streams. Right for a kind that the model has not learned is unknown.</p>");
        Table(["kind", "right", .. severities, "incidents: right", "unknown", "wrong"], named.Select(kind =>
            new[] { kind.Key, kind.Value.Causes!.Values.First().Expected! }
            .Concat(severities.Select(severity => Text($"{kind.Value.Causes[severity].Right:0.00}")))
            .Append(Text($"{kind.Value.StreamCauses?.Right:0.00}")).Append(Text($"{kind.Value.StreamCauses?.Unknown:0.00}"))
            .Append(Text($"{kind.Value.StreamCauses?.Wrong:0.00}")).ToArray()));
    }

    private void WriteLatent()
    {
        Heading("Latent space");
        _html.Append("<div class=\"wide\"><table><tr><th>figure</th><th>value</th><th>expected</th><th></th><th></th></tr>");
        foreach (var diagnostic in report.Latent)
            _html.Append(CultureInfo.InvariantCulture, $"<tr><td>{Encode(diagnostic.Name)}</td><td>{diagnostic.Value:0.###}</td>" +
                $"<td>{Encode(diagnostic.Expected)}</td><td class=\"{(diagnostic.IsGood ? "good\">good" : "bad\">look")}</td>" +
                $"<td class=\"text\">{Encode(diagnostic.Advice)}</td></tr>");
        _html.Append("</table></div>");
        if (report.Information is { } information)
            _html.Append(CultureInfo.InvariantCulture, $"<p>Of the KL divergence, {information.MutualInformation:0.0} nats say something " +
                $"of the frame, {information.TotalCorrelation:0.0} are the units' dependence on each other, and " +
                $"{information.DimensionKl:0.0} their own distance from the prior.</p>");
        if (report.KlPerUnit.Length > 0) Chart(ReportCharts.KlPerUnit(report.KlPerUnit));
    }

    private void Heading(string text) => _html.Append(CultureInfo.InvariantCulture, $"<h2>{Encode(text)}</h2>");

    private void Chart(string svg) => _html.Append(CultureInfo.InvariantCulture, $"<div class=\"chart\">{svg}</div>");

    private void Table(IEnumerable<string> header, IEnumerable<string[]> rows)
    {
        _html.Append("<div class=\"wide\"><table><tr>");
        foreach (string cell in header) _html.Append(CultureInfo.InvariantCulture, $"<th>{Encode(cell)}</th>");
        _html.Append("</tr>");
        foreach (string[] row in rows)
        {
            _html.Append("<tr>");
            foreach (string cell in row) _html.Append(CultureInfo.InvariantCulture, $"<td>{Encode(cell)}</td>");
            _html.Append("</tr>");
        }
        _html.Append("</table></div>");
    }

    /// <summary>The first frames of an order, none near another: neighbours look alike.</summary>
    private void Show(ScoredSet set, IEnumerable<int> order)
    {
        var shown = new List<int>();
        foreach (int i in order)
        {
            if (shown.Any(other => Math.Abs(other - i) < 5)) continue;
            shown.Add(i);
            string picture = Convert.ToBase64String(set.Picture(i, evaluator.Engine, evaluator.Mask));
            string name = set.Footage.NameOf(i);
            _html.Append(CultureInfo.InvariantCulture, $"<figure><img alt=\"{Encode(name)}: frame and error map\" " +
                $"src=\"data:image/jpeg;base64,{picture}\"><figcaption>{Encode(Path.GetFileName(name))}: score {set.Combined[i]:0.00}, p " +
                $"{set.Verdicts[i].PValue:0.0000}</figcaption></figure>");
            if (shown.Count == Pictures) break;
        }
    }

    private static string Delay(double? frames) => frames is { } value ? Text($"{value:0.#}") : "not found";

    private static string Text(FormattableString text) => FormattableString.Invariant(text);

    private static string Encode(string text) => WebUtility.HtmlEncode(text);
}
