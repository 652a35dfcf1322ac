using System.Text.RegularExpressions;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Service;

public sealed partial class DemoTests
{
    [Fact]
    public async Task The_demo_alerts_for_every_troubled_camera_and_for_no_other_within_a_minute()
    {
        var demo = await Tool.RunAsync("dotnet", ["exec", Tool.Service, "demo", "--duration", "00:01:00", "--urls", "http://127.0.0.1:0"]);
        Assert.True(demo.Code == 0, demo.Error + demo.Output);
        string[] lines = demo.Output.Split('\n');
        Assert.Matches(@"127\.0\.0\.1:\d+", demo.Output);
        var opened = lines.Select(line => OpenedLine().Match(line)).Where(match => match.Success).Select(match =>
            match.Groups[1].Value).ToHashSet();
        var troubled = TroubleScript.Demo.Spans.Select(span => span.Camera).ToHashSet();
        Assert.Equal(troubled.Order(), opened.Order());
        Assert.True(TroubleScript.Demo.Cameras.Count - troubled.Count >= 2, "no camera without trouble is in the demo");
        // The table's last row: frames in, scored, dead-lettered, alerts, p50, p95, p99.
        long[] figures = [.. Numbers().Matches(lines.Last(line => line.Contains(" ms", StringComparison.Ordinal))).Select(match =>
            long.Parse(match.Value, System.Globalization.CultureInfo.InvariantCulture))];
        Assert.Equal(7, figures.Length);
        Assert.InRange(figures[0], 3000, 3700);
        Assert.Equal(figures[0], figures[1]);
        Assert.Equal(0, figures[2]);
        Assert.True(figures[3] > 0);
        Assert.InRange(figures[4], 1, figures[5]);
        Assert.InRange(figures[5], 1, figures[6]);
    }

    [Fact]
    public async Task The_demo_plays_footage_and_draws_the_troubles_over_it()
    {
        string directory = Directory.CreateTempSubdirectory().FullName;
        try
        {
            byte[][] frames = SmallFrames.FullDrive(44, 80);
            for (int i = 0; i < frames.Length; i++) File.WriteAllBytes(Path.Combine(directory, $"{i:00000}.jpg"), frames[i]);
            var demo = await Tool.RunAsync("dotnet", ["exec", Tool.Service, "demo", "--duration", "00:00:16", "--urls",
                "http://127.0.0.1:0", "--model", Repository.StreetDemo, "--frames", directory]);
            Assert.True(demo.Code == 0, demo.Error + demo.Output);
            string[] opened = [.. demo.Output.Split('\n').Select(line => OpenedLine().Match(line)).Where(match =>
                match.Success).Select(match => match.Groups[1].Value)];
            Assert.Contains("car-1/front", opened);
            Assert.DoesNotContain(opened, camera => camera.StartsWith("car-3", StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
        var missing = await Tool.RunAsync("dotnet", ["exec", Tool.Service, "demo", "--frames", directory]);
        Assert.Equal(1, missing.Code);
        Assert.Single(missing.Error.TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData("--duration", "soon")]
    [InlineData("--duration", "-00:00:01")]
    [InlineData("--speed", "2")]
    public async Task Wrong_use_ends_with_2_and_says_what_is_expected(params string[] arguments)
    {
        var demo = await Tool.RunAsync("dotnet", ["exec", Tool.Service, "demo", .. arguments]);
        Assert.Equal(2, demo.Code);
        Assert.Contains(arguments[0], demo.Error, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"s  opened +(\S+) ")]
    private static partial Regex OpenedLine();

    [GeneratedRegex(@"\d+")]
    private static partial Regex Numbers();
}
