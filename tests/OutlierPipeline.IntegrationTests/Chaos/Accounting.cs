using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Chaos;

/// <summary>What a reader of committed records finds of a run: on the topics of results whose names begin so.</summary>
internal sealed class Accounting
{
    private readonly Dictionary<(int Partition, long Offset), JsonElement> _scores = [];
    private readonly HashSet<(int Partition, long Offset)> _letters = [];
    /// <summary>By their ids: how they begin.</summary>
    private readonly Dictionary<string, string> _alerts = [];
    private readonly List<DateTime> _times = [];

    public Accounting(TestCluster cluster, string scores, string alerts, string letters)
    {
        foreach (var record in cluster.ReadAll(scores))
        {
            var score = JsonDocument.Parse(record.Message.Value).RootElement;
            var frame = (score.GetProperty("partition").GetInt32(), score.GetProperty("offset").GetInt64());
            _times.Add(record.Message.Timestamp.UtcDateTime);
            if (_scores.TryAdd(frame, score)) continue;
            ScoresTwice++;
            // A detector ignores what it has seen: the evidence of a repeated record is another's.
            LargestDifference = Math.Max(LargestDifference, Difference(score, _scores[frame], "score", "pValue"));
        }
        foreach (var record in cluster.ReadAll(letters))
        {
            if (!_letters.Add(((int)Number(record, "source.partition"), Number(record, "source.offset")))) LettersTwice++;
        }
        foreach (var record in cluster.ReadAll(alerts))
        {
            using var alert = JsonDocument.Parse(record.Message.Value);
            string text = Encoding.UTF8.GetString(record.Message.Value);
            if (!_alerts.TryAdd(alert.RootElement.GetProperty("id").GetString()!, text[..Math.Min(600, text.Length)])) AlertsTwice++;
        }
    }

    public int Scores => _scores.Count;

    public int Letters => _letters.Count;

    public int Alerts => _alerts.Count;

    public int ScoresTwice { get; }

    public int LettersTwice { get; }

    public int AlertsTwice { get; }

    /// <summary>Between a frame's scores, here and in what this was compared with.</summary>
    public double LargestDifference { get; private set; }

    /// <summary>Frames without a result.</summary>
    public int Missing { get; private set; }

    /// <summary>Results without a frame.</summary>
    public int Strange { get; private set; }

    public int AlertsMissing { get; private set; }

    public int AlertsStrange { get; private set; }

    /// <summary>What differs, a line each.</summary>
    public List<string> Differences { get; } = [];

    /// <summary>The longest time without a single new score.</summary>
    public TimeSpan LongestSilence
    {
        get
        {
            var times = _times.Order().ToList();
            return times.Zip(times.Skip(1), (one, next) => next - one).DefaultIfEmpty().Max();
        }
    }

    /// <summary>Whether a frame has a score or a dead letter.</summary>
    public bool Has((int Partition, long Offset) frame) => _scores.ContainsKey(frame) || _letters.Contains(frame);

    /// <summary>Counts what differs from a run that nothing disturbed, on the same frames.</summary>
    public void Compare(IReadOnlyCollection<(int Partition, long Offset)> frames, Accounting undisturbed)
    {
        var results = _scores.Keys.Concat(_letters).ToHashSet();
        Missing = frames.Count(frame => !results.Contains(frame));
        results.ExceptWith(frames);
        Strange = results.Count;
        // A frame has a score or a dead letter: the same of both as there.
        Strange += _letters.Count(letter => !undisturbed._letters.Contains(letter));
        foreach (var (frame, score) in _scores.OrderBy(pair => pair.Key))
        {
            if (!undisturbed._scores.TryGetValue(frame, out var other))
            {
                Strange++;
                continue;
            }
            double difference = Difference(score, other, "score", "pValue", "onset", "onsetPValue", "martingale");
            if (score.GetProperty("isOutlier").GetBoolean() != other.GetProperty("isOutlier").GetBoolean())
                difference = double.PositiveInfinity;
            LargestDifference = Math.Max(LargestDifference, difference);
            if (difference > 1e-4) Differences.Add($"score of {frame.Partition}:{frame.Offset}\n  {score}\n  undisturbed {other}");
        }
        AlertsMissing = Count("missing", undisturbed, this);
        AlertsStrange = Count("strange", this, undisturbed);
    }

    private int Count(string what, Accounting here, Accounting notThere)
    {
        var found = here._alerts.Where(alert => !notThere._alerts.ContainsKey(alert.Key)).ToList();
        Differences.AddRange(found.Select(alert => $"{what} alert {alert.Value}"));
        return found.Count;
    }

    /// <summary>The largest among some fields and the graph's scores.</summary>
    private static double Difference(JsonElement one, JsonElement other, params string[] fields)
    {
        double largest = 0;
        foreach (string name in fields)
        {
            bool isThere = one.TryGetProperty(name, out var first);
            if (isThere != other.TryGetProperty(name, out var second)) return double.PositiveInfinity;
            if (isThere) largest = Math.Max(largest, Math.Abs(first.GetDouble() - second.GetDouble()));
        }
        var others = other.GetProperty("scores");
        foreach (var score in one.GetProperty("scores").EnumerateObject())
            largest = Math.Max(largest, Math.Abs(score.Value.GetDouble() - others.GetProperty(score.Name).GetDouble()));
        return largest;
    }

    private static long Number(ConsumeResult<string, byte[]> record, string header) =>
        long.Parse(Encoding.UTF8.GetString(record.Message.Headers.GetLastBytes(header)), System.Globalization.CultureInfo.InvariantCulture);
}
