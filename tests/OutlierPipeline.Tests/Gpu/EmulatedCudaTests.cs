using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Batching;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Inference.Cuda;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Tests.Support;
using SkiaSharp;

namespace OutlierPipeline.Tests.Gpu;

/// <summary>The way of a batch over a GPU, on one that is emulated.</summary>
[Collection(EmulatedCuda.Name)]
public sealed class EmulatedCudaTests(EmulatedCuda cuda)
{
    private static readonly FramesOptions OnDevice = new() { Decoder = DecoderChoice.NvJpeg };
    private readonly ModelPackage _package = ModelPackage.Load(Repository.StreetDemo);

    [Theory]
    [InlineData(1280, 720, Subsampling.Yuv420)]
    [InlineData(1280, 720, Subsampling.Yuv444)]
    [InlineData(1920, 1080, Subsampling.Yuv422)]
    [InlineData(320, 192, Subsampling.Yuv420)]
    [InlineData(641, 479, Subsampling.Yuv420)]
    [InlineData(100, 300, Subsampling.Yuv420)]
    [InlineData(161, 97, Subsampling.Yuv444)]
    [InlineData(31, 17, Subsampling.Yuv420)]
    public void Pictures_decoded_and_scaled_on_the_device_are_those_of_the_CPU(int width, int height, Subsampling subsampling)
    {
        using var engine = cuda.Engine(_package, out _);
        var batch = engine.CreateBatch(1, OnDevice);
        byte[] jpeg = TurboEncoder.Encode(width, height, subsampling);
        byte[] expected = Decoded(jpeg);
        batch.Count = 1;
        Assert.True(batch.TryLeave(0, jpeg));
        batch.Run();
        Assert.Equal(FrameError.None, batch.Error(0));
        byte[] actual = batch.Pixels(0).ToArray();
        double mean = expected.Zip(actual, (a, b) => (double)Math.Abs(a - b)).Average();
        // Two grey levels are allowed; the same decoder on both sides leaves rounding, and how chroma is interpolated.
        Assert.True(mean <= 0.75, $"mean difference {mean:0.00} grey levels");
    }

    [Fact]
    public void A_batch_of_all_kinds_gives_each_its_picture_or_its_error()
    {
        using var engine = cuda.Engine(_package, out _);
        var batch = engine.CreateBatch(8, OnDevice);
        // Its segments are sound: that the data end too early is the decoder's to find.
        byte[] corrupt = Jpegs.CutAndEnded(TurboEncoder.Encode(640, 480, seed: 3), 0.5);
        using var decoder = new FrameDecoder(_package.Card.Network.Size, new FrameLimits());
        var damage = decoder.Decode(corrupt, new byte[_package.Card.Network.Size.Bytes]);
        Assert.NotEqual(FrameError.None, damage);
        (byte[] Encoded, bool IsLeft, FrameError Error)[] pictures =
        [
            (TurboEncoder.Encode(640, 480), true, FrameError.None),
            (Pictures.Encode(SKEncodedImageFormat.Png), false, FrameError.None),
            (TurboEncoder.Encode(1280, 720, seed: 2), true, FrameError.None),
            (corrupt, true, damage),
            (TurboEncoder.Encode(640, 480, progressive: true, seed: 4), false, FrameError.None),
            (TurboEncoder.Encode(320, 200, Subsampling.Yuv444, seed: 5), true, FrameError.None),
            ("no picture"u8.ToArray(), false, FrameError.NotAnImage),
        ];
        using var counted = new CounterListener("outlier.frames.decoded_by_cpu");
        // Twice: what a bad picture leaves behind must not spoil the next batch.
        for (int round = 0; round < 2; round++)
        {
            batch.Clear();
            batch.Count = pictures.Length;
            for (int slot = 0; slot < pictures.Length; slot++)
            {
                var (encoded, isLeft, error) = pictures[slot];
                Assert.Equal(isLeft, batch.TryLeave(slot, Surrounded(encoded)));
                if (!isLeft) Assert.Equal(error, batch.DecodeHere(slot, encoded, decoder));
            }
            batch.Run();
            for (int slot = 0; slot < pictures.Length; slot++)
            {
                var (encoded, isLeft, error) = pictures[slot];
                Assert.Equal(error, batch.Error(slot));
                if (error != FrameError.None) continue;
                double mean = Decoded(encoded).Zip(batch.Pixels(slot).ToArray(), (a, b) => (double)Math.Abs(a - b)).Average();
                Assert.True(mean <= 0.75, $"slot {slot}: mean difference {mean:0.00} grey levels");
                float[] alone = engine.Compute(batch.Pixels(slot).ToArray(), null, "scores")[0];
                for (int k = 0; k < alone.Length; k++)
                    Assert.InRange(batch.Scores(slot)[k], alone[k] - 1e-3f * (1 + Math.Abs(alone[k])),
                        alone[k] + 1e-3f * (1 + Math.Abs(alone[k])));
            }
        }
        // Of each round the progressive one, and the one that turned out to be corrupt.
        Assert.Equal(4, counted.Sum);
    }

    [Fact]
    public void A_slot_that_neither_the_device_nor_the_CPU_has_written_is_never_a_frame()
    {
        using var engine = cuda.Engine(_package, out _);
        using var decoder = new FrameDecoder(_package.Card.Network.Size, new FrameLimits());
        var batch = engine.CreateBatch(4, OnDevice);
        byte[] sound = TurboEncoder.Encode(640, 480);
        // On the second round the memory holds the pictures of the first.
        for (int round = 0; round < 2; round++)
        {
            batch.Clear();
            batch.Count = 4;
            batch.Decode(0, sound, decoder);
            batch.Decode(1, Jpegs.Before(sound, 0xda, new byte[16]), decoder);
            if (round == 0) batch.Decode(2, sound, decoder);
            if (round == 0) batch.Decode(3, Jpegs.Before(sound, 0xda, new byte[16]), decoder);
            batch.Run();
            var left = round == 0 ? FrameError.None : FrameError.Corrupt;
            Assert.Equal([FrameError.None, FrameError.None, left, left], Enumerable.Range(0, 4).Select(batch.Error));
        }
    }

    [Theory]
    [InlineData("street-demo")]
    [InlineData("camvid-day")]
    public void Scores_on_the_device_are_those_of_the_CPU_at_every_number_of_frames(string name)
    {
        var package = ModelPackage.Load(Repository.Model(name));
        using var engine = cuda.Engine(package, out _);
        using var reference = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        var batches = new[] { reference.CreateBatch(11), engine.CreateBatch(11) };
        var random = new Random(1);
        for (int count = 1; count <= 11; count++)
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
                for (int k = 0; k < batches[0].Scores(slot).Length; k++)
                    Assert.Equal(batches[0].Scores(slot)[k], batches[1].Scores(slot)[k],
                        1e-3f * (1 + Math.Abs(batches[0].Scores(slot)[k])));
            }
        }
    }

    [Fact]
    public void A_profile_comes_back_from_the_device_where_the_package_has_causes()
    {
        string directory = Directory.CreateTempSubdirectory("outlier-test-").FullName;
        try
        {
            var package = PackageWithCauses.Write(Path.Combine(directory, "package"));
            using var engine = cuda.Engine(package, out _);
            var batch = engine.CreateBatch(5);
            var random = new Random(1);
            for (int slot = 0; slot < 5; slot++) random.NextBytes(batch.WritePixels(slot));
            batch.Count = 5;
            batch.Run();
            for (int slot = 0; slot < 5; slot++)
            {
                // The package's profile is its code.
                Assert.Equal(batch.Latent(slot).ToArray(), batch.Profile(slot).ToArray());
                Assert.Contains(batch.Profile(slot).ToArray(), value => value != 0);
            }
            using var plain = cuda.Engine(_package, out _);
            Assert.True(plain.CreateBatch(1).Profile(0).IsEmpty);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Theory]
    [InlineData("camvid/0016E5")]
    [InlineData("udacity-sim/drive")]
    public void One_calibration_serves_what_the_device_and_what_the_CPU_decodes(string footage)
    {
        const int Frames = 60;
        var package = ModelPackage.Load(Repository.CamVidDay);
        string[] files = [.. Directory.EnumerateFiles(Repository.Footage(footage), "*.jpg", SearchOption.AllDirectories)
            .Order(StringComparer.Ordinal)];
        using var engine = cuda.Engine(package, out _);
        var batches = new[] { engine.CreateBatch(Frames, OnDevice), engine.CreateBatch(Frames) };
        using var decoder = new FrameDecoder(package.Card.Network.Size, new FrameLimits());
        for (int slot = 0; slot < Frames; slot++)
        {
            byte[] jpeg = File.ReadAllBytes(files[slot * files.Length / Frames]);
            Assert.True(batches[0].TryLeave(slot, jpeg));
            Assert.Equal(FrameError.None, batches[1].DecodeHere(slot, jpeg, decoder));
        }
        double[][] combined = [.. batches.Select(batch =>
        {
            batch.Count = Frames;
            batch.Run();
            return Enumerable.Range(0, Frames).Select(slot => package.Default.Calibration.Combine(batch.Scores(slot))).ToArray();
        })];
        double shift = combined[0].Zip(combined[1], (device, cpu) => device - cpu).Average();
        double largest = combined[0].Zip(combined[1], (device, cpu) => Math.Abs(device - cpu)).Max();
        double mean = combined[1].Average();
        double deviation = Math.Sqrt(combined[1].Average(score => (score - mean) * (score - mean)));
        Assert.True(Math.Abs(shift) <= 0.05 * deviation && largest <= 0.2 * deviation,
            $"the device's scores lie {shift:0.000} off (largest {largest:0.000}), where frames deviate by {deviation:0.000}");
    }

    [Fact]
    public void The_frame_path_keeps_its_order_and_allocates_nothing_with_two_batches_under_way()
    {
        byte[][] jpegs = [.. Enumerable.Range(0, 20).Select(i => TurboEncoder.Encode(320, 192, seed: i))];
        var options = new PipelineOptions { Frames = OnDevice, Batching = new BatchingOptions { MaxBatchSize = 8 } };
        long before = cuda.JpegBatches;
        using var load = new LaneLoad(cuda.Engine(_package, out _), options, jpegs);
        Assert.Equal(0, load.Run(400, TestContext.Current.CancellationToken));
        Assert.True(cuda.JpegBatches - before >= 400 / 8, "nvJPEG was not asked");
        // The whole process's allocations, other tests' included: the least of several rounds is this one's.
        long least = Enumerable.Range(0, 10).Min(_ =>
        {
            long allocated = GC.GetTotalAllocatedBytes(true);
            load.Run(200, TestContext.Current.CancellationToken);
            return GC.GetTotalAllocatedBytes(true) - allocated;
        });
        Assert.InRange(least, 0, 200);
    }

    [Fact]
    public void An_error_of_the_device_is_thrown_at_the_end_of_the_run_and_nothing_is_leaked()
    {
        long before = 0;
        using (var engine = cuda.Engine(_package, out _))
        {
            before = cuda.Allocated;
            var batch = engine.CreateBatch(4, OnDevice);
            batch.Count = 2;
            cuda.Fail(700);
            try
            {
                var lost = Assert.Throws<CudaException>(() => batch.Run());
                Assert.Contains("illegal memory access", lost.Message, StringComparison.Ordinal);
                Assert.Contains("700", lost.Message, StringComparison.Ordinal);
            }
            finally
            {
                cuda.Fail(0);
            }
        }
        // Less the JPEG library's handle, which was there before.
        Assert.Equal(before - 1, cuda.Allocated);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Footage_is_scored_on_a_GPU_and_scorer_and_engine_end_in_either_order_without_a_leak(bool scorerFirst)
    {
        var engine = cuda.Engine(_package, out _);
        long before = cuda.Allocated;
        var scorer = new FootageScorer(engine, 4);
        int scored = 0;
        scorer.Score(6, (i, rgb) => rgb.Fill((byte)(40 * i)), null, (_, _, _) => scored++, TestContext.Current.CancellationToken);
        Assert.Equal(6, scored);
        if (scorerFirst) scorer.Dispose();
        engine.Dispose();
        scorer.Dispose();
        // Less the JPEG library's handle, which was there before.
        Assert.Equal(before - 1, cuda.Allocated);
    }

    [Fact]
    public void Engines_of_the_chip_are_taken_where_it_has_them()
    {
        cuda.SetEngines(true);
        try
        {
            using var engine = cuda.Engine(_package, out var device);
            Assert.True(device.HasJpegEngines);
        }
        finally
        {
            cuda.SetEngines(false);
        }
        using var other = cuda.Engine(_package, out var without);
        Assert.False(without.HasJpegEngines);
    }

    [Fact]
    public void NvJpeg_without_a_GPU_is_refused_with_the_remedy_and_Auto_takes_the_CPU()
    {
        using var engine = new InferenceEngine(_package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        var refused = Assert.Throws<AcceleratorException>(() => engine.CreateBatch(1, OnDevice));
        Assert.Contains("Frames:Decoder is NvJpeg, but the network is not computed on a GPU", refused.Message, StringComparison.Ordinal);
        Assert.False(engine.CreateBatch(1, new FramesOptions()).TryLeave(0, TurboEncoder.Encode(64, 48)));
    }

    private static ArraySegment<byte> Surrounded(byte[] encoded) => new([.. new byte[7], .. encoded, .. new byte[9]], 7, encoded.Length);

    private byte[] Decoded(byte[] encoded)
    {
        using var decoder = new FrameDecoder(_package.Card.Network.Size, new FrameLimits());
        byte[] rgb = new byte[_package.Card.Network.Size.Bytes];
        Assert.Equal(FrameError.None, decoder.Decode(encoded, rgb));
        return rgb;
    }
}
