using System.Globalization;
using System.Text;
using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary>The CSV of scored frames: <c>file</c>, <c>score</c>, a column a named score, <c>p_value</c>,
/// <c>onset</c> and <c>onset_p_value</c> (empty where there is none), <c>martingale</c>.</summary>
internal sealed class ScoreTable
{
    private readonly StringBuilder _csv = new();
    private readonly int _columns;

    public ScoreTable(ModelCard card)
    {
        _columns = card.Scores.Count + 5;
        _csv.AppendJoin(',', ["file", "score", .. card.Scores, "p_value", "onset", "onset_p_value", "martingale"]).Append('\n');
    }

    /// <param name="combined">What the p-value ranks.</param>
    public void Add(string file, double combined, ReadOnlySpan<float> scores, in Verdict verdict)
    {
        _csv.Append(Quoted(file)).Append(CultureInfo.InvariantCulture, $",{combined:R}");
        foreach (float score in scores) _csv.Append(CultureInfo.InvariantCulture, $",{score:R}");
        _csv.Append(CultureInfo.InvariantCulture, $",{verdict.PValue:R},{verdict.Onset:R},{verdict.OnsetPValue:R},");
        _csv.Append(CultureInfo.InvariantCulture, $"{verdict.Martingale:R}\n");
    }

    /// <summary>A frame that could not be scored.</summary>
    public void AddEmpty(string file) => _csv.Append(Quoted(file)).Append(',', _columns).Append('\n');

    public void Write(string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        string aside = file + ".writing";
        File.WriteAllText(aside, _csv.ToString());
        File.Move(aside, file, overwrite: true);
    }

    private static string Quoted(string field) =>
        field.AsSpan().ContainsAny(",\"\n\r") ? "\"" + field.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"" : field;
}
