using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

[Collection(MeasuredTests.Name)]
public sealed class FaultTests
{
    private static readonly byte[][] Street = SmallFrames.Drive(1, 40);

    [Fact]
    public async Task An_unreachable_broker_is_said_and_tried_again_and_the_stop_does_not_hang()
    {
        string nobody;
        using (var broker = new MockBroker()) nobody = broker.BootstrapServers;
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        await using var pipeline = new RunningPipeline(options with { Kafka = options.Kafka with { BootstrapServers = nobody } });
        await pipeline.Until(() => pipeline.Log.Messages.Any(message => message.StartsWith("Warning", StringComparison.Ordinal)
            && message.Contains(nobody, StringComparison.Ordinal)), "a warning that names the broker");
        Assert.Contains(pipeline.NotReady, reason => reason.Contains(nobody, StringComparison.Ordinal));
        await pipeline.StopAsync().WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Result_topics_with_too_few_partitions_are_refused_with_the_remedy()
    {
        using var cluster = new TestCluster(2);
        cluster.CreateTopic("wide", 3);
        var options = cluster.Options();
        await using var pipeline = new FailingPipeline(options with { Kafka = options.Kafka with { FramesTopic = "wide" } });
        var refused = await Assert.ThrowsAsync<PipelineException>(() => pipeline.Completion);
        Assert.Contains("ood.scores has 2 partitions and wide has 3", refused.Message, StringComparison.Ordinal);
        Assert.Contains("outlier check", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Results_that_the_broker_refuses_rewind_their_partition_and_nothing_is_lost()
    {
        using var cluster = new TestCluster(2);
        for (int i = 0; i < 400; i++) cluster.Produce($"car-{i % 2}", Street[i % Street.Length], i % 2);
        cluster.Flush();
        // The next produce requests (0) fail with 29, topic authorization failed, which no client tries again by itself.
        cluster.Broker.FailNext(0, 29, 29, 29);
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() =>
            pipeline.Log.Messages.Any(message => message.Contains("is read again from offset", StringComparison.Ordinal)), "a rewind");
        await pipeline.Until(() => cluster.Committed().Values.Sum() == 400, "everything being committed");
        Assert.Equal(400, cluster.Scored().Distinct().Count());
    }

    [Fact]
    public async Task A_device_that_fails_ends_the_pipeline_and_the_next_start_goes_on_at_the_last_commit_and_loses_no_frame()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster(1);
        const int Frames = 120;
        for (int i = 0; i < Frames; i++) cluster.Produce("car-1", i == 80 ? White() : Street[i % Street.Length]);
        cluster.Flush();
        var options = cluster.Options();
        using (var pipeline =
            new FramePipeline(options with { Model = new ModelOptions { Path = FailingModel(directory.File("failing")) } },
            new RecordingLogger()))
        {
            await Assert.ThrowsAsync<OnnxRuntimeException>(() =>
                pipeline.RunAsync(TestContext.Current.CancellationToken)
                .WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
            Assert.NotEmpty(pipeline.NotReady);
        }
        Assert.InRange(cluster.Committed().Values.Sum(offset => Math.Max(0, offset)), 0, 80);
        await using var next = new RunningPipeline(options);
        await next.Until(() => cluster.Committed().Values.Sum() == Frames, "everything being committed");
        Assert.Equal(Frames, cluster.Scored().Distinct().Count());
    }

    [Fact]
    public async Task A_stage_that_fails_ends_the_pipeline_with_its_error_and_hangs_nothing()
    {
        using var cluster = new TestCluster(2);
        long time = 1_700_000_000_000_000_000;
        foreach (byte[] frame in SmallFrames.FullDrive(1, 200, Trouble.Fog))
            cluster.Produce("car-1", frame, 0, ("frame-timestamp", $"{time += 100_000_000}"));
        cluster.Flush();
        using var pipeline = new FramePipeline(cluster.Options(), new RecordingLogger())
        {
            Alerted = _ =>
            throw new InvalidOperationException("the stage failed")
        };
        var failed = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            pipeline.RunAsync(TestContext.Current.CancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
        Assert.Equal("the stage failed", failed.Message);
        // Started again, it goes on at the last commit.
        await using var second = new RunningPipeline(cluster.Options());
        await second.Until(() => cluster.Committed()[0] == 200, "everything being committed");
    }

    [Fact]
    public async Task A_broker_that_goes_and_comes_back_costs_no_frame()
    {
        using var cluster = new TestCluster(2);
        for (int i = 0; i < 200; i++) cluster.Produce($"car-{i % 2}", Street[i % Street.Length], i % 2);
        cluster.Flush();
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => cluster.Committed().Values.Sum(offset => Math.Max(0, offset)) > 10, "the first commits");
        await cluster.SetReachableAsync(1, false);
        await pipeline.Until(() => pipeline.Log.Messages.Any(message => message.Contains("cannot be reached", StringComparison.Ordinal)),
            "a log line that says so");
        await cluster.SetReachableAsync(1, true);
        for (int i = 0; i < 200; i++) cluster.Produce($"car-{i % 2}", Street[i % Street.Length], i % 2);
        cluster.Flush();
        await pipeline.Until(() => cluster.Committed().Values.Sum() == 400, "everything being committed");
        Assert.Equal(Enumerable.Range(0, 400).Select(i => (i / 200, (long)(i % 200))), cluster.Scored().Distinct());
    }

    [Fact]
    public async Task Offsets_that_expired_before_they_were_read_are_an_outcome_and_never_a_silent_reset()
    {
        using var cluster = new TestCluster(1);
        cluster.Commit(0, 1);
        // The broker in the process keeps 5 MB a partition, so most of these expire; another is told to.
        byte[] filler = new byte[400_000];
        for (int i = 0; i < 30; i++) cluster.Produce("filler", filler);
        for (int i = 0; i < 10; i++) cluster.Produce("car-1", Street[i]);
        cluster.Flush();
        await cluster.ExpireAsync(0, 27);
        using var metrics = new MetricRecorder();
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => cluster.Committed()[0] == 40, "everything being committed");
        long lost = metrics.Sum("outlier.frames.lost_before_read");
        Assert.True(lost > 0, "nothing expired, so this test shows nothing");
        Assert.Contains(pipeline.Log.Messages, message => message.Contains("lostBeforeRead", StringComparison.Ordinal)
            && message.Contains("offsets 1 to ", StringComparison.Ordinal));
        Assert.Equal(39, lost + metrics.Sum("outlier.frames.dead_lettered") + metrics.Sum("outlier.frames.scored"));
    }

    [Fact]
    public async Task Back_pressure_pauses_partitions_and_bounds_the_memory()
    {
        using var cluster = new TestCluster(4);
        byte[] large = SmallFrames.Drive(7, 1, format: SkiaSharp.SKEncodedImageFormat.Png)[0];
        for (int i = 0; i < 600; i++) cluster.Produce($"car-{i % 4}", large, i % 4);
        cluster.Flush();
        const long bound = 256 * 1024;
        var options = cluster.Options() with
        {
            Frames = new FramesOptions
            {
                MaxBytes = 16 * 1024,
                MaxBufferedBytes = bound,
                DecodeWorkers = 1
            },
            Batching = new() { MaxBatchSize = 64 }
        };
        using var metrics = new MetricRecorder();
        await using var pipeline = new RunningPipeline(options);
        await pipeline.Until(() =>
        {
            metrics.Observe();
            return cluster.Committed().Values.Sum() == 600;
        }, "everything being committed");
        Assert.True(metrics.Largest("outlier.partitions.paused backpressure") > 0, "no partition was paused");
        // A little over the bound: what librdkafka had already handed over when the partitions paused.
        Assert.InRange(metrics.Largest("outlier.frames.in_flight") * large.Length, 1, 2 * bound);
    }

    private static byte[] White()
    {
        using var bitmap = new SkiaSharp.SKBitmap(320, 192);
        bitmap.Erase(SkiaSharp.SKColors.White);
        using var jpeg = bitmap.Encode(SkiaSharp.SKEncodedImageFormat.Jpeg, 90);
        return jpeg.ToArray();
    }

    /// <summary>
    /// The shipped package with a graph that fails where a picture's first pixel is white: it looks the pixel up in a table that ends
    /// before.
    /// </summary>
    private static string FailingModel(string directory)
    {
        var package = ModelPackage.Load(Repository.StreetDemo);
        var files = ModelPackageWriter.ReadAll(package);
        var model = ModelProto.Parser.ParseFrom(files["model.onnx"]);
        var graph = model.Graph;
        var last = graph.Node.Single(node => node.Output.Contains("scores"));
        last.Output[last.Output.IndexOf("scores")] = "scores/whole";
        Integers("fail/first", 0, 0, 0);
        Integers("fail/end", 1, 1, 1);
        Integers("fail/axes", 1, 2, 3);
        Integers("fail/shape", -1, 1);
        graph.Initializer.Add(new TensorProto
        {
            Name = "fail/table",
            DataType = 1,
            Dims = { 255 },
            RawData = ByteString.CopyFrom(new byte[255 * sizeof(float)])
        });
        Node("Slice", "fail/pixel", "image", "fail/first", "fail/end", "fail/axes");
        Node("Cast", "fail/index", "fail/pixel").Attribute.Add(new AttributeProto { Name = "to", I = 7, Type = 2 });
        Node("Gather", "fail/found", "fail/table", "fail/index");
        Node("Reshape", "fail/column", "fail/found", "fail/shape");
        Node("Add", "scores", "scores/whole", "fail/column");
        files["model.onnx"] = model.ToByteArray();
        return ModelPackageWriter.Write(directory, package.Card, files).Path;

        void Integers(string name, params long[] values) =>
            graph.Initializer.Add(new TensorProto
            {
                Name = name,
                DataType = 7,
                Dims = { values.Length },
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan()))
            });

        NodeProto Node(string type, string output, params string[] inputs)
        {
            var node = new NodeProto { OpType = type, Name = output, Output = { output } };
            node.Input.Add(inputs);
            graph.Node.Add(node);
            return node;
        }
    }

    /// <summary>A pipeline that is expected to refuse.</summary>
    private sealed class FailingPipeline(PipelineOptions options) : IAsyncDisposable
    {
        private readonly FramePipeline _pipeline = new(options, new RecordingLogger());

        public Task Completion => _pipeline.RunAsync(TestContext.Current.CancellationToken);

        public ValueTask DisposeAsync()
        {
            _pipeline.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
