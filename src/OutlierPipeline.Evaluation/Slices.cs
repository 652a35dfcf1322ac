using System.Numerics.Tensors;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Evaluation;

/// <summary>Some of the normal frames, which false alarms may hit more often than others.</summary>
/// <param name="By">What cut it: <c>drive</c>, <c>hour</c>, <c>rarest</c>, <c>clusters</c>, or the name of a tag.</param>
/// <param name="Frames">Indices in the footage, ascending.</param>
public sealed record Slice(string By, string Name, int[] Frames);

/// <summary>Cuts normal footage into slices.</summary>
public static class Slices
{
    public const string Drives = "drive";
    public const string Hours = "hour";
    public const string Rarest = "rarest";
    public const string Clusters = "clusters";

    /// <summary>What <see cref="Cut"/> takes, for help texts.</summary>
    public const string Kinds = "drive, rarest (the rarest fifth by latent density), clusters (of codes, found by itself), hour (of " +
        "the day, UTC, of a topic's frames), or a CSV file of tags with lines such as 0001.jpg,time=dusk,road=tunnel";

    /// <summary>Share of the frames that are the rarest.</summary>
    private const double RarestShare = 0.2;

    /// <summary>Clusters at most, and frames of each on average at least.</summary>
    private const int MaxClusters = 6;
    private const int FramesPerCluster = 20;

    private const int Iterations = 50;

    /// <param name="by">See <see cref="Kinds"/>.</param>
    /// <param name="codes">Of the footage's frames, n rows of Z, by the model that fixes what is rare.</param>
    /// <exception cref="FootageException">The file of tags cannot be read, or is about other frames; or a frame does not say when it was
    /// taken.</exception>
    public static IReadOnlyList<Slice> Cut(string by, DecodedFootage footage, IReadOnlyList<float[]> codes, int seed) => by switch
    {
        Drives => [.. footage.Drives.Select(drive => new Slice(by, drive.Name, [.. Enumerable.Range(drive.First, drive.Count)]))],
        Hours => ByHour(footage),
        Rarest => ByRarity(codes),
        Clusters => ByCluster(codes, seed),
        _ => ByTag(by, footage),
    };

    private static Slice[] ByHour(DecodedFootage footage) => [.. Enumerable.Range(0, footage.Count).GroupBy(i =>
            footage.TakenAt(i)?.UtcDateTime.Hour ?? throw new FootageException($"--slices {Hours}: {footage.NameOf(i)} does not say when " +
                "it was taken, as frames of a topic do; give a CSV file of tags"))
        .OrderBy(hour => hour.Key).Select(hour => new Slice(Hours, FormattableString.Invariant($"{hour.Key:00}:00 UTC"), [.. hour]))];

    private static Slice[] ByRarity(IReadOnlyList<float[]> codes)
    {
        var histogram = new LatentHistogram(codes);
        int[] order = [.. Enumerable.Range(0, codes.Count).OrderByDescending(i => histogram.Rarity(codes[i]))];
        int rare = Math.Max(1, (int)(RarestShare * order.Length));
        return [new(Rarest, "the rarest fifth", [.. order[..rare].Order()]), new(Rarest, "the others", [.. order[rare..].Order()])];
    }

    private static Slice[] ByCluster(IReadOnlyList<float[]> codes, int seed)
    {
        int count = Math.Clamp(codes.Count / FramesPerCluster, 1, MaxClusters);
        int[] cluster = KMeans(codes, count, seed);
        return [.. Enumerable.Range(0, count).Select(k => (int[])[.. Enumerable.Range(0, codes.Count).Where(i => cluster[i] == k)])
            .Where(frames => frames.Length > 0).OrderByDescending(frames => frames.Length)
            .Select((frames, k) => new Slice(Clusters, FormattableString.Invariant($"cluster {k + 1}"), frames))];
    }

    /// <summary>The cluster of each code.</summary>
    /// <remarks>Lloyd's algorithm from the centres of k-means++ (Arthur and Vassilvitskii, SODA 2007).</remarks>
    private static int[] KMeans(IReadOnlyList<float[]> codes, int count, int seed)
    {
        var random = new Random(seed);
        var centres = new List<float[]> { codes[random.Next(codes.Count)] };
        while (centres.Count < count)
        {
            double[] distances = [.. codes.Select(code => (double)centres.Min(centre => Distance(code, centre)))];
            double drawn = random.NextDouble() * distances.Sum();
            int at = 0;
            while (at < codes.Count - 1 && (drawn -= distances[at]) > 0) at++;
            centres.Add(codes[at]);
        }
        int[] cluster = new int[codes.Count];
        for (int iteration = 0; iteration < Iterations; iteration++)
        {
            int moved = 0;
            for (int i = 0; i < codes.Count; i++)
            {
                int nearest = Enumerable.Range(0, count).MinBy(k => Distance(codes[i], centres[k]));
                if (nearest != cluster[i]) moved++;
                cluster[i] = nearest;
            }
            if (iteration > 0 && moved == 0) break;
            for (int k = 0; k < count; k++)
            {
                float[][] members = [.. codes.Where((_, i) => cluster[i] == k)];
                if (members.Length > 0)
                    centres[k] = [.. Enumerable.Range(0, codes[0].Length).Select(d => members.Average(member => member[d]))];
            }
        }
        return cluster;
    }

    private static float Distance(float[] a, float[] b)
    {
        float distance = TensorPrimitives.Distance<float>(a, b);
        return distance * distance;
    }

    private static Slice[] ByTag(string file, DecodedFootage footage)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FootageException($"--slices {file}: neither {Kinds}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        var byName = Enumerable.Range(0, footage.Count).ToLookup(i => Path.GetFileName(footage.NameOf(i)), StringComparer.Ordinal);
        var slices = new SortedDictionary<(string Tag, string Value), SortedSet<int>>();
        for (int line = 0; line < lines.Length; line++)
        {
            string[] fields = [.. lines[line].Split(',').Select(field => field.Trim())];
            if (fields is [""] || line == 0 && fields[0] == "file") continue;
            int[] frames = [.. byName[Path.GetFileName(fields[0])].Where(i => IsNamed(footage.NameOf(i), fields[0]))];
            if (frames.Length == 0) throw new FootageException($"{file}, line {line + 1}: the normal footage has no frame {fields[0]}");
            foreach (string field in fields.Skip(1))
            {
                if (field.Split('=', 2) is not [{ Length: > 0 } tag, { Length: > 0 } value])
                    throw new FootageException($"{file}, line {line + 1}: expected file,tag=value and found {field}");
                if (!slices.TryGetValue((tag, value), out var slice)) slices[(tag, value)] = slice = [];
                slice.UnionWith(frames);
            }
        }
        if (slices.Count == 0) throw new FootageException($"{file}: has no tags; expected lines such as 0001.jpg,time=dusk");
        return [.. slices.Select(slice => new Slice(slice.Key.Tag, slice.Key.Value, [.. slice.Value]))];
    }

    /// <summary>Whether a file of tags or factors means this frame.</summary>
    internal static bool IsNamed(string name, string wanted) =>
        name == wanted || name.EndsWith('/' + wanted.TrimStart('.', '/'), StringComparison.Ordinal);
}
