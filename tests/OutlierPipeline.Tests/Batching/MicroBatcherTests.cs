using System.Diagnostics;
using System.Threading.Channels;
using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Batching;

public sealed class MicroBatcherTests : IDisposable
{
    private const int Capacity = 8;
    private readonly InferenceEngine _engine = new(ModelPackage.Load(Repository.StreetDemo), new InferenceOptions(), NullLogger.Instance);
    private readonly Channel<Frame> _frames = Channel.CreateUnbounded<Frame>();
    private readonly Channel<FrameBatch> _free = Channel.CreateUnbounded<FrameBatch>();
    private readonly DecodeBacklog _jobs = new();
    private readonly Channel<FrameBatch> _batches = Channel.CreateUnbounded<FrameBatch>();
    private readonly PartitionAssignment _assignment = new(new TopicPartition("camera.frames", 0), 1, 0);
    private readonly CountingTime _time = new();
    private MicroBatcher? _batcher;
    private Thread? _thread;
    private long _offset;

    public void Dispose()
    {
        _engine.Dispose();
        _jobs.Dispose();
    }

    [Fact]
    public void A_full_batch_leaves_at_once_while_the_rest_waits_for_more()
    {
        // Longer than Take has patience.
        Start(TimeSpan.FromSeconds(60));
        Write(Capacity + 3);
        var full = Take();
        Assert.Equal(Enumerable.Range(0, Capacity).Select(i => (long)i), Enumerable.Range(0, full.Count).Select(i => OffsetOf(full, i)));
        Settle();
        Assert.False(_batches.Reader.TryPeek(out _), "a partial batch did not wait for others");
    }

    [Fact]
    public void A_partial_batch_leaves_after_the_delay_in_order()
    {
        Start(TimeSpan.FromMilliseconds(300));
        var begun = Stopwatch.StartNew();
        Write(3);
        var batch = Take();
        Assert.Equal([0L, 1L, 2L], Enumerable.Range(0, batch.Count).Select(i => OffsetOf(batch, i)));
        Assert.True(begun.Elapsed >= TimeSpan.FromMilliseconds(290), "a partial batch did not wait for others");
    }

    [Fact]
    public void A_lone_frame_leaves_as_soon_as_it_is_decoded_while_the_engine_is_idle_and_waits_while_it_is_busy()
    {
        Start(TimeSpan.FromSeconds(60));
        Write(1);
        Decode(1);
        var lone = Take();
        Assert.Equal(1, lone.Count);
        // The engine is at it; the next ones gather: a batch that left although it was not full would hold two.
        Write(2);
        Settle();
        long looks = _time.Looks;
        Decode(2);
        Until(() => _time.Looks > looks, "the batcher did not look at its decoded frames");
        Assert.False(_batches.Reader.TryPeek(out _), "a batch left although the engine was busy, it was not full and its time was not up");
        Write(1);
        Decode(1);
        _batcher!.MarkComputed();
        Assert.Equal(3, Take().Count);
    }

    [Fact]
    public void An_idle_engine_waits_for_frames_that_are_being_decoded_and_takes_along_what_comes_meanwhile()
    {
        Start(TimeSpan.FromSeconds(60));
        Write(1);
        // It has seen that the engine is idle and its frame is not decoded. Had it left, it would be alone.
        Settle();
        Write(1);
        Decode(1);
        Settle();
        Assert.False(_batches.Reader.TryPeek(out _), "a batch left before its frames were decoded");
        Decode(1);
        Assert.Equal(2, Take().Count);
    }

    [Fact]
    public void What_is_no_picture_takes_no_slot_but_keeps_its_place()
    {
        Start(TimeSpan.FromMilliseconds(100));
        Write(2);
        Write(1, FrameError.Truncated);
        Write(1);
        var batch = Take();
        Assert.Equal([0, 1, -1, 2], Enumerable.Range(0, 4).Select(i => batch[i].Slot));
        Assert.Equal(3, batch.Memory.Count);
    }

    [Fact]
    public void Only_so_many_batches_are_out_and_a_returned_one_is_filled_again()
    {
        Start(TimeSpan.FromMilliseconds(10));
        Write(Capacity * 4);
        var first = Take();
        Take();
        Until(() => _thread!.ThreadState.HasFlag(System.Threading.ThreadState.WaitSleepJoin), "the batcher does not wait for a batch");
        Assert.False(_batches.Reader.TryPeek(out _), "a third batch was filled although only two are there");
        first.Return();
        Assert.Same(first, Take());
    }

    [Fact]
    public void Batch_sizes_are_a_fixed_set() => Assert.Equal([1, 2, 3, 4, 6, 8, 12, 16], InferenceEngine.BatchSizes(16));

    private void Start(TimeSpan delay)
    {
        for (int i = 0; i < 2; i++) _free.Writer.TryWrite(new FrameBatch(_engine.Package, _engine.CreateBatch(Capacity), _free.Writer));
        _batcher = new MicroBatcher(_frames.Reader, _free.Reader, _jobs, _batches.Writer,
            new BatchingOptions { MaxBatchSize = Capacity, MaxDelay = delay }, 1, _time);
        _thread = new Thread(_batcher.Run) { IsBackground = true };
        _thread.Start();
    }

    /// <summary>Waits until the batcher has taken all frames and waits for more.</summary>
    private void Settle() => Until(
        () => _frames.Reader.Count == 0 && _thread!.ThreadState.HasFlag(System.Threading.ThreadState.WaitSleepJoin),
        "the batcher does not come to rest");

    private static void Until(Func<bool> condition, string fault) =>
        Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(10)), fault);

    private void Write(int count, FrameError error = FrameError.None)
    {
        for (int i = 0; i < count; i++)
            _frames.Writer.TryWrite(new ConsumedFrame
            {
                Assignment = _assignment,
                Offset = _offset++,
                Key = new CameraKey("c", []),
                Camera = "c",
                Error = error
            });
    }

    private void Decode(int count)
    {
        for (int i = 0; i < count; i++)
        {
            Assert.True(_jobs.Read(out var job));
            job.Batch.MarkDecoded();
        }
    }

    private FrameBatch Take()
    {
        var begun = Stopwatch.StartNew();
        FrameBatch? batch;
        while (!_batches.Reader.TryRead(out batch)) Assert.True(begun.Elapsed < TimeSpan.FromSeconds(10), "no batch came");
        return batch;
    }

    private static long OffsetOf(FrameBatch batch, int index) => ((ConsumedFrame)batch[index].Frame).Offset;

    /// <summary>Counts how often somebody looks at the clock, as the batcher does before each wait.</summary>
    private sealed class CountingTime : TimeProvider
    {
        private long _looks;

        public long Looks => Interlocked.Read(ref _looks);

        public override long GetTimestamp()
        {
            Interlocked.Increment(ref _looks);
            return base.GetTimestamp();
        }
    }
}
