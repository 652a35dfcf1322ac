using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Simulation;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Tests.Training;

public sealed class ModelExporterTests : IDisposable
{
    private static readonly FrameSize Size = new(48, 80);
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    public ModelExporterTests() => LibTorch.Prepare(Environment.GetEnvironmentVariable("LIBTORCH_DIR"));

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void The_graph_computes_what_TorchSharp_computes_to_1e_4()
    {
        var footage = Render(60);
        var network = new PatchVae(Size, 8);
        var trainer = new Trainer(network, footage, epochs: 2, batch: 16, seed: 3);
        trainer.Run(_ => { }, TestContext.Current.CancellationToken);
        var exporter = new ModelExporter(network, trainer.Weights);
        exporter.FitScores(footage);
        using var session = new InferenceSession(exporter.WriteModel("test", "1", "the renderer"));
        foreach (int count in new[] { 1, 7, 32 })
        {
            var expected = exporter.Reference(footage, 5, count);
            byte[] pixels = [.. Enumerable.Range(5, count).SelectMany(i => footage[i].ToArray())];
            using var input = OrtValue.CreateTensorValueFromMemory(pixels, [count, Size.Height, Size.Width, 3]);
            using var options = new RunOptions();
            using var outputs = session.Run(options, ["image"], [input], ["scores", "latent", "error_map"]);
            AssertClose(expected.Scores, outputs[0].GetTensorDataAsSpan<float>());
            AssertClose(expected.Latent, outputs[1].GetTensorDataAsSpan<float>());
            AssertClose(expected.ErrorMap, outputs[2].GetTensorDataAsSpan<float>());
        }
    }

    [Fact]
    public void Training_learns_to_draw_and_uses_its_code()
    {
        var footage = Render(80);
        var trainer = new Trainer(new PatchVae(Size, 8), footage, epochs: 12, batch: 16, seed: 3);
        var losses = new List<EpochLoss>();
        trainer.Run(losses.Add, TestContext.Current.CancellationToken);
        double variance = Variance(footage);
        Assert.True(losses[^1].MeanSquaredError < 0.5 * variance, $"error {losses[^1].MeanSquaredError} of a variance of {variance}");
        Assert.True(losses[^1].Kl > 1, $"the code carries {losses[^1].Kl} nats: the posterior has collapsed");
    }

    [Fact]
    public void The_same_seed_gives_the_same_weights()
    {
        var footage = Render(50);
        var runs = Enumerable.Range(0, 2).Select(_ =>
        {
            TorchSharp.torch.set_num_threads(2);
            var trainer = new Trainer(new PatchVae(Size, 4), footage, epochs: 2, batch: 16, seed: 9);
            trainer.Run(_ => { }, TestContext.Current.CancellationToken);
            return trainer.Weights.OrderBy(weight => weight.Key).SelectMany(weight => weight.Value.Values).ToArray();
        }).ToArray();
        AssertClose(runs[0], runs[1]);
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++) Assert.True(Math.Abs(expected[i] - actual[i]) <= 1e-4 * (1 + Math.Abs(expected[i])), $"{i}: {actual[i]}, expected {expected[i]}");
    }

    private static double Variance(Footage footage)
    {
        double[] values = [.. Enumerable.Range(0, footage.Frames).SelectMany(i => footage[i].ToArray()).Select(value => value / 255.0)];
        double mean = values.Average();
        return values.Average(value => (value - mean) * (value - mean));
    }

    private Footage Render(int frames)
    {
        using var camera = new StreetCamera(4);
        string[] files = [.. Enumerable.Range(0, frames).Select(i => Path.Combine(_directory, $"{i:000}.jpg"))];
        for (int i = 0; i < frames; i++) File.WriteAllBytes(files[i], camera.Render(i));
        return Footage.Load(files, Size);
    }
}
