using System.Text.RegularExpressions;

namespace OutlierPipeline.IntegrationTests.Docs;

/// <summary>docs/reliability.md names tests that there are.</summary>
public sealed partial class ReliabilityPageTests
{
    [Fact]
    public void Every_fault_has_a_test_of_that_name()
    {
        string[] rows = [.. File.ReadAllLines(Path.Combine(Repository.Root, "docs", "reliability.md"))
            .SkipWhile(line => !line.StartsWith("| fault |", StringComparison.Ordinal)).Skip(2)
            .TakeWhile(line => line.StartsWith('|'))];
        Assert.NotEmpty(rows);
        var tests = typeof(ReliabilityPageTests).Assembly.GetTypes()
            .SelectMany(type => type.GetMethods().Select(method => $"{type.Name}.{method.Name}")).ToHashSet();
        Assert.All(rows, row => Assert.Contains(Test().Match(row).Groups[1].Value, tests));
    }

    /// <summary>The third cell.</summary>
    [GeneratedRegex(@"^\|[^|]*\|[^|]*\| `([^`]*)` \|")]
    private static partial Regex Test();
}
