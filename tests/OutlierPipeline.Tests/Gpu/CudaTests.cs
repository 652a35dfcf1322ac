using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Inference;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Gpu;

/// <summary>What needs an NVIDIA GPU and a build with <c>-p:Accelerator=Cuda</c>; <c>tests/gpu.sh</c> runs these and the benchmarks.</summary>
[Trait("Category", "Gpu")]
public sealed class CudaTests
{
    [Theory]
    [InlineData(Accelerator.Cuda, Precision.Fp32, 1e-3)]
    [InlineData(Accelerator.Cuda, Precision.Fp16, 1e-2)]
    [InlineData(Accelerator.TensorRt, Precision.Fp16, 1e-2)]
    public void Scores_are_those_of_the_CPU(Accelerator accelerator, Precision precision, double tolerance)
    {
        var package = ModelPackage.Load(Repository.StreetDemo);
        using var device = Engine(package, accelerator, precision);
        using var reference = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        const int Frames = 24;
        var batches = new[] { reference.CreateBatch(Frames), device.CreateBatch(Frames) };
        foreach (var batch in batches)
        {
            var random = new Random(1);
            for (int slot = 0; slot < Frames; slot++) random.NextBytes(batch.Pixels(slot));
            batch.Count = Frames;
        }
        reference.Run(batches[0]);
        device.Run(batches[1]);
        for (int slot = 0; slot < Frames; slot++)
        {
            var expected = batches[0].Scores(slot);
            var actual = batches[1].Scores(slot);
            for (int k = 0; k < expected.Length; k++) Assert.True(Math.Abs(expected[k] - actual[k]) <= tolerance * (1 + Math.Abs(expected[k])), $"{package.Card.Scores[k]}: {actual[k]}, on CPU {expected[k]}");
        }
    }

    private static InferenceEngine Engine(ModelPackage package, Accelerator accelerator, Precision precision)
    {
        try
        {
            return new InferenceEngine(package, new InferenceOptions { Accelerator = accelerator, Precision = precision }, NullLogger.Instance);
        }
        catch (AcceleratorException e)
        {
            Assert.Skip($"no GPU: {e.Message}");
            throw;
        }
    }
}
