using System.Globalization;
using System.IO.Hashing;
using System.Text;

namespace OutlierPipeline.Service.Streams;

/// <summary>
/// Where a listener of the stream stands: the next offset of each partition of <c>ood.alerts</c>. As it is Kafka's position and not a
/// database's sequence, it means the same on every replica.
/// </summary>
internal sealed class StreamPosition
{
    private readonly SortedDictionary<int, long> _next;

    private StreamPosition(string cluster, IEnumerable<KeyValuePair<int, long>> next)
    {
        Cluster = cluster;
        _next = new SortedDictionary<int, long>(next.ToDictionary());
    }

    /// <summary>A short digest of cluster and topic.</summary>
    public string Cluster { get; }

    public static StreamPosition Of(string cluster, string topic, IEnumerable<KeyValuePair<int, long>> next) =>
        new(Convert.ToHexStringLower(XxHash32.Hash(Encoding.UTF8.GetBytes($"{cluster}\n{topic}"))), next);

    /// <summary>0 for a partition of which nothing was read.</summary>
    public long Next(int partition) => _next.GetValueOrDefault(partition);

    public IEnumerable<int> Partitions => _next.Keys;

    public StreamPosition With(int partition, long next)
    {
        var position = new StreamPosition(Cluster, _next);
        position._next[partition] = next;
        return position;
    }

    /// <summary>Whether it is beyond another in any partition.</summary>
    public bool IsAheadOf(StreamPosition other) => _next.Any(pair => pair.Value > other.Next(pair.Key));

    /// <exception cref="FormatException">The text is no position; the message says what one looks like.</exception>
    public static StreamPosition Parse(string text)
    {
        string[] halves = text.Split('~');
        var next = new Dictionary<int, long>();
        bool fits = halves.Length == 2 && halves[0].Length == 8 && halves[0].All(char.IsAsciiHexDigitLower);
        foreach (string part in fits ? halves[1].Split(',', StringSplitOptions.RemoveEmptyEntries) : [])
        {
            string[] pair = part.Split(':');
            fits = pair.Length == 2 && int.TryParse(pair[0], NumberStyles.None, CultureInfo.InvariantCulture, out int partition)
                && long.TryParse(pair[1], NumberStyles.None, CultureInfo.InvariantCulture, out long offset)
                && next.TryAdd(partition, offset);
            if (!fits) break;
        }
        return fits ? new StreamPosition(halves[0], next) : throw new FormatException("Last-Event-ID is not one that this stream gave out");
    }

    /// <summary>Such as <c>9a3f00c1~0:17,1:4</c>.</summary>
    public override string ToString() =>
        $"{Cluster}~{string.Join(',', _next.Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key}:{pair.Value}")))}";
}
