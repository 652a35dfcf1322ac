using System.Globalization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

public sealed class SeverityTests
{
    [Fact]
    public void The_table_in_the_documentation_is_what_the_code_does()
    {
        var rows = File.ReadAllLines(Path.Combine(Repository.Root, "docs", "severity.md"))
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries))
            .Where(cells => cells.Length == 6 && Enum.TryParse<AlertKind>(cells[1], ignoreCase: true, out _))
            .Select(cells =>
            (Kind: Enum.Parse<AlertKind>(cells[1], true), Evidence: double.Parse(cells[2], CultureInfo.InvariantCulture),
            Seconds: double.Parse(cells[3], CultureInfo.InvariantCulture), Severity: Enum.Parse<Severity>(cells[4], true)))
            .ToArray();
        Assert.Equal(Enum.GetValues<AlertKind>().Order(), rows.Select(row => row.Kind).Distinct().Order());
        foreach (var kind in Enum.GetValues<AlertKind>())
        {
            foreach (double evidence in new[] { 0, 6, 29.9, 30, 43 })
            {
                foreach (double seconds in new[] { 0, 4.9, 5, 600 })
                {
                    var documented = rows.Last(row => row.Kind == kind && evidence >= row.Evidence && seconds >= row.Seconds).Severity;
                    Assert.Equal(documented, SeverityRule.Of(kind, evidence, TimeSpan.FromSeconds(seconds)));
                }
            }
        }
    }

    [Fact]
    public void Every_kind_is_explained()
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "severity.md"));
        foreach (var kind in Enum.GetNames<AlertKind>())
            Assert.Contains($"| `{kind.ToLowerInvariant()}` |", text, StringComparison.Ordinal);
    }
}
