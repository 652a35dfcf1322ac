using System.Text.Json;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Cli;

public sealed class BenchmarkTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Bench_measures_each_batch_size_and_the_way_from_bytes_and_compares_with_an_earlier_run()
    {
        foreach (var (frame, i) in SmallFrames.FullDrive(3, 4).Select((frame, i) => (frame, i)))
            await File.WriteAllBytesAsync(Path.Combine(_directory, $"{i}.jpg"), frame, TestContext.Current.CancellationToken);
        string file = Path.Combine(_directory, "bench.json");
        var first = await Tool.OutlierAsync("bench", "--model", Repository.StreetDemo, "--accelerator", "cpu", "--batch", "1,5",
            "--seconds", "0.3", "--end-to-end", _directory, "--out", file);
        Assert.True(first.Code == 0, first.Error);
        using var json = JsonDocument.Parse(await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken));
        var rows = json.RootElement.GetProperty("network").EnumerateArray().ToList();
        Assert.Equal([1, 5], rows.Select(row => row.GetProperty("batch").GetInt32()));
        Assert.All(rows, row =>
        {
            Assert.True(row.GetProperty("framesPerSecond").GetDouble() > 0);
            Assert.InRange(row.GetProperty("p99Milliseconds").GetDouble(), row.GetProperty("p50Milliseconds").GetDouble(), 1e5);
            Assert.InRange(row.GetProperty("deviation").GetDouble(), 0, 1e-4);
        });
        var path = json.RootElement.GetProperty("endToEnd").EnumerateArray().Single();
        Assert.Equal(4, path.GetProperty("pictures").GetInt32());
        Assert.Equal("320×192", path.GetProperty("size").GetString());
        var second = await Tool.OutlierAsync("bench", "--model", Repository.StreetDemo, "--accelerator", "cpu", "--batch", "5",
            "--seconds", "0.2", "--compare", file);
        Assert.Contains("× ", second.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_doubles_the_cameras_and_reports_what_came_back()
    {
        using var cluster = new TestCluster(2);
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => pipeline.NotReady.Count == 0, "a pipeline that is ready");
        string file = Path.Combine(_directory, "load.json");
        string picture = Path.Combine(_directory, "load.png");
        var load = await Tool.OutlierAsync("load", "--bootstrap", cluster.BootstrapServers, "--cameras", "1", "--up-to", "2",
            "--fps", "5", "--seconds", "3", "--group", cluster.Options().Kafka.GroupId, "--out", file, "--plot", picture);
        Assert.True(load.Code == 0, load.Output + load.Error);
        using var json = JsonDocument.Parse(await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken));
        var steps = json.RootElement.EnumerateArray().ToList();
        Assert.Equal(1, steps[0].GetProperty("cameras").GetInt32());
        // Ten frames of the last two seconds; how fast a busy machine is with them is no matter here.
        Assert.InRange(steps[0].GetProperty("sentPerSecond").GetDouble(), 3, 7);
        Assert.InRange(steps[0].GetProperty("p99Milliseconds").GetDouble(), 0.1, 60_000);
        Assert.Equal(0, steps[0].GetProperty("skipped").GetInt64());
        Assert.True(new FileInfo(picture).Length > 1000);
    }

    [Fact]
    public async Task Load_without_a_service_says_that_nothing_came_back()
    {
        using var cluster = new TestCluster(1);
        var load = await Tool.OutlierAsync("load", "--bootstrap", cluster.BootstrapServers, "--cameras", "1", "--up-to", "1",
            "--fps", "5", "--seconds", "3");
        Assert.Equal(1, load.Code);
        Assert.Contains("the service does not keep up with 1 cameras: 0 of", load.Error, StringComparison.Ordinal);
    }
}
