using System.Globalization;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using SkiaSharp;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary>
/// <c>outlier train --architecture pix2pix</c>, <c>translate</c> and <c>evaluate</c> as a user runs them, on drawn scenes, and what they
/// refuse.
/// </summary>
public sealed class TranslateTests : IDisposable
{
    private const int Height = 64;
    private const int Width = 96;
    private static readonly string[] Classes = ["sky,#6fa8dc", "road,#6b5b95", "void,#000000"];
    private readonly TestDirectory _directory = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_package_is_trained_makes_maps_and_pictures_and_is_judged_by_the_labels_beside_the_frames()
    {
        LongTests.Ask();
        string drive = Draw("drive", 60), other = Draw("other", 12);
        string package = _directory.File("pairs");
        var trained = await Tool.OutlierAsync("train", "--frames", drive, "--architecture", "pix2pix", "--classes", WriteClasses(),
            "--width", "96", "--picture-width", "96", "--epochs", "4", "--threads", "2", "--out", package);
        Assert.True(trained.Code == 0, trained.Error);
        Assert.True(File.Exists(Path.Combine(package, "second.onnx")), "no second graph");

        var judged = await Tool.OutlierAsync("evaluate", "--model", package, "--normal", other);
        Assert.True(judged.Code == 0, judged.Error);
        double overlap = double.Parse(judged.Output.Split("mean IoU ")[1].Split(' ')[0], CultureInfo.InvariantCulture);
        Assert.InRange(overlap, 0.6, 1);
        Assert.Contains("trained and calibrated nothing", judged.Output, StringComparison.Ordinal);

        string maps = _directory.File("maps");
        var translated = await Tool.OutlierAsync("translate", "--model", package, "--input", other, "--out", maps);
        Assert.True(translated.Code == 0, translated.Error);
        foreach (string kind in new[] { "maps", "overlays" })
            Assert.Equal(Enumerable.Range(0, 12).Select(i => $"{i:000}.png"),
                Directory.GetFiles(Path.Combine(maps, kind), "*.png", SearchOption.AllDirectories).Select(Path.GetFileName).Order());
        Assert.True(File.Exists(Path.Combine(maps, "legend.png")));
        // What it wrote has the frames' size and can be judged and drawn from as people's maps can.
        using (var map = SKBitmap.Decode(Directory.GetFiles(Path.Combine(maps, "maps"), "000.png", SearchOption.AllDirectories)[0]))
            Assert.Equal((Width, Height), (map.Width, map.Height));
        var again = await Tool.OutlierAsync("translate", "--model", package, "--to", "picture", "--input", Path.Combine(maps, "maps"),
            "--out", _directory.File("pictures"));
        Assert.True(again.Code == 0, again.Error);
        Assert.Contains("12 pictures", again.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("translate --model {demo} --input {drive} --out {out}", "translates nothing")]
    [InlineData("translate --model {maps} --to picture --input {drive}/labels --out {out}", "has no graph from maps to pictures")]
    [InlineData("translate --model {maps} --input nowhere --out {out}", "nowhere")]
    [InlineData("evaluate --model {maps} --normal {unlabelled}", "labels")]
    [InlineData("evaluate --model {maps} --normal {drive} --labels {small}", "is 48×32")]
    [InlineData("evaluate --model {maps} --normal {drive} --labels {unknown}", "index 7")]
    [InlineData("evaluate --model {demo} --normal {drive} --labels {drive}/labels", "translates nothing")]
    [InlineData("evaluate --model {maps} --normal {drive} --corruptions", "--corruptions does not go with label maps")]
    [InlineData("evaluate --model {maps} --normal {drive} --out {out}", "--out does not go with label maps")]
    [InlineData("mine --model {maps} --frames {drive} --out {out}", "is a pix2pix")]
    [InlineData("sample --model {maps} --out {out}.png", "is a pix2pix")]
    public async Task Wrong_input_is_told_in_one_line(string line, string expected)
    {
        string drive = Draw("drive", 3);
        var places = new Dictionary<string, string>
        {
            ["demo"] = Repository.StreetDemo,
            ["drive"] = drive,
            ["unlabelled"] = Draw("unlabelled", 3, labels: null),
            ["small"] = Path.Combine(Draw("small", 3, scale: 2), "labels"),
            ["unknown"] = Path.Combine(Draw("unknown", 3, index: 7), "labels"),
            ["maps"] = WriteMaps(),
            ["out"] = _directory.File("out"),
        };
        foreach (var (name, path) in places) line = line.Replace($"{{{name}}}", path, StringComparison.Ordinal);
        var refused = await Tool.OutlierAsync(line.Split(' '));
        Assert.NotEqual(0, refused.Code);
        Assert.Contains(expected, refused.Error, StringComparison.Ordinal);
        Assert.Single(refused.Error.Trim().Split('\n'), text => text.Contains(expected, StringComparison.Ordinal));
        // No trace of where it was thrown.
        Assert.DoesNotContain("   at ", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(places["out"], "pictures")));
    }

    private string WriteClasses()
    {
        string file = _directory.File("classes.txt");
        File.WriteAllLines(file, Classes);
        return file;
    }

    /// <summary>A package that makes maps by brightness: the fixture's graph.</summary>
    private string WriteMaps()
    {
        string directory = _directory.File("by-brightness");
        byte[] graph = File.ReadAllBytes(Path.Combine(Repository.Root, "tests", "OutlierPipeline.IntegrationTests", "Fixtures",
            "second.onnx"));
        var demo = ModelPackage.Load(Repository.StreetDemo);
        var card = demo.Card with
        {
            Name = "maps",
            Scores = [],
            LocalScores = null,
            Mask = null,
            Network = demo.Card.Network with
            {
                Height = Height,
                Width = Width,
                Architecture = "pix2pix",
                Translation = new TranslationCard
                {
                    Classes = [new("sky", "#6fa8dc"), new("road", "#6b5b95"), new("void", "#000000")],
                    Void = 2,
                },
            },
        };
        ModelPackageWriter.WriteTranslating(directory, card, new Dictionary<string, byte[]>
        {
            [TranslationCard.ToMap] = graph,
            [OutlierPipeline.Evaluation.KnownFootage.FileName] = demo.ReadFile(OutlierPipeline.Evaluation.KnownFootage.FileName),
        });
        return directory;
    }

    /// <summary>Frames of a sky over a road, and their maps beside them.</summary>
    /// <param name="labels">The maps' directory; null for none.</param>
    /// <param name="scale">How many times smaller maps are.</param>
    /// <param name="index">Of the road.</param>
    private string Draw(string name, int count, string? labels = "labels", int scale = 1, byte index = 1)
    {
        string directory = Directory.CreateDirectory(_directory.File(name)).FullName;
        // Other pictures under another name.
        var random = new Random(name.Sum(letter => letter));
        for (int i = 0; i < count; i++)
        {
            int horizon = random.Next(24, 40);
            using var picture = new SKBitmap(Width, Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
            for (int y = 0; y < Height; y++)
            {
                for (int x = 0; x < Width; x++)
                {
                    byte noise = (byte)random.Next(0, 16);
                    picture.SetPixel(x, y, y < horizon ? new SKColor((byte)(150 + noise), (byte)(190 + noise), (byte)(230 + noise))
                        : new SKColor((byte)(50 + noise), (byte)(50 + noise), (byte)(60 + noise)));
                }
            }
            using var png = picture.Encode(SKEncodedImageFormat.Png, 100);
            File.WriteAllBytes(Path.Combine(directory, $"{i:000}.png"), png.ToArray());
            if (labels is null) continue;
            byte[] map = [.. Enumerable.Range(0, Height / scale * (Width / scale)).Select(at =>
                at / (Width / scale) * scale < horizon ? (byte)0 : index)];
            Directory.CreateDirectory(Path.Combine(directory, labels));
            File.WriteAllBytes(Path.Combine(directory, labels, $"{i:000}.png"),
                new OutlierPipeline.Footage.LabelMap(Height / scale, Width / scale, map).Encode([.. Enumerable.Range(0, 8).Select(k =>
                    ((byte)(30 * k), (byte)(20 * k), (byte)(10 * k)))]));
        }
        return directory;
    }
}
