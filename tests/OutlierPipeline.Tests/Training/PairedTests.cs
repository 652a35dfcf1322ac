using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Paired;
using SkiaSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class PairedTests : IDisposable
{
    private const int Frames = 24;
    private static readonly FrameSize Size = new(64, 96);
    private static readonly LabelClasses Classes = new([new("sky", "#6fa8dc"), new("road", "#6b5b95"), new("car", "#1f3fd0"),
        new("void", "#000000")], 3);
    private readonly string _directory = Directory.CreateTempSubdirectory("outlier-test-").FullName;
    private readonly List<IDisposable> _open = [];

    private string Drive => Path.Combine(_directory, "drive");

    public void Dispose()
    {
        foreach (var one in _open) one.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void The_way_to_maps_improves_on_its_begin_and_the_graph_says_what_TorchSharp_says()
    {
        var (footage, maps) = Draw();
        var backbone = Backbone.ResNet18(stages: 4);
        var network = new MapNetwork(Size, [64, 128, 256, 512], Classes.Classes.Count, Classes.Void, isProbe: false);
        using var features = StageFootage.Of(footage, backbone, network, 2, _ => { }, TestContext.Current.CancellationToken);
        using var trainer = new MapTrainer(network, footage, features, maps, Classes, Settings(epochs: 12), At("to-map"));
        double before = OverlapOf(Write("begin", toMap: PairPackage.WriteToMap(backbone, network, 4, trainer.Weights)), footage, maps);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        string package = Write("pairs", toMap: PairPackage.WriteToMap(backbone, network, 4, trainer.Weights));
        double after = OverlapOf(package, footage, maps);
        Assert.True(after > before + 0.3 && after > 0.6, $"mean IoU {after} after training, {before} before");
        Assert.All(trainer.Losses, loss => Assert.True(loss is { Discriminator: > 0, Generator: > 0 }));

        using var translator = new Translator(package, TranslationCard.ToMap);
        var (map, probability) = translator.ToMap(footage[0]);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = new TorchOps(trainer.Weights.ToDictionary(weight => weight.Key, weight =>
            tensor(weight.Value.Values, weight.Value.Shape)), CPU);
        var odds = network.Classify(ops, MapNetwork.Standardise(ops, features.Read([0], 0, network)));
        float[] expected = ops.Smooth(odds, MapNetwork.Side).softmax(1).amax([1L]).contiguous().data<float>().ToArray();
        // The trainer's copy of the backbone's values has half precision: most pixels agree to 1e-3, none is far off.
        double[] differences = [.. expected.Zip(probability, (a, b) => (double)Math.Abs(a - b)).Order()];
        Assert.InRange(differences[(int)(0.99 * differences.Length)], 0, 1e-3);
        Assert.InRange(differences[^1], 0, 2e-2);
        Assert.DoesNotContain((byte)Classes.Void!.Value, map);
    }

    [Fact]
    public void The_way_to_pictures_comes_nearer_to_frames_and_the_graph_draws_what_TorchSharp_draws()
    {
        var (footage, maps) = Draw();
        var painter = new MapPainter(Size, Classes.Classes.Count);
        using var trainer = new PictureTrainer(painter, footage, maps, Classes, Settings(epochs: 30), At("to-picture"));
        double before = DifferenceOf(Write("begin", toPicture: PairPackage.WriteToPicture(painter, 4, trainer.Weights)), footage, maps);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        string package = Write("pairs", toPicture: PairPackage.WriteToPicture(painter, 4, trainer.Weights));
        double after = DifferenceOf(package, footage, maps);
        Assert.True(after < 0.8 * before, $"pictures differ by {after} grey levels after training, {before} before");

        using var translator = new Translator(package, TranslationCard.ToPicture);
        float[] noise = [.. Enumerable.Range(0, MapPainter.Noise).Select(i => MathF.Sin(i))];
        byte[] drawn = translator.ToPicture(maps[0], noise);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = new TorchOps(trainer.Weights.ToDictionary(weight => weight.Key, weight =>
            tensor(weight.Value.Values, weight.Value.Shape)), CPU);
        var planes = nn.functional.one_hot(tensor(maps[0], [1, Size.Height, Size.Width]).to(int64), 4).permute(0, 3, 1, 2).to(float32);
        float[] expected = MapPainter.Draw(ops, planes, tensor(noise, [1, MapPainter.Noise])).permute(0, 2, 3, 1).contiguous()
            .data<float>().ToArray();
        // Of levels from 0 to 1, which bytes hold to half of 1/255.
        Assert.All(expected.Zip(drawn), pair => Assert.InRange(Math.Abs(pair.First - pair.Second / 255.0), 0, 0.5 / 255 + 1e-3));
    }

    [Fact]
    public void The_second_graph_finds_what_is_unlike_its_class_and_unlike_what_is_drawn_again()
    {
        var (footage, maps) = Draw();
        var backbone = Backbone.ResNet18(stages: 4);
        var network = new MapNetwork(Size, [64, 128, 256, 512], Classes.Classes.Count, Classes.Void, isProbe: false);
        using var features = StageFootage.Of(footage, backbone, network, 2, _ => { }, TestContext.Current.CancellationToken);
        using var maker = new MapTrainer(network, footage, features, maps, Classes, Settings(epochs: 12), At("to-map"));
        Assert.True(maker.Run(_ => { }, TestContext.Current.CancellationToken));
        var painter = new MapPainter(Size, Classes.Classes.Count);
        using var drawer = new PictureTrainer(painter, footage, maps, Classes, Settings(epochs: 30), At("to-picture"));
        Assert.True(drawer.Run(_ => { }, TestContext.Current.CancellationToken));
        var (graph, scores) = new SecondGraphWriter(backbone, network, maker.Weights, painter, drawer.Weights, Classes).Write(footage, 2,
            TestContext.Current.CancellationToken);
        Assert.Equal([SecondGraph.Resynthesis, SecondGraph.Classes, "unlike_road", "unlike_sky", "unlike_car"], scores);

        using var session = new Microsoft.ML.OnnxRuntime.InferenceSession(graph);
        var clean = Run(session, footage[5]);
        byte[] pasted = footage[5];
        // A square of bright green on the road.
        for (int y = 44; y < 60; y++)
        {
            for (int x = 4; x < 20; x++) ((byte[])[30, 220, 30]).CopyTo(pasted, (y * Size.Width + x) * 3);
        }
        var strange = Run(session, pasted);
        Assert.True(strange.Scores[0] > clean.Scores[0] + 0.5, $"resynthesis {strange.Scores[0]} with it, {clean.Scores[0]} without");
        Assert.True(strange.Scores[1] > clean.Scores[1] + 0.5, $"classes {strange.Scores[1]} with it, {clean.Scores[1]} without");
        int at = Array.IndexOf(strange.Map, strange.Map.Max());
        Assert.InRange(at / (Size.Width / 8), 5, 7);
        Assert.InRange(at % (Size.Width / 8), 0, 3);

        static (float[] Scores, float[] Map) Run(Microsoft.ML.OnnxRuntime.InferenceSession session, byte[] picture)
        {
            using var options = new Microsoft.ML.OnnxRuntime.RunOptions();
            using var image = Microsoft.ML.OnnxRuntime.OrtValue.CreateTensorValueFromMemory(picture, [1, Size.Height, Size.Width, 3]);
            using var found = session.Run(options, ["image"], [image], ["scores", "error_map"]);
            return (found[0].GetTensorDataAsSpan<float>().ToArray(), found[1].GetTensorDataAsSpan<float>().ToArray());
        }
    }

    [Fact]
    public void A_run_that_was_interrupted_and_goes_on_ends_as_the_uninterrupted_one()
    {
        var (footage, maps) = Draw();
        var painter = new MapPainter(Size, Classes.Classes.Count);
        using var whole = new PictureTrainer(painter, footage, maps, Classes, Settings(epochs: 2), At("whole"));
        Assert.True(whole.Run(_ => { }, TestContext.Current.CancellationToken));
        using (var interrupted = new PictureTrainer(painter, footage, maps, Classes, Settings(epochs: 2), At("other")))
        {
            using var stop = new CancellationTokenSource();
            Assert.False(interrupted.Run(progress =>
            {
                if (progress.Step == 4) stop.Cancel();
            }, stop.Token));
        }
        using var resumed = new PictureTrainer(painter, footage, maps, Classes, Settings(epochs: 2), At("other"));
        resumed.Resume();
        Assert.True(resumed.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Equal(whole.Losses, resumed.Losses);
        Assert.Equal(whole.Weights.SelectMany(weight => weight.Value.Values), resumed.Weights.SelectMany(weight => weight.Value.Values));
    }

    /// <summary>Frames of a sky, a road and a car, with noise, and their maps beside them.</summary>
    private (DecodedFootage Footage, byte[][] Maps) Draw()
    {
        Directory.CreateDirectory(Path.Combine(Drive, "labels"));
        var random = new Random(1);
        for (int i = 0; i < Frames; i++)
        {
            byte[] map = new byte[Size.Height * Size.Width];
            using var picture = new SKBitmap(Size.Width, Size.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
            int horizon = random.Next(20, 36);
            int left = random.Next(4, 64);
            for (int y = 0; y < Size.Height; y++)
            {
                for (int x = 0; x < Size.Width; x++)
                {
                    bool isCar = y >= 40 && y < 58 && x >= left && x < left + 26;
                    int index = y < 2 ? 3 : isCar ? 2 : y < horizon ? 0 : 1;
                    map[y * Size.Width + x] = (byte)index;
                    int noise = random.Next(-8, 9);
                    picture.SetPixel(x, y, index switch
                    {
                        2 => Grey(200, 40, 40, noise),
                        1 => Grey(30 + 3 * (y - horizon), 30 + 3 * (y - horizon), 60, noise),
                        _ => Grey(150, 190, 230, noise),
                    });
                }
            }
            using var png = picture.Encode(SKEncodedImageFormat.Png, 100);
            File.WriteAllBytes(Path.Combine(Drive, $"{i:000}.png"), png.ToArray());
            File.WriteAllBytes(Path.Combine(Drive, "labels", $"{i:000}.png"),
                new LabelMap(Size.Height, Size.Width, map).Encode([.. Classes.Classes.Select(one => one.Rgb)]));
        }
        var footage = new FootageLoader().LoadAsync([Drive], Size, CancellationToken.None).GetAwaiter().GetResult();
        _open.Add(footage);
        return (footage, new LabelFiles([Drive], []).Read(footage, Classes.Classes));

        static SKColor Grey(int red, int green, int blue, int noise) =>
            new((byte)(red + noise), (byte)(green + noise), (byte)(blue + noise));
    }

    private static double OverlapOf(string package, DecodedFootage footage, byte[][] maps)
    {
        using var translator = new Translator(package, TranslationCard.ToMap);
        var quality = new TranslationQuality(Classes.Classes.Count, Classes.Void);
        for (int i = 0; i < footage.Count; i++) quality.Add(maps[i], translator.ToMap(footage[i]).Map);
        return quality.MeanOverlap();
    }

    /// <summary>In grey levels.</summary>
    private static double DifferenceOf(string package, DecodedFootage footage, byte[][] maps)
    {
        using var translator = new Translator(package, TranslationCard.ToPicture);
        return Enumerable.Range(0, footage.Count).Average(i => translator.ToPicture(maps[i], new float[MapPainter.Noise])
            .Zip(footage[i], (a, b) => Math.Abs(a - b)).Average());
    }

    private string Write(string name, byte[]? toMap = null, byte[]? toPicture = null)
    {
        string directory = Path.Combine(_directory, "models", name);
        var footage = _open.OfType<DecodedFootage>().First();
        PairPackage.Write(directory, new PackageBuilder.Description("1.0.0", "A test.", "none", "the test", "none", "cpu"),
            Settings(epochs: 1), Classes, footage, null, Way("map", toMap), Way("picture", toPicture), null, TimeSpan.Zero);
        return directory;

        static TrainedDirection? Way(string prefix, byte[]? graph) =>
            graph is null ? null : new TrainedDirection(prefix, graph, [(1, 1)], (prefix + "Measured", 1), 0, 0, Size, 1);
    }

    private string At(string name) => Path.Combine(_directory, "run", name);

    private static TrainingSettings Settings(int epochs) => SmallTraining.Settings("pix2pix", epochs, batch: 8) with
    {
        LearningRate = 2e-3,
        AdversarialWeight = 0.02,
    };
}
