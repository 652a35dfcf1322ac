using System.Globalization;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary>
/// <c>outlier calibrate --add-normal</c>: an incident that a person found normal gives its scores to its camera's calibration.
/// </summary>
internal static class AddNormal
{
    private const double Level = 0.05;

    /// <param name="only">The camera that the user names, or null.</param>
    /// <param name="missed">Outliers that were missed, to learn from afterwards, or null.</param>
    public static async Task<int> RunAsync(string model, string output, string incident, string source, string? report, string? only,
        MissedOutliers? missed, CancellationToken cancellation)
    {
        var package = ModelPackage.Load(model);
        var records = StoredScore.Read(source, package.Card, framesPerSecond: 10, cancellation).Where(score =>
            score.Incident == incident).ToArray();
        if (records.Length == 0)
            throw new CommandException($"{source}: no scores of incident {incident} by {package.Card.Name}: another model scored it, or " +
                $"the topic no longer has them");
        if (records.FirstOrDefault(record => record.ModelDigest != package.Digest) is { } other)
            throw new CommandException($"incident {incident} was scored by another model ({other.ModelDigest ?? "not named"}; " +
                $"{package.Card.Name} is {package.Digest}): its scores mean nothing to this one");
        string camera = records[0].Camera;
        if (only is not null && only != camera)
            throw new CommandException($"incident {incident} is of camera {camera}, not of {only}");
        var before = package.For(camera).Calibration;
        var after = before.With([.. records.Select(record => record.Scores)]);
        var lesson = missed is null
            ? null
            : await missed.TeachAsync(package, camera, after, package.For(camera).Mask, null, cancellation);
        after = lesson?.Calibration ?? after;
        var files = ModelPackageWriter.ReadAll(package);
        string name = CalibrateCommand.FileName("cameras", camera);
        files[name + ".json"] = after.ToJson();
        var known = package.Card.Cameras?.GetValueOrDefault(camera);
        var footage = known?.Footage ?? package.Card.Calibration;
        string described = $"{footage.Source}; and incident {incident}";
        if (lesson is not null) described = CalibrateCommand.Described(described, lesson);
        var own = new CameraCard
        {
            Calibration = name + ".json",
            Mask = known?.Mask,
            Footage = footage with { Source = described, Frames = footage.Frames + records.Length }
        };
        ModelPackageWriter.Write(output, package.Card.With(camera, own), files);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{records.Length} frames of incident {incident} are normal for " +
            $"camera {camera} now; every other camera's calibration is as it was; {Path.GetFullPath(output)}"));
        if (report is not null) Show(Path.Combine(report, "scores.csv"), package.Card, before, after, cancellation);
        return 0;
    }

    /// <summary>What the change does to the detections of the last evaluation.</summary>
    private static void Show(string file, ModelCard card, Calibration before, Calibration after, CancellationToken cancellation)
    {
        var table = new Table().AddColumns("set", "frames", $"p ≤ {Level} before", "after");
        foreach (var set in StoredScore.Read(file, card, framesPerSecond: 10, cancellation).GroupBy(score => score.Camera.Split('/', 2)[0]))
        {
            float[][] rows = [.. set.Select(score => score.Scores)];
            table.AddRow(Markup.Escape(set.Key), rows.Length.ToString(CultureInfo.InvariantCulture), Share(rows, before),
                Share(rows, after));
        }
        AnsiConsole.Write(table);

        static string Share(float[][] rows, Calibration calibration) =>
            string.Create(CultureInfo.InvariantCulture,
            $"{rows.Count(row => calibration.PValue(calibration.Combine(row)) <= Level) / (double)rows.Length:P1}");
    }
}
