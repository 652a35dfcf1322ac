using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class FeatureVaeTests : IDisposable
{
    private static readonly FrameSize Size = new(48, 80);
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    private string Checkpoint => Path.Combine(_rendered.Directory, "run", "checkpoint");

    [Theory]
    [InlineData("feature-vae", 2, true)]
    [InlineData("feature-vae", 3, false)]
    [InlineData("feature-ae", 1, false)]
    [InlineData("feature-beta-vae", 1, false)]
    public void The_graph_computes_what_TorchSharp_computes_to_1e_3(string architecture, int stages, bool isMasked)
    {
        var footage = Drive(50);
        var mask = isMasked ? SmallTraining.LowerHalf(Size) : null;
        var backbone = Backbone.ResNet18(stages);
        using var training = Training(footage, backbone, Settings(architecture), mask);
        Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        var exporter = training.Finish(TestContext.Current.CancellationToken).Exporter;
        byte[] frames = [.. Enumerable.Range(5, 7).SelectMany(i => footage[i])];
        using var runner = new FeatureRunner(backbone, Size, mask, training.Fill, threads: 2);
        var expected = exporter.Reference(runner.Run(frames));
        using var session = Session(exporter.WriteModel("test", "1", "the renderer"));
        float[][] actual = Run(session, frames, mask);
        AssertClose(expected.Scores, actual[0]);
        AssertClose(expected.Latent, actual[1]);
        AssertClose(expected.ErrorMap, actual[2]);
        Assert.All(new[] { "residual", "strips", "likelihood", "local", "codes" }, name =>
            Assert.Contains(name, exporter.Scores.Select(score => score.Name)));
        if (!isMasked) return;
        // What the mask leaves out moves nothing.
        byte[] painted = [.. frames];
        for (int i = 0; i < 7; i++) new Random(i).NextBytes(painted.AsSpan(i * Size.Bytes, Size.Bytes / 2));
        AssertClose(actual[0], Run(session, painted, mask)[0]);
        float[] map = Run(session, painted, mask)[2];
        Assert.All(map.Take(map.Length / 7 / 2), value => Assert.Equal(0, value));
        Assert.Contains(Run(session, frames, null)[0].Zip(Run(session, painted, null)[0]), pair =>
            Math.Abs(pair.First - pair.Second) > 0.1);
    }

    [Fact]
    public void Scores_are_what_plain_loops_over_cells_compute()
    {
        var footage = Drive(50);
        var backbone = Backbone.ResNet18(1);
        using var training = Training(footage, backbone, Settings("feature-vae"), null);
        Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        var exporter = training.Finish(TestContext.Current.CancellationToken).Exporter;
        using var runner = new FeatureRunner(backbone, Size, null, training.Fill, threads: 2);
        var plain = new PlainFeatureVae(training.Trainer.Weights, Size, 64, 4);
        float[][] cells = [.. Enumerable.Range(0, footage.Count).Select(i => runner.Run(footage[i]))];
        var maps = cells.Select(plain.Errors).ToArray();
        float[] actual = exporter.Reference(cells[7]).ErrorMap;
        double[] expected = PlainFeatureVae.Standardised(maps, 7, Size.Height / 8, Size.Width / 8);
        // What was fitted, was fitted to values that had been kept in half precision.
        for (int cell = 0; cell < expected.Length; cell++)
            Assert.Equal(expected[cell], actual[cell], 0.02 * (1 + Math.Abs(expected[cell])));
        double top = expected.OrderDescending().Take((int)Math.Ceiling(0.01 * expected.Length)).Average();
        int local = exporter.Scores.ToList().FindIndex(score => score.Name == "local");
        Assert.Equal(top, exporter.Reference(cells[7]).Scores[local], 0.02 * (1 + Math.Abs(top)));
    }

    [Fact]
    public void A_run_that_was_interrupted_and_goes_on_ends_as_the_uninterrupted_one()
    {
        var footage = Drive(50);
        var backbone = Backbone.ResNet18(1);
        var settings = Settings("feature-vae");
        float[] whole;
        using (var training = Training(footage, backbone, settings, null))
        {
            Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
            whole = Values(training);
        }
        using (var interrupted = Training(footage, backbone, settings, null))
        {
            using var stop = new CancellationTokenSource();
            Assert.False(interrupted.Trainer.Run(progress =>
            {
                if (progress.Step == 7) stop.Cancel();
            }, stop.Token));
        }
        using var resumed = Training(footage, backbone, settings, null);
        resumed.Trainer.Resume();
        Assert.True(resumed.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Equal(whole, Values(resumed));
        using var other = Training(footage, backbone, settings with { Seed = 5 }, null);
        Assert.Contains("other frames or settings", Assert.Throws<TrainingException>(other.Trainer.Resume).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_backbone_of_ones_own_is_cut_out_of_its_file_by_the_names_of_its_values()
    {
        string file = Path.Combine(AppContext.BaseDirectory, "backbones", "ResNet18.onnx");
        var own = Backbone.Load(file, ["ReLU283_Output_0", "ReLU315_Output_0"], Size, "MIT");
        Assert.Equal([(64, 4), (128, 8)], own.Stages.Select(stage => (stage.Channels, stage.Stride)));
        Assert.Equal(Backbone.ResNet18(2).Parameters, own.Parameters);
        Assert.Equal(Backbone.ResNet18(2).Flops(Size), own.Flops(Size));
        Assert.Contains("no value elsewhere", Assert.Throws<TrainingException>(() =>
            Backbone.Load(file, ["elsewhere"], Size, "MIT")).Message, StringComparison.Ordinal);
        Assert.Contains("cannot be read", Assert.Throws<TrainingException>(() => Backbone.Load(file + ".not", ["x"], Size, "MIT")).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Half_precision_reaches_every_convolution_and_no_score()
    {
        var footage = Drive(50);
        using var training = Training(footage, Backbone.ResNet18(), Settings("feature-vae"), null);
        Assert.True(training.Trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        var exporter = training.Finish(TestContext.Current.CancellationToken).Exporter;
        byte[] model = exporter.WriteModel("test", "1", "the renderer");
        var graph = OnnxGraph.Parse(model);
        graph.Keep(["scores"]);
        graph.Fix("mask");
        graph.HalveNetwork(FeatureNetwork.LastWeight);
        byte[] frames = [.. Enumerable.Range(0, 3).SelectMany(i => footage[i])];
        using var whole = Session(model);
        using var half = Session(graph.ToArray());
        float[] expected = Run(whole, frames, null)[0];
        using var options = new RunOptions();
        using var image = OrtValue.CreateTensorValueFromMemory(frames, [3, Size.Height, Size.Width, 3]);
        using var outputs = half.Run(options, ["image"], [image], ["scores"]);
        float[] actual = outputs[0].GetTensorDataAsSpan<float>().ToArray();
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 0.1 * (1 + Math.Abs(expected[i])));
        var halved = ModelProto.Parser.ParseFrom(graph.ToArray()).Graph;
        Assert.DoesNotContain(halved.Node, node =>
            node.OpType is "TopK" or "ReduceMax" && node.Input[0].EndsWith("/half", StringComparison.Ordinal));
    }

    private static TrainingSettings Settings(string architecture) => new()
    {
        Architecture = Architecture.Named(architecture),
        Epochs = 3,
        Batch = 512,
        Seed = 3,
        Beta = Architecture.Named(architecture).Beta,
        LearningRate = 2e-3,
        Patience = 3,
    };

    private FeatureTraining Training(DecodedFootage footage, Backbone backbone, TrainingSettings settings, FrameMask? mask)
    {
        TorchSharp.torch.set_num_threads(2);
        return new FeatureTraining(backbone, footage, mask, settings, 8, 2, 0.1, Checkpoint,
            TestContext.Current.CancellationToken)
        { PixelSteps = 20 };
    }

    private DecodedFootage Drive(int frames) => _rendered.Load(_rendered.Drive("drive", frames, 4), Size);

    private static float[] Values(FeatureTraining training) =>
        [.. training.Trainer.Weights.OrderBy(weight => weight.Key, StringComparer.Ordinal).SelectMany(weight => weight.Value.Values)];

    private static InferenceSession Session(byte[] graph)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        options.AddSessionConfigEntry("session.strict_shape_type_inference", "1");
        return new InferenceSession(graph, options);
    }

    private static float[][] Run(InferenceSession session, byte[] pixels, FrameMask? mask)
    {
        using var options = new RunOptions();
        using var image = OrtValue.CreateTensorValueFromMemory(pixels, [pixels.Length / Size.Bytes, Size.Height, Size.Width, 3]);
        using var region = OrtValue.CreateTensorValueFromMemory(mask?.Pixels.ToArray()
            ?? [.. Enumerable.Repeat((byte)1, Size.Height * Size.Width)], [1, Size.Height, Size.Width]);
        using var results = session.Run(options, ["image", "mask"], [image, region], ["scores", "latent", "error_map"]);
        return [.. results.Select(result => result.GetTensorDataAsSpan<float>().ToArray())];
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - actual[i]) <= 1e-3 * (1 + Math.Abs(expected[i])),
                $"{i}: {actual[i]}, expected {expected[i]}");
    }
}
