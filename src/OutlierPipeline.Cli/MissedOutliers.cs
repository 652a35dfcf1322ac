using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier calibrate --missed</c>: frames that a person says should have alarmed move the weights of the combination.</summary>
/// <param name="Inputs">Footage, or <c>CAMERA@FROM..TO</c>.</param>
/// <param name="Scores">Where the scores of a camera's time are read from.</param>
/// <param name="Over">Normal footage that every kind of corruption is drawn over, for the report.</param>
/// <param name="Level">The p-value that they should not exceed.</param>
internal sealed partial record MissedOutliers(IReadOnlyList<string> Inputs, string? Scores, IReadOnlyList<string> Over, double Level)
{
    private const int KindFrames = 40;
    private const int Seed = 1;

    /// <summary>Whether an input names a camera and a time.</summary>
    public static bool IsRange(string input) => Ranges().IsMatch(input) && !Path.Exists(input);

    /// <summary>Moves a calibration's weights, and shows on standard output what that does.</summary>
    /// <param name="camera">Whose calibration it is; null for that of every camera that has none of its own.</param>
    /// <param name="normal">Normal footage that is at hand, or null.</param>
    public async Task<Lesson> TeachAsync(ModelPackage package, string? camera, Calibration before, FrameMask? mask,
        DecodedFootage? normal, CancellationToken cancellation)
    {
        var pictures = Inputs.Where(input => !IsRange(input)).ToArray();
        using var engine = pictures.Length > 0 || Over.Count > 0 || normal is not null
            ? new InferenceEngine(ModelPackage.Uncalibrated(package.Card, package.Graph.ToArray(), mask), new InferenceOptions(),
                NullLogger.Instance)
            : null;
        using var scorer = engine is null ? null : new FootageScorer(engine);
        var missed = new List<float[]>();
        foreach (string range in Inputs.Where(IsRange)) missed.AddRange(Recorded(range, package, camera, cancellation));
        if (pictures.Length > 0)
        {
            using var footage = await ToolFootage.LoadAsync("missed outliers", pictures, package.Card.Network.Size, camera, cancellation);
            if (footage.Count == 0) throw new CommandException($"{string.Join(", ", pictures)}: no frame was missed there");
            missed.AddRange(scorer!.Score(footage, mask, cancellation));
        }
        var lesson = Teach(before, missed);
        Say(before, lesson);
        if (Over.Count > 0)
        {
            using var over = await ToolFootage.LoadAsync("normal footage", Over, package.Card.Network.Size, camera, cancellation);
            ShowKinds(over, scorer!, mask, before, lesson.Calibration, cancellation);
        }
        else if (normal is not null) ShowKinds(normal, scorer!, mask, before, lesson.Calibration, cancellation);
        else Console.WriteLine("What this does to each kind of corruption is shown with --over NORMAL_FOOTAGE");
        return lesson;
    }

    private Lesson Teach(Calibration before, List<float[]> missed)
    {
        try
        {
            return Lesson.Teach(before, missed, Level);
        }
        catch (ArgumentException e)
        {
            throw new CommandException($"this calibration cannot learn from missed outliers: {e.Message}");
        }
    }

    /// <summary>The recorded scores of a camera's time.</summary>
    private float[][] Recorded(string range, ModelPackage package, string? own, CancellationToken cancellation)
    {
        var match = Ranges().Match(range);
        string camera = match.Groups["camera"].Value;
        long from = Time(match.Groups["from"].Value, range);
        long to = Time(match.Groups["to"].Value, range);
        if (from >= to) throw new CommandException($"--missed {range}: the time ends before it begins");
        if (own is not null && own != camera)
            throw new CommandException($"--missed {range}: the calibration is camera {own}'s, whose scores are others");
        if (own is null && package.Card.Cameras?.ContainsKey(camera) == true)
            throw new CommandException($"--missed {range}: {camera} has a calibration of its own: say --camera {camera} to move that one");
        var rows = new List<float[]>();
        var (first, last) = (long.MaxValue, long.MinValue);
        foreach (var score in StoredScore.Read(Scores!, package.Card, FootageScorer.DefaultRate, cancellation))
        {
            if (score.Camera != camera) continue;
            (first, last) = (Math.Min(first, score.TimestampNanoseconds), Math.Max(last, score.TimestampNanoseconds));
            if (score.TimestampNanoseconds < from || score.TimestampNanoseconds > to) continue;
            if (score.ModelDigest != package.Digest)
                throw new CommandException($"--missed {range}: another model scored it ({score.ModelDigest ?? "not named"}; "
                    + $"{package.Card.Name} is {package.Digest}): its scores mean nothing to this one");
            rows.Add(score.Scores);
        }
        if (rows.Count > 0) return [.. rows];
        throw new CommandException(first > last
            ? $"--missed {range}: {Scores} has no scores of camera {camera} by {package.Card.Name}"
            : $"--missed {range}: no frame was scored then; the scores of {camera} there are from {Text(first)} to {Text(last)}");

        static string Text(long nanoseconds) =>
            DateTimeOffset.FromUnixTimeMilliseconds(nanoseconds / 1_000_000).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'",
                CultureInfo.InvariantCulture);
    }

    private static long Time(string text, string range) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? UnixNanoseconds.Of(time)
            : throw new CommandException($"--missed {range}: {text} is no time; expected CAMERA@FROM..TO, as in " +
                "car-1/front@2026-05-01T08:00:00Z..2026-05-01T08:00:30Z");

    private void Say(Calibration before, Lesson lesson)
    {
        string at = string.Create(CultureInfo.InvariantCulture, $"p ≤ {Level}");
        Console.WriteLine(lesson.Moved
            ? string.Create(CultureInfo.InvariantCulture, $"{lesson.FoundAfter} of {lesson.Missed} missed frames have {at}, ")
                + string.Create(CultureInfo.InvariantCulture, $"{lesson.FoundBefore} before; {lesson.Choosing} normal frames chose the ")
                + string.Create(CultureInfo.InvariantCulture, $"weights and {lesson.Calibrating} others calibrate them")
            : string.Create(CultureInfo.InvariantCulture,
                $"No weights find more of the {lesson.Missed} missed frames: {lesson.FoundBefore} have {at} as it is. The weights stay"));
        var weights = new Table().AddColumns("score", "weight before", "after");
        for (int k = 0; k < before.Combines.Count; k++)
            weights.AddRow(Markup.Escape(before.Combines[k]), Number(before.Weights?[k] ?? 1), Number(lesson.Calibration.Weights?[k] ?? 1));
        AnsiConsole.Write(weights);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Normal frames of the other half over the threshold that the ")
            + string.Create(CultureInfo.InvariantCulture, $"choosing half has at {at}: {lesson.NormalBefore:P1} before, ")
            + string.Create(CultureInfo.InvariantCulture, $"{lesson.NormalAfter:P1} after"));

        static string Number(double weight) => weight.ToString("0.##", CultureInfo.InvariantCulture);
    }

    /// <summary>How many frames of every kind have such a p-value, before and after.</summary>
    private void ShowKinds(DecodedFootage normal, FootageScorer scorer, FrameMask? mask, Calibration before, Calibration after,
        CancellationToken cancellation)
    {
        int count = Math.Min(KindFrames, normal.Count);
        int[] chosen = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * normal.Count / count))];
        string at = string.Create(CultureInfo.InvariantCulture, $"p ≤ {Level}");
        var table = new Table().AddColumns("kind", $"{at} before", "after");
        Add("normal", (i, rgb) => normal.Read(chosen[i], rgb));
        foreach (var corruption in CorruptionSuite.All.Where(corruption => !corruption.IsFrozen))
        {
            Add(corruption.Name, (i, rgb) =>
            {
                normal.Read(chosen[i], rgb);
                corruption.Apply(rgb, normal.Size, OutlierKinds.Severity, Seed, chosen[i]);
            });
        }
        AnsiConsole.Write(table);

        void Add(string kind, FootageScorer.Fill fill)
        {
            float[][] rows = new float[count][];
            scorer.Score(count, fill, mask, (i, batch, slot) => rows[i] = batch.Scores(slot).ToArray(), cancellation);
            table.AddRow(kind, Share(rows, before), Share(rows, after));
        }

        string Share(float[][] rows, Calibration calibration) => string.Create(CultureInfo.InvariantCulture,
            $"{rows.Count(row => calibration.PValue(calibration.Combine(row)) <= Level) / (double)rows.Length:P1}");
    }

    /// <summary>A camera's id may hold an @, a time holds none.</summary>
    [GeneratedRegex(@"^(?<camera>.+)@(?<from>[^@/\[\]]+)\.\.(?<to>[^@/\[\]]+)$")]
    private static partial Regex Ranges();
}
