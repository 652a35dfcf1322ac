using System.Reflection;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using ArchUnitNET.Domain;
using ArchUnitNET.Loader;
using OutlierPipeline.Batching;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Layers;

/// <summary>The table of folders in docs/architecture.md is what the compiled library does.</summary>
public sealed partial class LayerTests
{
    private const int MaxLineLength = 140;
    private const int MaxFileLength = 250;
    private const string Root = "OutlierPipeline";

    private static readonly Lazy<IReadOnlyList<(string From, string To, string Use)>> Uses = new(() =>
        [.. new ArchLoader().LoadAssemblies(typeof(FramePipeline).Assembly).Build().Types.SelectMany(type => type.Dependencies)
            .Select(use => (FolderOf(use.Origin), FolderOf(use.Target), $"{use.Origin.FullName} -> {use.Target.FullName}"))
            .Where(use => use.Item1 is { Length: > 0 }).Select(use => (use.Item1!, use.Item2 ?? "", use.Item3)).Distinct()]);

    [Fact]
    public void Folders_use_what_the_documented_table_allows()
    {
        var table = Table();
        var violations = Violations(Uses.Value, table);
        Assert.True(violations.Count == 0, string.Join('\n', violations));
        // What it is to find, it finds: each edge of the table that is in use is a violation without it.
        foreach (var edge in Uses.Value.Where(use => use.To.Length > 0 && use.To != Root && use.From != use.To
            && table.ContainsKey(use.From)).DistinctBy(use => (use.From, use.To)))
        {
            var less = table.ToDictionary(row => row.Key, row => row.Value.Where(to => row.Key != edge.From || to != edge.To).ToArray());
            Assert.NotEmpty(Violations(Uses.Value, less));
        }
    }

    [Fact]
    public void The_table_names_every_folder_and_has_no_circle()
    {
        var table = Table();
        // No more than is used: an edge that is added to the table alone is seen too.
        foreach (var (from, allowed) in table)
            Assert.Equal(allowed.Order(), Uses.Value.Where(use => use.From == from && table.ContainsKey(use.To) && use.To != from)
                .Select(use => use.To).Distinct().Order());
        Assert.Equal(Sources(Path.Combine("src", Root)).Select(file => Path.GetRelativePath(Library(), file).Split('/', '\\'))
            .Where(path => path.Length > 1)
            .Select(path => path[0]).Distinct().Order(),
            table.Keys.Order());
        Assert.Null(Circle(table));
        var circular = table.ToDictionary(row => row.Key, row => row.Key == "Frames" ? [.. row.Value, "Pipeline"] : row.Value);
        Assert.NotNull(Circle(circular));
    }

    [Fact]
    public void Detection_knows_neither_Kafka_nor_batches()
    {
        var uses = Uses.Value.Where(use => use.From == "Detection").ToList();
        Assert.NotEmpty(uses);
        Assert.DoesNotContain(uses, use => use.To == "Batching" || use.Use.Contains("-> Confluent.", StringComparison.Ordinal));
        Assert.Contains(Uses.Value, use => use.From == "Pipeline" && use.Use.Contains("-> Confluent.", StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_lies_in_the_folder_of_its_namespace()
    {
        foreach (string file in Sources("src").Where(file => !file.Contains("Migrations", StringComparison.Ordinal)))
        {
            if (Namespace().Match(File.ReadAllText(file)) is not { Success: true } found) continue;
            string folder = Path.GetRelativePath(Path.Combine(Repository.Root, "src"), Path.GetDirectoryName(file)!);
            Assert.Equal(folder.Replace('/', '.').Replace('\\', '.'), found.Groups[1].Value);
        }
    }

    [Fact]
    public void Lines_have_at_most_140_characters()
    {
        string[] files = [.. Sources("src"), .. Sources("tests")];
        Assert.True(files.Length > 300, $"{files.Length} files");
        Assert.Empty(files.Where(file => !file.Contains("Migrations", StringComparison.Ordinal)).SelectMany(file =>
            File.ReadLines(file).Select((line, i) => (line.Length, Place: $"{file}:{i + 1}")).Where(line => line.Length > MaxLineLength)
                .Select(line => line.Place)));
    }

    [Fact]
    public void A_frames_way_is_read_in_ten_files_and_names_every_stage()
    {
        string[] files = [.. File.ReadLines(Path.Combine(Repository.Root, "docs", "architecture.md"))
            .Select(line => FileRow().Match(line)).Where(row => row.Success).Select(row => row.Groups[1].Value)];
        Assert.InRange(files.Length, 5, 10);
        Assert.Equal(("FrameConsumer", "ResultPublisher"), (Path.GetFileNameWithoutExtension(files[0]),
            Path.GetFileNameWithoutExtension(files[^1])));
        foreach (string file in files) Assert.InRange(File.ReadLines(Path.Combine(Library(), file)).Count(), 1, MaxFileLength);
        var listed = files.Select(file => Path.GetFileNameWithoutExtension(file)).ToHashSet();
        string[] stages = [.. typeof(FramePipeline).Assembly.GetTypes().Where(TakesFromQueue).Select(type => type.Name)];
        Assert.Contains("DetectionWorker", stages);
        Assert.Empty(stages.Except(listed));
    }

    /// <summary>Whether a type is made with a queue that frames or batches come from.</summary>
    private static bool TakesFromQueue(System.Type type) => type.GetConstructors(BindingFlags.Instance | BindingFlags.Public
        | BindingFlags.NonPublic).SelectMany(made => made.GetParameters()).Any(parameter =>
            parameter.ParameterType == typeof(DecodeBacklog) || parameter.ParameterType is { IsGenericType: true } queue
            && queue.GetGenericTypeDefinition() == typeof(ChannelReader<>) && !queue.ContainsGenericParameters);

    private static List<string> Violations(IReadOnlyList<(string From, string To, string Use)> uses, Dictionary<string, string[]> table) =>
        [.. uses.Where(use => use.To.Length > 0 && use.To != use.From && use.To != Root)
            .Where(use => use.From == Root || !table.TryGetValue(use.From, out var allowed) || !allowed.Contains(use.To))
            .Select(use => $"{use.From} may not use {use.To}: {use.Use}")];

    /// <summary>The folder at which a walk along the allowed edges comes back to itself; null if none does.</summary>
    private static string? Circle(Dictionary<string, string[]> table)
    {
        return table.Keys.FirstOrDefault(folder => Reaches(folder, folder, []));

        bool Reaches(string from, string goal, HashSet<string> seen) =>
            table[from].Any(next => next == goal || seen.Add(next) && Reaches(next, goal, seen));
    }

    private static Dictionary<string, string[]> Table() => File.ReadLines(Path.Combine(Repository.Root, "docs", "architecture.md"))
        .Select(line => Row().Match(line)).Where(row => row.Success)
        .ToDictionary(row => row.Groups[1].Value, row =>
        Name().Matches(row.Groups[2].Value).Select(name => name.Groups[1].Value).ToArray());

    /// <summary>"" for a type of another assembly, null for one that the compiler made.</summary>
    private static string? FolderOf(IType type)
    {
        string name = type.FullName;
        if (name.StartsWith('<') || name.Contains("PrivateImplementationDetails", StringComparison.Ordinal)) return null;
        if (!name.StartsWith(Root + ".", StringComparison.Ordinal)) return "";
        string rest = type.Namespace.FullName;
        return rest == Root ? Root : rest.Split('.')[1];
    }

    private static string Library() => Path.Combine(Repository.Root, "src", Root);

    private static IEnumerable<string> Sources(string top) =>
        Directory.EnumerateFiles(Path.Combine(Repository.Root, top), "*.cs", SearchOption.AllDirectories)
            .Where(file => !Path.GetRelativePath(Repository.Root, file).Split('/', '\\').Any(part => part is "bin" or "obj"));

    [GeneratedRegex(@"^\| `(\w+)` \| (?:ground|stages|top) \| ([^|]*) \|")]
    private static partial Regex Row();

    [GeneratedRegex("`(\\w+)`")]
    private static partial Regex Name();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^\| `(\w+/\w+\.cs)` \|")]
    private static partial Regex FileRow();
}
