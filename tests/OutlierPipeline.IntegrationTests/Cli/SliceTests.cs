using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary><c>outlier evaluate --slices</c> says which normal frames raise more false alarms than others.</summary>
public sealed class SliceTests : IDisposable
{
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Night_among_normal_frames_has_more_than_its_share_of_the_alarms()
    {
        Write("normal/day", SmallFrames.FullDrive(700, 57));
        Write("normal/night", SmallFrames.FullDrive(701, 3, Trouble.Night));
        string tags = _directory.File("tags.csv");
        await File.WriteAllLinesAsync(tags, ["file,tags", .. Enumerable.Range(0, 57).Select(i => $"day/{i:00000}.jpg,time=day"),
            .. Enumerable.Range(0, 3).Select(i => $"night/{i:00000}.jpg,time=night,road=dark")], TestContext.Current.CancellationToken);
        var evaluated = await EvaluateAsync("--slices", "drive", "rarest", "clusters", tags, "--before", Repository.StreetDemo);
        Assert.True(evaluated.Code == 0, evaluated.Error);
        using var report = JsonDocument.Parse(await File.ReadAllTextAsync(_directory.File("report/report.json"),
            TestContext.Current.CancellationToken));
        var slices = report.RootElement.GetProperty("slices").EnumerateArray().ToList();
        JsonElement Of(string by, string name) => Assert.Single(slices, slice =>
            slice.GetProperty("by").GetString() == by && slice.GetProperty("name").GetString() == name);
        // Three of sixty frames pass the threshold, and they are those at night.
        foreach (var (by, name) in new[] { ("drive", "night"), ("time", "night"), ("road", "dark") })
        {
            Assert.Equal(3, Of(by, name).GetProperty("frames").GetInt32());
            Assert.Equal(1, Of(by, name).GetProperty("rate").GetDouble());
            Assert.False(Of(by, name).TryGetProperty("ownRate", out _));
        }
        Assert.Equal(0, Of("time", "day").GetProperty("rate").GetDouble());
        Assert.InRange(Of("time", "day").GetProperty("ownRate").GetDouble(), 0, 0.2);
        Assert.Equal(12, Of("rarest", "the rarest fifth").GetProperty("frames").GetInt32());
        Assert.Equal(3 / 12.0, Of("rarest", "the rarest fifth").GetProperty("rate").GetDouble(), 1e-9);
        Assert.Equal(60, slices.Where(slice => slice.GetProperty("by").GetString() == "clusters").Sum(slice =>
            slice.GetProperty("frames").GetInt32()));
        // The same package before and after has the same figures.
        Assert.All(slices, slice =>
            Assert.Equal(slice.GetProperty("rate").GetDouble(), slice.GetProperty("before").GetProperty("rate").GetDouble()));
        Assert.Contains("needs 40 frames", evaluated.Output, StringComparison.Ordinal);
        string page = await File.ReadAllTextAsync(_directory.File("report/report.html"), TestContext.Current.CancellationToken);
        Assert.Contains("False alarms by slice", page, StringComparison.Ordinal);
        string picture = await File.ReadAllTextAsync(_directory.File("report/slices.svg"), TestContext.Current.CancellationToken);
        Assert.Contains("False alarms by slice", picture, StringComparison.Ordinal);
        Assert.Contains("before", picture, StringComparison.Ordinal);
        Assert.Contains("after (this package)", picture, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Frames_of_a_topic_are_cut_by_the_hour_at_which_they_were_taken_and_files_which_do_not_say_it_are_refused()
    {
        using var cluster = new TestCluster(1);
        var noon = new DateTimeOffset(DateTime.UtcNow.Date.AddDays(-1).AddHours(11.99), TimeSpan.Zero);
        foreach (var (frame, i) in SmallFrames.FullDrive(700, 60).Select((frame, i) => (frame, i)))
            cluster.Produce("car-1", frame, 0, ("frame-timestamp",
                (noon.AddSeconds(i * 2).ToUnixTimeMilliseconds() * 1_000_000).ToString(CultureInfo.InvariantCulture)));
        cluster.Flush();
        string topic = $"kafka://{cluster.BootstrapServers}/{TestCluster.Frames}?seconds=600&fetch.wait.max.ms=5";
        var evaluated = await Tool.OutlierAsync("evaluate", "--model", Repository.StreetDemo, "--normal", topic, "--out",
            _directory.File("report"), "--slices", "hour");
        Assert.True(evaluated.Code == 0, evaluated.Error);
        using var report = JsonDocument.Parse(await File.ReadAllTextAsync(_directory.File("report/report.json"),
            TestContext.Current.CancellationToken));
        // 36 seconds are left of the hour before noon.
        Assert.Equal([("11:00 UTC", 18), ("12:00 UTC", 42)], report.RootElement.GetProperty("slices").EnumerateArray().Select(slice =>
            (slice.GetProperty("name").GetString()!, slice.GetProperty("frames").GetInt32())));
        Write("normal", SmallFrames.FullDrive(700, 4));
        var refused = await EvaluateAsync("--slices", "hour");
        Assert.Equal(1, refused.Code);
        Assert.Contains("00000.jpg does not say when it was taken", refused.Error, StringComparison.Ordinal);
        Assert.Single(refused.Error.TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData("99999.jpg,time=day", "line 1: the normal footage has no frame 99999.jpg")]
    [InlineData("00000.jpg,day", "line 1: expected file,tag=value and found day")]
    [InlineData("", "has no tags")]
    [InlineData(null, "neither drive, rarest")]
    public async Task Tags_that_fit_no_frame_are_told_in_one_line(string? line, string expected)
    {
        Write("normal", SmallFrames.FullDrive(700, 4));
        string tags = _directory.File("tags.csv");
        if (line is not null) await File.WriteAllTextAsync(tags, line, TestContext.Current.CancellationToken);
        var evaluated = await EvaluateAsync("--slices", tags);
        Assert.Equal(1, evaluated.Code);
        Assert.Contains(expected, evaluated.Error, StringComparison.Ordinal);
        Assert.Single(evaluated.Error.TrimEnd().Split('\n'));
    }

    private Task<(int Code, string Output, string Error)> EvaluateAsync(params string[] more) =>
        Tool.OutlierAsync(["evaluate", "--model", Repository.StreetDemo,
        "--normal", _directory.File("normal"), "--out", _directory.File("report"), .. more]);

    private void Write(string drive, byte[][] frames)
    {
        string directory = Directory.CreateDirectory(_directory.File(drive)).FullName;
        for (int i = 0; i < frames.Length; i++)
            File.WriteAllBytes(Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{i:00000}.jpg")), frames[i]);
    }
}
