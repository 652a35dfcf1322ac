using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Onnx;
using OutlierPipeline.Training.Paired;
using static TorchSharp.torch;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class PairedTests(TrainedPairs trained) : IClassFixture<TrainedPairs>, IDisposable
{
    private static readonly FrameSize Size = TrainedPairs.Size;
    private readonly string _directory = Directory.CreateTempSubdirectory("outlier-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void The_way_to_maps_improves_on_its_begin_and_the_graph_says_what_TorchSharp_says()
    {
        var (footage, maps, network) = (trained.Footage, trained.Maps, trained.Network);
        double before = OverlapOf(Write("begin", toMap: PairPackage.WriteToMap(trained.Backbone, network, 4, trained.MapBegin)));
        var weights = trained.ToMap.Weights;
        string package = Write("pairs", toMap: PairPackage.WriteToMap(trained.Backbone, network, 4, weights));
        double after = OverlapOf(package);
        Assert.True(after > before + 0.3 && after > 0.6, $"mean IoU {after} after training, {before} before");
        Assert.All(trained.ToMap.Losses, loss => Assert.True(loss is { Discriminator: > 0, Generator: > 0 }));

        using var translator = new Translator(package, TranslationCard.ToMap);
        var (map, probability) = translator.ToMap(footage[0]);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = Ops(weights);
        var odds = network.Classify(ops, MapNetwork.Standardise(ops, StagesOf(footage[0])));
        float[] expected = ops.Smooth(odds, MapNetwork.Side).softmax(1).amax([1L]).contiguous().data<float>().ToArray();
        Assert.All(expected.Zip(probability), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 1e-3));
        Assert.DoesNotContain((byte)TrainedPairs.Classes.Void!.Value, map);
    }

    [Fact]
    public void The_way_to_pictures_comes_nearer_to_frames_and_the_graph_draws_what_TorchSharp_draws()
    {
        double before = DifferenceOf(Write("begin", toPicture: PairPackage.WriteToPicture(trained.Painter, 4, trained.PictureBegin)));
        var weights = trained.ToPicture.Weights;
        string package = Write("pairs", toPicture: PairPackage.WriteToPicture(trained.Painter, 4, weights));
        double after = DifferenceOf(package);
        Assert.True(after < 0.8 * before, $"pictures differ by {after} grey levels after training, {before} before");

        using var translator = new Translator(package, TranslationCard.ToPicture);
        float[] noise = [.. Enumerable.Range(0, MapPainter.Noise).Select(i => MathF.Sin(i))];
        byte[] drawn = translator.ToPicture(trained.Maps[0], noise);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = Ops(weights);
        var planes = nn.functional.one_hot(tensor(trained.Maps[0], [1, Size.Height, Size.Width]).to(int64), 4).permute(0, 3, 1, 2)
            .to(float32);
        float[] expected = MapPainter.Draw(ops, planes, tensor(noise, [1, MapPainter.Noise])).permute(0, 2, 3, 1).contiguous()
            .data<float>().ToArray();
        // Of levels from 0 to 1, which bytes hold to half of 1/255.
        Assert.All(expected.Zip(drawn), pair => Assert.InRange(Math.Abs(pair.First - pair.Second / 255.0), 0, 0.5 / 255 + 1e-3));
    }

    [Fact]
    public void The_second_graph_finds_what_is_unlike_its_class_and_unlike_what_is_drawn_again()
    {
        var writer = new SecondGraphWriter(trained.Backbone, trained.Network, trained.ToMap.Weights, trained.Painter,
            trained.ToPicture.Weights, TrainedPairs.Classes);
        var (graph, scores) = writer.Write(trained.Footage, 2, TestContext.Current.CancellationToken);
        Assert.Equal([SecondGraph.Resynthesis, SecondGraph.Classes, "unlike_road", "unlike_sky", "unlike_car"], scores);
        using var session = new InferenceSession(graph);
        var clean = Run(session, trained.Footage[5]);
        byte[] pasted = trained.Footage[5];
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

        // Its map and what it draws again are those of TorchSharp, here from the networks themselves.
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var toMap = Ops(trained.ToMap.Weights);
        var odds = trained.Network.Classify(toMap, MapNetwork.Standardise(toMap, StagesOf(trained.Footage[5])));
        var best = toMap.Smooth(odds, MapNetwork.Side).softmax(1).topk(2, 1).values.contiguous().data<float>().ToArray();
        byte[] classes = [.. toMap.Smooth(odds, MapNetwork.Side).argmax(1).contiguous().data<long>().ToArray().Select(k => (byte)k)];
        int pixels = classes.Length;
        Assert.All(Enumerable.Range(0, pixels).Where(i => best[i] - best[pixels + i] > 1e-3), i =>
            Assert.Equal(classes[i], clean.Classes[i]));
        var size = trained.Painter.Size;
        var planes = nn.functional.one_hot(nn.functional.interpolate(odds, [size.Height, size.Width], mode: InterpolationMode.Bilinear,
            align_corners: false).argmax(1), 4).permute(0, 3, 1, 2).to(float32);
        float[] drawn = MapPainter.Draw(Ops(trained.ToPicture.Weights), planes, zeros(1, MapPainter.Noise)).permute(0, 2, 3, 1)
            .contiguous().data<float>().ToArray();
        Assert.Equal(drawn.Length, clean.Drawn.Length);
        Assert.All(drawn.Zip(clean.Drawn), pair => Assert.InRange(Math.Abs(pair.First - pair.Second / 255.0), 0, 0.5 / 255 + 1e-3));

        static (float[] Scores, float[] Map, byte[] Classes, byte[] Drawn) Run(InferenceSession session, byte[] picture)
        {
            using var options = new RunOptions();
            using var image = OrtValue.CreateTensorValueFromMemory(picture, [1, Size.Height, Size.Width, 3]);
            using var found = session.Run(options, ["image"], [image], ["scores", "error_map", "map", "picture"]);
            return (found[0].GetTensorDataAsSpan<float>().ToArray(), found[1].GetTensorDataAsSpan<float>().ToArray(),
                found[2].GetTensorDataAsSpan<byte>().ToArray(), found[3].GetTensorDataAsSpan<byte>().ToArray());
        }
    }

    private static TorchOps Ops(IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights) =>
        new(weights.ToDictionary(weight => weight.Key, weight => tensor(weight.Value.Values, weight.Value.Shape)), CPU);

    [Theory]
    [InlineData(TranslationCard.ToMap)]
    [InlineData(TranslationCard.ToPicture)]
    public void A_run_that_was_interrupted_and_goes_on_ends_as_the_uninterrupted_one(string way)
    {
        using var whole = Trainer("whole");
        Assert.True(whole.Run(_ => { }, TestContext.Current.CancellationToken));
        using (var interrupted = Trainer("other"))
        {
            using var stop = new CancellationTokenSource();
            Assert.False(interrupted.Run(progress =>
            {
                if (progress.Step == 4) stop.Cancel();
            }, stop.Token));
        }
        using var resumed = Trainer("other");
        resumed.Resume();
        Assert.True(resumed.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Equal(whole.Losses, resumed.Losses);
        Assert.Equal(whole.Weights.SelectMany(weight => weight.Value.Values), resumed.Weights.SelectMany(weight => weight.Value.Values));

        AdversarialTrainer Trainer(string name)
        {
            string file = Path.Combine(_directory, "run", name);
            var settings = TrainedPairs.Settings(epochs: 2);
            return way == TranslationCard.ToMap
                ? new MapTrainer(trained.Network, trained.Footage, trained.Features, trained.Maps, TrainedPairs.Classes, settings, file)
                : new PictureTrainer(trained.Painter, trained.Footage, trained.Maps, TrainedPairs.Classes, settings, file);
        }
    }

    /// <summary>What the backbone's stages say of a frame, in full precision: what the trainer keeps of them is rounded.</summary>
    private Tensor[] StagesOf(byte[] frame)
    {
        var ops = new OnnxOps(new Dictionary<string, (float[], long[])>());
        string pixels = ops.ToFloat(ops.Input("image", OnnxOps.ByteType, Size.Height, Size.Width, 3));
        var sizes = trained.Network.Stages.Select(stage => stage.Channels * stage.Rows * stage.Columns).ToArray();
        string[] stages = [.. trained.Backbone.WriteStages(ops, pixels).Select((planes, k) => ops.Reshape(planes, sizes[k]))];
        ops.Output("cells", ops.Concat(stages), OnnxOps.FloatType, sizes.Sum());
        using var runner = new GraphRunner(ops.ToModel(new Dictionary<string, string>()), Size, 1, trained.Backbone.Card.Name);
        float[] values = runner.Run(frame);
        return [.. trained.Network.Stages.Select((stage, k) =>
            tensor(values[sizes[..k].Sum()..sizes[..(k + 1)].Sum()], [1, stage.Channels, stage.Rows, stage.Columns]))];
    }

    private double OverlapOf(string package)
    {
        using var translator = new Translator(package, TranslationCard.ToMap);
        var quality = new TranslationQuality(TrainedPairs.Classes.Classes.Count, TrainedPairs.Classes.Void);
        for (int i = 0; i < trained.Footage.Count; i++) quality.Add(trained.Maps[i], translator.ToMap(trained.Footage[i]).Map);
        return quality.MeanOverlap();
    }

    /// <summary>In grey levels.</summary>
    private double DifferenceOf(string package)
    {
        using var translator = new Translator(package, TranslationCard.ToPicture);
        return Enumerable.Range(0, trained.Footage.Count).Average(i => translator.ToPicture(trained.Maps[i], new float[MapPainter.Noise])
            .Zip(trained.Footage[i], (a, b) => Math.Abs(a - b)).Average());
    }

    private string Write(string name, byte[]? toMap = null, byte[]? toPicture = null)
    {
        string directory = Path.Combine(_directory, "models", name);
        PairPackage.Write(directory, new PackageBuilder.Description("1.0.0", "A test.", "none", "the test", "none", "cpu"),
            TrainedPairs.Settings(epochs: 1), TrainedPairs.Classes, trained.Footage, null, Way("map", toMap), Way("picture", toPicture),
            null, TimeSpan.Zero);
        return directory;

        static TrainedDirection? Way(string prefix, byte[]? graph) =>
            graph is null ? null : new TrainedDirection(prefix, graph, [(1, 1)], (prefix + "Measured", 1), 0, 0, Size, 1);
    }
}
