using System.Globalization;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary><c>outlier mine</c> finds what is rare in footage, and writes what people need to look at it.</summary>
public sealed class MineTests : IDisposable
{
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_few_frames_at_night_are_the_rarest_of_many_by_day()
    {
        string clear = Write("clear", SmallFrames.FullDrive(700, 40));
        string night = Write("night", SmallFrames.FullDrive(701, 3, Trouble.Night));
        string output = _directory.File("out");
        var mined = await Tool.OutlierAsync("mine", "--model", Repository.StreetDemo, "--frames", clear, night, "--count", "3",
            "--apart", "0",
            "--out", output);
        Assert.True(mined.Code == 0, mined.Error);
        Assert.Contains("3 of 43 frames", mined.Output, StringComparison.Ordinal);
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(output, "mine.csv"), TestContext.Current.CancellationToken);
        Assert.Equal("rank,file,drive,source,rarity,rarer_than,alike", lines[0]);
        Assert.Equal(4, lines.Length);
        Assert.All(lines.Skip(1), line => Assert.Contains(night, line.Split(',')[3], StringComparison.Ordinal));
        double[] rarities = [.. lines.Skip(1).Select(line => double.Parse(line.Split(',')[4], CultureInfo.InvariantCulture))];
        Assert.Equal(rarities.OrderDescending(), rarities);
        // The files are those of the footage, byte for byte.
        string[] copies = Directory.GetFiles(Path.Combine(output, "frames"));
        Assert.Equal(3, copies.Length);
        var originals = Directory.GetFiles(night).Select(File.ReadAllBytes).ToList();
        Assert.All(copies, copy => Assert.Contains(originals, original => original.AsSpan().SequenceEqual(File.ReadAllBytes(copy))));
        string sheet = await File.ReadAllTextAsync(Path.Combine(output, "mine.html"), TestContext.Current.CancellationToken);
        Assert.Equal(3, sheet.Split("<figure>").Length - 1);
    }

    [Fact]
    public async Task Of_frames_that_look_alike_one_is_listed()
    {
        byte[][] frames = SmallFrames.FullDrive(700, 20);
        string twice = Write("twice", [.. frames, .. frames]);
        string output = _directory.File("out");
        var mined = await Tool.OutlierAsync("mine", "--model", Repository.StreetDemo, "--frames", twice, "--count", "40",
            "--apart", "0.001",
            "--out", output);
        Assert.True(mined.Code == 0, mined.Error);
        Assert.Contains("20 of 40 frames (20 fewer than asked for", mined.Output, StringComparison.Ordinal);
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(output, "mine.csv"), TestContext.Current.CancellationToken);
        Assert.All(lines.Skip(1), line => Assert.EndsWith(",1", line, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Each_drive_has_its_own_rarest_frames()
    {
        Write("a/one", SmallFrames.FullDrive(700, 10));
        Write("a/two", SmallFrames.FullDrive(702, 10));
        string output = _directory.File("out");
        var mined = await Tool.OutlierAsync("mine", "--model", Repository.StreetDemo, "--frames", _directory.File("a"), "--count", "2",
            "--apart", "0", "--per-drive", "--out", output);
        Assert.True(mined.Code == 0, mined.Error);
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(output, "mine.csv"), TestContext.Current.CancellationToken);
        Assert.Equal(["one", "one", "two", "two"], lines.Skip(1).Select(line => line.Split(',')[2]));
    }

    [Theory]
    [InlineData("--count 0", "--count must be 1 to 10000")]
    [InlineData("--apart -1", "--apart must not be negative")]
    [InlineData("--model nowhere", "nowhere: no such model package")]
    [InlineData("--frames {frames}", "--frames: ")]
    public async Task Wrong_use_is_told_in_one_line(string option, string expected)
    {
        string frames = Write("frames", SmallFrames.FullDrive(700, 2));
        option = option.Replace("{frames}", frames, StringComparison.Ordinal);
        string[] arguments = ["mine", "--frames", frames, "--out", _directory.File("out"), .. option.Split(' ')];
        if (!option.StartsWith("--model", StringComparison.Ordinal)) arguments = [.. arguments, "--model", Repository.StreetDemo];
        var mined = await Tool.OutlierAsync(arguments);
        Assert.Equal(1, mined.Code);
        Assert.StartsWith(expected, mined.Error, StringComparison.Ordinal);
        Assert.Single(mined.Error.TrimEnd().Split('\n'));
        Assert.False(Directory.Exists(_directory.File("out")));
    }

    private string Write(string drive, byte[][] frames)
    {
        string directory = Directory.CreateDirectory(_directory.File(drive)).FullName;
        for (int i = 0; i < frames.Length; i++)
            File.WriteAllBytes(Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{i:00000}.jpg")), frames[i]);
        return directory;
    }
}
