using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Scores;

namespace OutlierPipeline.Tests.Training;

/// <summary>The graph's scores against plain loops over pixels: no tensor library in between.</summary>
[Collection(TorchTests.Name)]
public sealed class ScoreReferenceTests : IDisposable
{
    private static readonly FrameSize Size = SmallTraining.Size;
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_graph_computes_what_plain_loops_compute_to_1e_3(bool isRandom)
    {
        var footage = _rendered.Load(_rendered.Drive("drive", 80, 4), Size);
        var settings = SmallTraining.Settings();
        using var trainer = SmallTraining.Trainer(footage, settings, Path.Combine(_rendered.Directory, "checkpoint"));
        trainer.Run(_ => { }, TestContext.Current.CancellationToken);
        var exporter = new ModelExporter(SmallTraining.Network(settings), trainer.Weights);
        exporter.FitScores(footage);
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        using var session = new InferenceSession(exporter.WriteModel("test", "1", "the renderer"), options);
        var random = new Random(5);
        for (int n = 0; n < 5; n++)
        {
            byte[] frame = footage[n * 7];
            if (isRandom) random.NextBytes(frame);
            using var image = OrtValue.CreateTensorValueFromMemory([.. frame], [1, Size.Height, Size.Width, 3]);
            using var run = new RunOptions();
            using var outputs = session.Run(run, ["image"], [image], ["scores", "latent", "latent_log_variance"]);
            float[] actual = outputs[0].GetTensorDataAsSpan<float>().ToArray();
            float[] residual = exporter.Residual(frame);
            var plain = new PlainPatches(frame, residual, Size);
            for (int k = 0; k < exporter.Scores.Count; k++)
            {
                float[] features = exporter.Scores[k] switch
                {
                    ReconstructionScore => [plain.MeanSquaredError],
                    KlScore => [Kl(outputs[1].GetTensorDataAsSpan<float>(), outputs[2].GetTensorDataAsSpan<float>())],
                    LatentScore => outputs[1].GetTensorDataAsSpan<float>().ToArray(),
                    BandsScore => plain.Bands(),
                    _ => plain.Local(),
                };
                double expected = exporter.Scores[k].Evaluate(features);
                Assert.True(Math.Abs(actual[k] - expected) <= 1e-3 * (1 + Math.Abs(expected)),
                    $"{exporter.Scores[k].Name}: {actual[k]}, plain {expected}");
            }
        }
    }

    private static float Kl(ReadOnlySpan<float> mean, ReadOnlySpan<float> logVariance)
    {
        double sum = 0;
        for (int i = 0; i < mean.Length; i++) sum += 0.5 * (mean[i] * (double)mean[i] + Math.Exp(logVariance[i]) - 1 - logVariance[i]);
        return (float)sum;
    }
}
