using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>The soak itself takes an hour (docs/reliability.md); here it is seen to measure.</summary>
public sealed class SoakTests
{
    [Fact]
    public async Task A_short_soak_scores_every_frame_and_measures_every_series()
    {
        LongTests.Ask();
        Assert.SkipWhen(KafkaServer.Missing is not null, KafkaServer.Missing ?? "");
        using var directory = new TestDirectory();
        string output = directory.File("soak");
        var soak = await Tool.RunAsync("dotnet", ["exec", Tool.Benchmarks, "soak", "--minutes", "2", "--cameras", "3", "--out", output]);
        Assert.True(soak.Code == 0, soak.Output + soak.Error);
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(output, "soak.csv"), TestContext.Current.CancellationToken);
        string[] names = lines[0].Split(',');
        Assert.InRange(lines.Length, 6, 14);
        double[] last = [.. lines[^1].Split(',').Select(value => double.Parse(value, System.Globalization.CultureInfo.InvariantCulture))];
        Assert.Equal(names.Length, last.Length);
        foreach (string name in new[] { "resident memory (MiB)", "managed heap (MiB)", "open handles", "threads", "database (MiB)",
            "frames/s", "latency p50 (ms)", "log of the frames (MiB)" })
        {
            Assert.True(last[Array.IndexOf(names, name)] > 0, $"{name} is {last[Array.IndexOf(names, name)]}");
            Assert.Contains($"| {name} | ", soak.Output, StringComparison.Ordinal);
        }
        Assert.Contains("resident memory", await File.ReadAllTextAsync(Path.Combine(output, "soak.svg"),
            TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }
}
