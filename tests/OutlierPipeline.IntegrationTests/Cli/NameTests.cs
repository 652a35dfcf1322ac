using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary><c>outlier name</c> names dimensions that a known factor explains, of frames of <c>outlier render --factors</c>.</summary>
public sealed class NameTests : IDisposable
{
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task What_is_known_of_frames_is_held_against_the_code_and_what_was_named_by_hand_stays()
    {
        string frames = _directory.File("frames");
        var rendered = await Tool.OutlierAsync("render", "--out", frames, "--factors", "--frames", "120", "--seed", "12");
        Assert.True(rendered.Code == 0, rendered.Error);
        string table = Path.Combine(frames, "factors.csv");
        string[] lines = await File.ReadAllLinesAsync(table, TestContext.Current.CancellationToken);
        Assert.Equal("file,sun height,fog,curvature,traffic,vegetation,pitch", lines[0]);
        Assert.Equal(121, lines.Length);
        string model = Copy();
        var named = await Tool.OutlierAsync("name", "--model", model, "--frames", frames, "--factors", table, "--write");
        Assert.True(named.Code == 0, named.Error);
        Assert.Contains("of 32 dimensions are explained by one factor", named.Output, StringComparison.Ordinal);
        var names = ModelPackage.Load(model).Card.Network.DimensionNames!;
        // What was written is what was said, beside the name that was there.
        int said = int.Parse(named.Output.Split('\n').Single(line => line.Contains("are explained", StringComparison.Ordinal))
            .Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal("by hand", names[31]);
        Assert.Equal(said, names.Count(name => name.Key != 31));
    }

    [Theory]
    [InlineData("file,sun\n00000.jpg,high", "line 2: high is not a number")]
    [InlineData("file,sun\n00000.jpg,1,2", "line 2: has 2 numbers for 1 factors")]
    [InlineData("file,sun\n99999.jpg,1", "line 2: the footage has no frame 99999.jpg")]
    [InlineData("00000.jpg,1", "the first line must name the factors")]
    [InlineData("file,sun\n00000.jpg,1", "knows 1 of the frames: at least 100 are needed")]
    [InlineData(null, "--factors")]
    public async Task Factors_that_cannot_name_anything_are_told_in_one_line(string? text, string expected)
    {
        string frames = _directory.File("frames");
        Assert.Equal(0, (await Tool.OutlierAsync("render", "--out", frames, "--factors", "--frames", "4")).Code);
        string table = _directory.File("table.csv");
        if (text is not null) await File.WriteAllTextAsync(table, text, TestContext.Current.CancellationToken);
        var named = await Tool.OutlierAsync("name", "--model", Repository.StreetDemo, "--frames", frames, "--factors", table);
        Assert.Equal(1, named.Code);
        Assert.Contains(expected, named.Error, StringComparison.Ordinal);
        Assert.Single(named.Error.TrimEnd().Split('\n'));
    }

    /// <summary>A shipped package with a name in it.</summary>
    private string Copy()
    {
        var demo = ModelPackage.Load(Repository.StreetDemo);
        var network = demo.Card.Network with { DimensionNames = new Dictionary<int, string> { [31] = "by hand" } };
        ModelPackageWriter.Write(_directory.File("demo"), demo.Card with { Network = network }, ModelPackageWriter.ReadAll(demo));
        return _directory.File("demo");
    }
}
