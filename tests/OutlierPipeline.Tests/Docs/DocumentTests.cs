using System.Text.RegularExpressions;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Docs;

/// <summary>What can be said of every document: it fits on a screen or two, and its links lead somewhere.</summary>
public sealed partial class DocumentTests
{
    public static TheoryData<string> Documents => [.. Files().Select(file => Path.GetRelativePath(Repository.Root, file)).Order()];

    [Fact]
    public void The_README_has_at_most_900_words() =>
        Assert.InRange(Blanks().Split(File.ReadAllText(Path.Combine(Repository.Root, "README.md")).Trim()).Length, 1, 900);

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_relative_link_leads_to_something_that_exists(string document)
    {
        string path = Path.Combine(Repository.Root, document);
        foreach (string target in LinksOf(File.ReadAllText(path)))
        {
            string[] parts = target.Split('#');
            string file = parts[0].Length == 0 ? path : Path.Combine(Path.GetDirectoryName(path)!, parts[0]);
            Assert.True(File.Exists(file) || Directory.Exists(file), $"{document} links to {target}, which does not exist");
            if (parts.Length == 1) continue;
            Assert.True(AnchorsOf(File.ReadAllText(file)).Contains(parts[1]), $"{document} links to {target}: no such heading");
        }
    }

    [Fact]
    public void Decisions_are_numbered_without_doubles_and_without_gaps()
    {
        string directory = Path.Combine(Repository.Root, "docs", "decisions");
        string[] files = [.. Directory.GetFiles(directory, "*.md").Select(file => Path.GetFileName(file)!).Order()];
        Assert.Equal(Enumerable.Range(1, files.Length), files.Select(file => int.Parse(file[..4])));
        Assert.All(files, (file, i) => Assert.StartsWith($"# {i + 1}. ", File.ReadAllText(Path.Combine(directory, file))));
    }

    [Fact]
    public void Every_model_package_has_a_README_with_the_figures_of_its_card()
    {
        foreach (string directory in Directory.GetDirectories(Path.Combine(Repository.Root, "models")))
        {
            using var card = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(Path.Combine(directory, "model.json")));
            string text = File.ReadAllText(Path.Combine(directory, "README.md"));
            var quality = card.RootElement.GetProperty("quality");
            Assert.All(quality.EnumerateObject(), figure => Assert.Contains(figure.Value.GetRawText(), text));
            Assert.Contains(card.RootElement.GetProperty("licence").GetString()!, text);
            Assert.Contains(card.RootElement.GetProperty("training").GetProperty("command").GetString()!, text);
        }
    }

    private static IEnumerable<string> Files() =>
        Directory.GetFiles(Repository.Root, "*.md")
            .Concat(Directory.GetFiles(Path.Combine(Repository.Root, "docs"), "*.md", SearchOption.AllDirectories))
            .Concat(Directory.GetFiles(Path.Combine(Repository.Root, "models"), "*.md", SearchOption.AllDirectories));

    private static IEnumerable<string> LinksOf(string text) =>
        Links().Matches(Code().Replace(text, "")).Select(match => match.Groups[1].Value)
            .Where(target => !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith("mailto:", StringComparison.Ordinal));

    /// <summary>As GitHub makes them: small letters, hyphens for blanks, no other signs.</summary>
    private static HashSet<string> AnchorsOf(string text) =>
        [.. Headings().Matches(Fences().Replace(text, ""))
            .Select(match => Signs().Replace(match.Groups[1].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'))];

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Links();

    [GeneratedRegex(@"^#+ (.*)$", RegexOptions.Multiline)]
    private static partial Regex Headings();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Signs();

    [GeneratedRegex(@"^```.*?^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fences();

    [GeneratedRegex(@"^```.*?^```|`[^`\n]*`", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Code();
}
