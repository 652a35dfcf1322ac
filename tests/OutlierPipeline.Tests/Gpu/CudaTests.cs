using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Gpu;

/// <summary>
/// What needs an NVIDIA GPU and a build with <c>-p:Accelerator=Cuda</c>; <c>tests/gpu.sh</c> runs these and the benchmarks.
/// </summary>
[Trait("Category", "Gpu")]
public sealed class CudaTests
{
    private ModelPackage _package = ModelPackage.Load(Repository.StreetDemo);

    [Theory]
    [InlineData("street-demo", Accelerator.Cuda, Precision.Fp32, true, 1e-3)]
    [InlineData("street-demo", Accelerator.Cuda, Precision.Fp16, false, 1e-2)]
    [InlineData("street-demo", Accelerator.Cuda, Precision.Fp16, true, 1e-2)]
    [InlineData("street-demo", Accelerator.TensorRt, Precision.Fp16, true, 1e-2)]
    [InlineData("camvid-day", Accelerator.Cuda, Precision.Fp32, true, 1e-3)]
    // Its likelihood, which nothing combines, multiplies rounding.
    [InlineData("camvid-day", Accelerator.Cuda, Precision.Fp16, true, 4e-2)]
    [InlineData("camvid-day", Accelerator.TensorRt, Precision.Fp16, true, 4e-2)]
    public void Scores_are_those_of_the_CPU_at_every_number_of_frames(string name, Accelerator accelerator, Precision precision,
        bool graphs, double tolerance)
    {
        const int Frames = 24;
        _package = ModelPackage.Load(Repository.Model(name));
        using var device = Engine(accelerator, precision, graphs);
        using var reference = new InferenceEngine(_package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        var batches = new[] { reference.CreateBatch(Frames), device.CreateBatch(Frames) };
        var random = new Random(1);
        foreach (int count in new[] { 1, 2, 3, 8, 23, 24, 1 })
        {
            for (int slot = 0; slot < count; slot++)
            {
                random.NextBytes(batches[0].WritePixels(slot));
                batches[0].Pixels(slot).CopyTo(batches[1].WritePixels(slot));
            }
            batches[0].Count = batches[1].Count = count;
            batches[0].Run();
            batches[1].Run();
            for (int slot = 0; slot < count; slot++)
            {
                var expected = batches[0].Scores(slot);
                var actual = batches[1].Scores(slot);
                for (int k = 0; k < expected.Length; k++)
                    Assert.True(Math.Abs(expected[k] - actual[k]) <= tolerance * (1 + Math.Abs(expected[k])),
                        $"{count} frames, {_package.Card.Scores[k]}: {actual[k]}, on CPU {expected[k]}");
            }
        }
    }

    [Fact]
    public void Half_precision_keeps_the_area_under_the_curve_to_5e_3()
    {
        using var device = Engine(Accelerator.Cuda, Precision.Fp16);
        using var reference = new InferenceEngine(_package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        using var rendered = new RenderedFootage();
        var size = _package.Card.Network.Size;
        var normal = rendered.Load(rendered.Drive("normal", 100, seed: 7), size);
        foreach (var trouble in new[] { Trouble.Fog, Trouble.DirtyLens, Trouble.Obstacle, Trouble.Rain })
        {
            var outliers = rendered.Load(rendered.Drive(trouble.ToString(), 40, seed: 8, trouble), size);
            Assert.InRange(Area(device, outliers) - Area(reference, outliers), -0.005, 0.005);
        }

        double Area(InferenceEngine engine, DecodedFootage outliers)
        {
            using var scorer = new FootageScorer(engine);
            return DetectionMetrics.Auroc(Combined(scorer.Score(normal, null, TestContext.Current.CancellationToken)),
                Combined(scorer.Score(outliers, null, TestContext.Current.CancellationToken)));
        }

        double[] Combined(float[][] rows) => [.. rows.Select(row => _package.Default.Calibration.Combine(row))];
    }

    [Theory]
    [InlineData(1280, 720, Subsampling.Yuv420)]
    [InlineData(1920, 1080, Subsampling.Yuv422)]
    [InlineData(641, 479, Subsampling.Yuv444)]
    [InlineData(320, 192, Subsampling.Yuv420)]
    public void Pictures_of_nvJPEG_are_those_of_the_CPU(int width, int height, Subsampling subsampling)
    {
        using var engine = Engine(Accelerator.Cuda, Precision.Fp16);
        string? fault = engine.Device!.OpenJpeg();
        Assert.SkipWhen(fault is not null, $"no nvJPEG: {fault}");
        const int Frames = 20;
        var batch = engine.CreateBatch(Frames, new FramesOptions { Decoder = DecoderChoice.NvJpeg });
        byte[][] jpegs = [.. Enumerable.Range(0, Frames).Select(i => TurboEncoder.Encode(width, height, subsampling, seed: i))];
        // One that is damaged, among the others.
        jpegs[7].AsSpan(jpegs[7].Length / 3, 40).Fill(0xff);
        batch.Count = Frames;
        for (int slot = 0; slot < Frames; slot++) Assert.True(batch.TryLeave(slot, jpegs[slot]));
        batch.Run();
        using var decoder = new FrameDecoder(_package.Card.Network.Size, new FrameLimits());
        byte[] expected = new byte[_package.Card.Network.Size.Bytes];
        for (int slot = 0; slot < Frames; slot++)
        {
            if (slot == 7) continue;
            Assert.Equal(FrameError.None, batch.Error(slot));
            Assert.Equal(FrameError.None, decoder.Decode(jpegs[slot], expected));
            double mean = expected.Zip(batch.Pixels(slot).ToArray(), (a, b) => (double)Math.Abs(a - b)).Average();
            Assert.True(mean <= 2, $"slot {slot}: mean difference {mean:0.00} grey levels");
        }
        Assert.True(batch.Error(7) != FrameError.None, "nvJPEG took a damaged picture for whole");
    }

    private InferenceEngine Engine(Accelerator accelerator, Precision precision, bool graphs = true)
    {
        try
        {
            return new InferenceEngine(_package,
                new InferenceOptions { Accelerator = accelerator, Precision = precision, CudaGraphs = graphs }, NullLogger.Instance);
        }
        catch (AcceleratorException e)
        {
            Assert.Skip($"no GPU: {e.Message}");
            throw;
        }
    }
}
