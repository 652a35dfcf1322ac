using System.Globalization;
using System.Text;
using System.Text.Json;
using OutlierPipeline.Evaluation;

namespace OutlierPipeline.Training.Judging;

/// <summary><c>report.json</c> of <c>outlier evaluate --leave-one-drive-out</c>, and the same as tables.</summary>
/// <param name="Frames">Normal frames that each kind was drawn over at most.</param>
/// <param name="Columns">Names of all detectors' scores; those of the package first.</param>
/// <param name="Mean">Over the drives of enough frames.</param>
internal sealed record DriveReport(string Command, int Seed, int Frames, IReadOnlyList<string> Columns,
    IReadOnlyList<JudgedDrive> Drives, IReadOnlyList<KindFigures> Mean)
{
    /// <summary>Sets of fewer frames are reported, and no part of any mean.</summary>
    public const int MinFrames = 50;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>The figures of the columns that tell detectors from each other, in Markdown.</summary>
    public string ToMarkdown(IReadOnlyList<string> columns)
    {
        var text = new StringBuilder();
        Table(text, ["kind, mean over drives", .. columns], Mean.Select(kind => Row(kind, columns)));
        foreach (var drive in Drives)
        {
            string few = drive.Frames < MinFrames ? ", too few to bind anybody" : "";
            Table(text, [$"{drive.Drive}, {drive.Frames} frames{few}", .. columns], drive.Kinds.Select(kind => Row(kind, columns)));
        }
        Table(text, ["drive", "what the model knew of it", "frames that trained", "p ≤ 0.05, 95 % interval"], Drives.Select(drive => new[]
        {
            drive.Drive, drive.Acquaintance, Text($"{drive.TrainingFrames}"),
            Text($"{drive.StrangeRate:P1} ({drive.StrangeRateCi[0]:P1} to {drive.StrangeRateCi[1]:P1})"),
        }));
        return text.ToString();
    }

    private static string[] Row(KindFigures kind, IReadOnlyList<string> columns) =>
    [
        $"{kind.Group} {kind.Kind}",
        .. columns.Select(column => kind.Auroc[column]).Select(area =>
            Text($"{area.Auroc:0.000} ({area.Ci[0]:0.000} to {area.Ci[1]:0.000})")),
    ];

    private static void Table(StringBuilder text, string[] header, IEnumerable<string[]> rows)
    {
        Line(header);
        Line([.. header.Select(_ => "---")]);
        foreach (string[] row in rows) Line(row);
        text.AppendLine();

        void Line(string[] cells) => text.Append("| ").AppendJoin(" | ", cells).AppendLine(" |");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A drive, judged by a model that did not see it.</summary>
/// <param name="Acquaintance">What the model had to do with it, in lower case.</param>
/// <param name="TrainedOn">The drives that trained and calibrated the model.</param>
/// <param name="StrangeRate">Share of its normal frames with a p-value of at most 0.05.</param>
internal sealed record JudgedDrive(string Drive, int Frames, string Acquaintance, IReadOnlyList<string> TrainedOn, int TrainingFrames,
    double StrangeRate, double[] StrangeRateCi, IReadOnlyList<KindFigures> Kinds);

/// <summary>One kind of outlier against the normal frames, by every score.</summary>
/// <param name="Group">A, B or <c>real</c>; the mean of a group has the kind <c>mean</c>.</param>
internal sealed record KindFigures(string Group, string Kind, IReadOnlyDictionary<string, Area> Auroc);

/// <summary>An AUROC with the 95 % interval of a bootstrap of blocks.</summary>
internal sealed record Area(double Auroc, double[] Ci)
{
    /// <param name="replicates">The first is the figure.</param>
    public static Area Of(double[] replicates)
    {
        var (low, high) = DetectionMetrics.Interval(replicates[1..]);
        return new Area(Math.Round(replicates[0], 4), [Math.Round(low, 4), Math.Round(high, 4)]);
    }
}
