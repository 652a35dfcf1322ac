using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Footage;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class ModelExporterTests : IDisposable
{
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Theory]
    [InlineData("ae", false)]
    [InlineData("vae", false)]
    [InlineData("beta-vae", false)]
    [InlineData("beta-tcvae", false)]
    [InlineData("vae", true)]
    public void The_graph_computes_what_TorchSharp_computes_to_1e_4(string architecture, bool isMasked)
    {
        var footage = _rendered.Load(_rendered.Drive("drive", 60, 4), SmallTraining.Size);
        var mask = isMasked ? SmallTraining.LowerHalf(SmallTraining.Size) : null;
        var exporter = Train(footage, architecture, mask);
        using var session = Session(exporter.WriteModel("test", "1", "the renderer"));
        foreach (int count in new[] { 1, 7, 32 })
        {
            var expected = exporter.Reference(footage, 5, count);
            float[][] actual = Run(session, Pixels(footage, 5, count), mask, "scores", "latent", "error_map");
            AssertClose(expected.Scores, actual[0]);
            AssertClose(expected.Latent, actual[1]);
            AssertClose(expected.ErrorMap, actual[2]);
        }
    }

    [Fact]
    public void The_decoder_draws_what_the_graph_draws()
    {
        var footage = _rendered.Load(_rendered.Drive("drive", 60, 4), SmallTraining.Size);
        var exporter = Train(footage, "vae", mask: null);
        using var model = Session(exporter.WriteModel("test", "1", "the renderer"));
        using var decoder = Session(exporter.WriteDecoder());
        using var options = new RunOptions();
        using var image = OrtValue.CreateTensorValueFromMemory(Pixels(footage, 0, 4),
            [4, SmallTraining.Size.Height, SmallTraining.Size.Width, 3]);
        using var outputs = model.Run(options, ["image"], [image], ["latent", "reconstruction"]);
        using var code = OrtValue.CreateTensorValueFromMemory(outputs[0].GetTensorDataAsSpan<float>().ToArray(), [4, 8]);
        using var drawn = decoder.Run(options, ["latent"], [code], ["image"]);
        Assert.Equal(outputs[1].GetTensorDataAsSpan<byte>().ToArray(), drawn[0].GetTensorDataAsSpan<byte>().ToArray());
    }

    [Fact]
    public void What_the_mask_leaves_out_moves_no_score_and_one_mask_a_frame_is_taken_too()
    {
        var footage = _rendered.Load(_rendered.Drive("drive", 60, 4), SmallTraining.Size);
        var exporter = Train(footage, "vae", mask: null);
        using var session = Session(exporter.WriteModel("test", "1", "the renderer"));
        var mask = SmallTraining.LowerHalf(SmallTraining.Size);
        byte[] frame = footage[3];
        byte[] painted = [.. frame];
        new Random(1).NextBytes(painted.AsSpan(0, painted.Length / 2));
        float[][] before = Run(session, frame, mask, "scores", "latent", "error_map");
        AssertClose(before[0], Run(session, painted, mask, "scores")[0]);
        AssertClose(before[1], Run(session, painted, mask, "latent")[0]);
        float[] map = Run(session, painted, mask, "error_map")[0];
        Assert.All(map.Take(map.Length / 2), value => Assert.Equal(0, value));
        // Without a mask the same paint is seen.
        float[] open = Run(session, frame, null, "scores")[0];
        Assert.Contains(open.Zip(Run(session, painted, null, "scores")[0]), pair => Math.Abs(pair.First - pair.Second) > 0.1);
        float[] each = RunEach(session, [.. painted, .. painted], [.. mask.Pixels, .. Enumerable.Repeat((byte)1, mask.Pixels.Length)]);
        AssertClose(before[0], each.AsSpan(0, each.Length / 2));
        AssertClose(Run(session, painted, null, "scores")[0], each.AsSpan(each.Length / 2));
    }

    private ModelExporter Train(DecodedFootage footage, string architecture, FrameMask? mask)
    {
        var settings = SmallTraining.Settings(architecture);
        using var trainer = SmallTraining.Trainer(footage, settings, Path.Combine(_rendered.Directory, "checkpoint"), mask);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        var exporter = new ModelExporter(SmallTraining.Network(settings), trainer.Weights, mask);
        exporter.FitScores(footage);
        return exporter;
    }

    /// <summary>
    /// With every check that ONNX Runtime makes of shapes and types; its warning that a default can be overridden is the point.
    /// </summary>
    private static InferenceSession Session(byte[] graph)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        options.AddSessionConfigEntry("session.strict_shape_type_inference", "1");
        return new InferenceSession(graph, options);
    }

    private static byte[] Pixels(DecodedFootage footage, int first, int count) =>
        [.. Enumerable.Range(first, count).SelectMany(i => footage[i])];

    private static float[][] Run(InferenceSession session, byte[] pixels, FrameMask? mask, params string[] outputs)
    {
        using var options = new RunOptions();
        using var image = OrtValue.CreateTensorValueFromMemory(pixels,
            [pixels.Length / SmallTraining.Size.Bytes, SmallTraining.Size.Height, SmallTraining.Size.Width, 3]);
        using var region = mask is null
            ? null
            : OrtValue.CreateTensorValueFromMemory(mask.Pixels.ToArray(), [1, SmallTraining.Size.Height, SmallTraining.Size.Width]);
        using var results = region is null
            ? session.Run(options, ["image"], [image], outputs)
            : session.Run(options, ["image", "mask"], [image, region], outputs);
        return [.. results.Select(result => result.GetTensorDataAsSpan<float>().ToArray())];
    }

    private static float[] RunEach(InferenceSession session, byte[] pixels, byte[] masks)
    {
        using var options = new RunOptions();
        int count = pixels.Length / SmallTraining.Size.Bytes;
        using var image = OrtValue.CreateTensorValueFromMemory(pixels, [count, SmallTraining.Size.Height, SmallTraining.Size.Width, 3]);
        using var region = OrtValue.CreateTensorValueFromMemory(masks, [count, SmallTraining.Size.Height, SmallTraining.Size.Width]);
        using var results = session.Run(options, ["image", "mask"], [image, region], ["scores"]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - actual[i]) <= 1e-4 * (1 + Math.Abs(expected[i])),
                $"{i}: {actual[i]}, expected {expected[i]}");
    }
}
