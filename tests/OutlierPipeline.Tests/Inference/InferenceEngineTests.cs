using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Inference;

public sealed class InferenceEngineTests : IDisposable
{
    private readonly ModelPackage _package = ModelPackage.Load(Repository.StreetDemo);
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Theory]
    [InlineData("street-demo")]
    [InlineData("camvid-day")]
    public void The_frame_path_computes_what_the_whole_graph_computes_and_with_masks_too(string name)
    {
        var package = ModelPackage.Load(Repository.Model(name));
        using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        using var scorer = new FootageScorer(engine, 4);
        var size = package.Card.Network.Size;
        var footage = _rendered.Load(_rendered.Drive("drive", 7, seed: 5), size);
        float[][] rows = scorer.Score(footage, null, TestContext.Current.CancellationToken);
        for (int i = 0; i < rows.Length; i++) AssertClose(engine.Compute(footage[i], null, "scores")[0], rows[i], 1e-4);
    }

    [Theory]
    [InlineData(JpegLibrary.TurboJpeg)]
    [InlineData(JpegLibrary.Skia)]
    public void A_slot_that_its_frame_has_not_written_is_never_a_frame(JpegLibrary library)
    {
        Assert.SkipUnless(library == JpegLibrary.Skia
            || TurboJpeg.IsAvailable, "libjpeg-turbo is not on this machine (Debian: libturbojpeg0)");
        using var engine = new InferenceEngine(_package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        using var decoder = new FrameDecoder(_package.Card.Network.Size, new FrameLimits(), library);
        var batch = engine.CreateBatch(3);
        byte[] sound = Jpegs.Sound();
        batch.Count = 3;
        for (int slot = 0; slot < 3; slot++) Assert.Equal(FrameError.None, batch.Decode(slot, sound, decoder));
        batch.Run();
        for (int slot = 0; slot < 3; slot++) Assert.Equal(FrameError.None, batch.Error(slot));
        // The next batch: a good frame, a bad one, and one that nobody decodes. What lies in the memory is the batch's before.
        batch.Clear();
        batch.Count = 3;
        batch.Decode(0, sound, decoder);
        batch.Decode(1, Jpegs.Cut(sound, 0.5), decoder);
        batch.Run();
        Assert.Equal([FrameError.None, FrameError.Truncated, FrameError.Corrupt], Enumerable.Range(0, 3).Select(batch.Error));
    }

    [Theory]
    [InlineData("street-demo")]
    [InlineData("camvid-day")]
    public void Half_precision_keeps_scores_to_1e_2_and_the_area_under_the_curve_to_5e_3(string name)
    {
        var package = ModelPackage.Load(Repository.Model(name));
        var size = package.Card.Network.Size;
        var normal = _rendered.Load(_rendered.Drive("normal", 40, seed: 7), size);
        var outliers = new[] { Trouble.Fog, Trouble.DirtyLens, Trouble.Obstacle }.Select(trouble =>
            _rendered.Load(_rendered.Drive(trouble.ToString(), 20, seed: 8, trouble), size)).ToArray();
        var single = Scores(Precision.Fp32);
        var half = Scores(Precision.Fp16);
        for (int i = 0; i < single.Normal.Length; i++) AssertHalf(single.Normal[i], half.Normal[i]);
        for (int set = 0; set < outliers.Length; set++)
        {
            for (int i = 0; i < single.Outliers[set].Length; i++) AssertHalf(single.Outliers[set][i], half.Outliers[set][i]);
            Assert.InRange(Area(half, set) - Area(single, set), -0.005, 0.005);
        }

        // A likelihood divides by variances that are drawn, so rounding is multiplied in it; no package combines it.
        void AssertHalf(float[] expected, float[] actual)
        {
            for (int k = 0; k < expected.Length; k++)
                AssertClose([expected[k]], [actual[k]], package.Card.Scores[k] == "likelihood" ? 4e-2 : 1e-2);
        }

        (float[][] Normal, float[][][] Outliers) Scores(Precision precision)
        {
            using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu, Precision = precision },
                NullLogger.Instance);
            Assert.Equal(precision, engine.Precision);
            using var scorer = new FootageScorer(engine);
            return (scorer.Score(normal, null, TestContext.Current.CancellationToken),
                [.. outliers.Select(set => scorer.Score(set, null, TestContext.Current.CancellationToken))]);
        }

        double Area((float[][] Normal, float[][][] Outliers) scores, int set) =>
            DetectionMetrics.Auroc(Combined(scores.Normal), Combined(scores.Outliers[set]));

        double[] Combined(float[][] rows) => [.. rows.Select(row => package.Default.Calibration.Combine(row))];
    }

    [Theory]
    [InlineData("street-demo")]
    [InlineData("camvid-day")]
    public void Half_precision_reaches_every_convolution_and_no_score(string name)
    {
        var package = ModelPackage.Load(Repository.Model(name));
        var whole = ModelProto.Parser.ParseFrom(package.Graph.ToArray());
        var graph = OnnxGraph.Parse(package.Graph.ToArray());
        graph.Keep(["scores"]);
        int nodes = ModelProto.Parser.ParseFrom(graph.ToArray()).Graph.Node.Count;
        Assert.InRange(nodes, 1, whole.Graph.Node.Count - 5);
        graph.HalveNetwork(package.Card.Network.LastWeight);
        var halved = ModelProto.Parser.ParseFrom(graph.ToArray()).Graph;
        var types = halved.Initializer.ToDictionary(initializer => initializer.Name, initializer => (long)initializer.DataType);
        foreach (var cast in halved.Node.Where(node => node.OpType == "Cast")) types[cast.Output[0]] = cast.Attribute[0].I;
        Assert.Contains(halved.Node, node => node.OpType == "Conv");
        Assert.All(halved.Node.Where(node => node.OpType == "Conv"), node => Assert.Equal(10, types[node.Input[1]]));
        Assert.All(halved.Node.Where(node => node.OpType is "Log" or "ReduceMax"), node =>
            Assert.DoesNotContain("half", node.Input[0], StringComparison.Ordinal));
        Assert.Equal(["scores"], halved.Output.Select(output => output.Name));
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int k = 0; k < expected.Length; k++)
            Assert.True(Math.Abs(expected[k] - actual[k]) <= tolerance * (1 + Math.Abs(expected[k])),
                $"score {k}: {actual[k]}, expected {expected[k]}");
    }

    [Theory]
    [InlineData("[ErrorCode:Fail] /src/provider_bridge.cc:2043 FAIL : Failed to load library /app/libonnxruntime_providers_cuda.so with " +
        "error: libcublasLt.so.13: cannot open shared object file: No such file or directory\n",
        "libcublasLt.so.13 is not on this machine; install CUDA 13 and cuDNN 9")]
    [InlineData("with error: libcudnn.so.9: cannot open shared object file: No such file", "libcudnn.so.9 is not on this machine")]
    [InlineData("CUDA failure 100: no CUDA-capable device is detected\nin line 2",
        "CUDA failure 100: no CUDA-capable device is detected in line 2")]
    public void A_provider_that_does_not_start_is_said_with_what_is_missing(string message, string said) =>
        Assert.StartsWith(said, SessionFactory.Describe(message), StringComparison.Ordinal);
}
