using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Evaluation;

/// <summary>One frame's scores as they were recorded, when the frame itself is long gone.</summary>
/// <param name="Camera">The camera; of an evaluation, its set and drive.</param>
/// <param name="Scores">S scores in the order of the model's card.</param>
/// <param name="ModelDigest">Of the graph that computed them; null where the file does not say.</param>
/// <param name="Incident">The incident that was open, or null.</param>
public sealed record StoredScore(string Camera, long TimestampNanoseconds, float[] Scores, string? ModelDigest, string? Incident)
{
    /// <summary>What <see cref="Read"/> takes, for help texts.</summary>
    public const string Kinds =
        "kafka://host:port/ood.scores?seconds=86400, a file of such records (a line each), or a scores.csv of evaluate or score";

    /// <param name="framesPerSecond">Of a CSV file, which has no times.</param>
    /// <exception cref="FootageException">There is nothing to read, or it is not what the model's card describes.</exception>
    public static IEnumerable<StoredScore> Read(string source, ModelCard card, double framesPerSecond, CancellationToken cancellation)
    {
        if (source.StartsWith(TopicTail.Scheme, StringComparison.OrdinalIgnoreCase))
            return new TopicTail(source).Read(cancellation).Select(record => Parse(record.Message.Value.Span, card)).OfType<StoredScore>();
        if (!File.Exists(source)) throw new FootageException($"{source}: no such file of scores; expected {Kinds}");
        return Path.GetExtension(source).Equals(".csv", StringComparison.OrdinalIgnoreCase)
            ? ReadTable(source, card, framesPerSecond)
            : File.ReadLines(source).Select(line => Parse(System.Text.Encoding.UTF8.GetBytes(line), card)).OfType<StoredScore>();
    }

    /// <summary>A record of <c>ood.scores</c>; null for a frame that was not scored, or by a model with other scores.</summary>
    private static StoredScore? Parse(ReadOnlySpan<byte> json, ModelCard card)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            using var document = JsonDocument.ParseValue(ref reader);
            var root = document.RootElement;
            if (!root.TryGetProperty("scores", out var scores) || card.Scores.Any(name => !scores.TryGetProperty(name, out _))) return null;
            return new StoredScore(
                root.GetProperty("camera").GetString()!,
                Nanoseconds(root.GetProperty("timestamp").GetString()!),
                [.. card.Scores.Select(name => scores.GetProperty(name).GetSingle())],
                root.TryGetProperty("modelDigest", out var digest) ? digest.GetString() : null,
                root.TryGetProperty("incident", out var incident) ? incident.GetString() : null);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new FootageException($"this is not a record of scores: {e.Message}", e);
        }
    }

    private static IEnumerable<StoredScore> ReadTable(string file, ModelCard card, double framesPerSecond)
    {
        using var lines = File.ReadLines(file).GetEnumerator();
        string[] header = lines.MoveNext() ? lines.Current.Split(',') : [];
        int[] columns = [.. card.Scores.Select(name => Array.IndexOf(header, name))];
        if (columns.Any(column => column < 0))
            throw new FootageException($"{file}: has not the scores of {card.Name} ({string.Join(", ", card.Scores)})");
        var counts = new Dictionary<string, int>();
        while (lines.MoveNext())
        {
            // Names with commas are quoted, and come first.
            int end = lines.Current.StartsWith('"')
                ? lines.Current.IndexOf("\",", 1, StringComparison.Ordinal) + 1
                : lines.Current.IndexOf(',', StringComparison.Ordinal);
            string name = lines.Current[..end].Trim('"');
            string[] values = lines.Current[end..].Split(',');
            if (columns.Any(column => values[column].Length == 0)) continue;
            string drive = Path.GetDirectoryName(name) is { Length: > 0 } directory ? directory : ".";
            int index = counts[drive] = counts.GetValueOrDefault(drive) + 1;
            yield return new StoredScore(drive, UnixNanoseconds.OfSeconds(index / framesPerSecond),
                [.. columns.Select(column => float.Parse(values[column], CultureInfo.InvariantCulture))], null, null);
        }
    }

    /// <summary>RFC 3339 with up to nine digits of a second, of which <see cref="DateTimeOffset"/> keeps seven.</summary>
    private static long Nanoseconds(string text) =>
        UnixNanoseconds.Of(DateTimeOffset.Parse(text, CultureInfo.InvariantCulture));
}
