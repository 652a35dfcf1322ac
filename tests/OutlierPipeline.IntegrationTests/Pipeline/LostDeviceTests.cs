using System.Text.Json;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Inference.Cuda;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Tests.Gpu;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>A GPU that fails while frames flow, on one that is emulated.</summary>
[Collection(EmulatedCuda.Name)]
public sealed class LostDeviceTests(EmulatedCuda cuda)
{
    [Fact]
    public async Task A_GPU_that_is_lost_ends_the_pipeline_and_the_next_start_goes_on_at_the_last_commit_and_loses_no_frame()
    {
        byte[][] street = SmallFrames.Drive(1, 40);
        using var cluster = new TestCluster(1);
        var options = cluster.Options() with { Frames = new FramesOptions { Decoder = DecoderChoice.NvJpeg } };
        const int Frames = 150;
        Produce(50);
        using (var pipeline = new FramePipeline(options, Engine, new RecordingLogger()))
        {
            var running = pipeline.RunAsync(TestContext.Current.CancellationToken);
            await UntilCommittedAsync(50, running);
            cuda.Fail(700);
            try
            {
                Produce(Frames - 50);
                var lost = await Assert.ThrowsAsync<CudaException>(() =>
                    running.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
                Assert.Contains("CUDA error 700", lost.Message, StringComparison.Ordinal);
                Assert.NotEmpty(pipeline.NotReady);
            }
            finally
            {
                cuda.Fail(0);
            }
        }
        Assert.Equal(50, Committed());
        using var stop = new CancellationTokenSource();
        using var next = new FramePipeline(options, Engine, new RecordingLogger());
        var again = next.RunAsync(stop.Token);
        await UntilCommittedAsync(Frames, again);
        await stop.CancelAsync();
        await again;
        long[] scored = [.. cluster.ReadAll(TestCluster.Scores).Select(record =>
            JsonDocument.Parse(record.Message.Value).RootElement.GetProperty("offset").GetInt64())];
        Assert.Equal(Enumerable.Range(0, Frames).Select(offset => (long)offset), scored);

        void Produce(int count)
        {
            for (int i = 0; i < count; i++) cluster.Produce("car-1", street[i % street.Length]);
            cluster.Flush();
        }

        async Task UntilCommittedAsync(int offset, Task pipeline)
        {
            var begun = System.Diagnostics.Stopwatch.StartNew();
            while (Committed() < offset)
            {
                Assert.False(pipeline.IsCompleted, "the pipeline ended");
                Assert.True(begun.Elapsed < TimeSpan.FromSeconds(60), $"{Committed()} of {offset} frames were committed");
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }
        }

        long Committed() => cluster.Committed().Values.Sum(offset => Math.Max(0, offset));
    }

    [Fact]
    public async Task A_GPU_that_is_lost_while_the_pipeline_drains_does_not_hold_up_its_end()
    {
        byte[][] street = SmallFrames.Drive(1, 40);
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        options = options with
        {
            Frames = new FramesOptions { Decoder = DecoderChoice.NvJpeg },
            Kafka = options.Kafka with { DrainTimeout = TimeSpan.FromSeconds(30) }
        };
        for (int i = 0; i < 600; i++) cluster.Produce("car-1", street[i % street.Length]);
        cluster.Flush();
        using var pipeline = new FramePipeline(options, Engine, new RecordingLogger());
        using var stop = new CancellationTokenSource();
        var running = pipeline.RunAsync(stop.Token);
        while (cluster.Committed().Values.Sum(offset => Math.Max(0, offset)) < 20) Assert.False(running.IsCompleted, "the pipeline ended");
        await stop.CancelAsync();
        cuda.Fail(700);
        try
        {
            // Half of what draining may take: nobody waits for what a lost device will not bring.
            await Task.WhenAny(running, Task.Delay(TimeSpan.FromSeconds(15), TestContext.Current.CancellationToken));
            Assert.True(running.IsCompleted, "the pipeline hangs");
        }
        finally
        {
            cuda.Fail(0);
        }
        if (running.IsFaulted) await Assert.ThrowsAsync<CudaException>(() => running);
    }

    private InferenceEngine Engine(ModelPackage package) => cuda.Engine(package, out _);
}
