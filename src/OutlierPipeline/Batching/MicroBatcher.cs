using System.Threading.Channels;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Batching;

/// <summary>
/// Frames in, batches out. A frame gets its slot here, in order, and is decoded right into it while the batch still fills. A batch leaves
/// as soon as the engine has nothing
/// else to do and its frames are decoded, so that a lone frame waits for nothing; while the engine is busy it fills, up to N frames or T
/// after the first one.
/// </summary>
public sealed class MicroBatcher : IDisposable
{
    private readonly BlockingReader<Frame> _frames;
    private readonly BlockingReader<FrameBatch> _free;
    private readonly DecodeBacklog _decode;
    private readonly ChannelWriter<FrameBatch> _batches;
    private readonly BatchingOptions _options;
    private readonly TimeProvider _time;
    private readonly int _concurrency;
    private readonly Action _wake;

    /// <summary>Batches that left and are not computed yet.</summary>
    private int _computing;

    /// <param name="frames">Frames in the order they were read.</param>
    /// <param name="free">Batches to fill: as many as may be in flight, and one more.</param>
    /// <param name="decode">Receives a job a slot.</param>
    /// <param name="batches">Receives batches in order; never blocks.</param>
    /// <param name="concurrency">Batches that the engine computes at once; with fewer it is idle.</param>
    public MicroBatcher(ChannelReader<Frame> frames, ChannelReader<FrameBatch> free, DecodeBacklog decode,
        ChannelWriter<FrameBatch> batches, BatchingOptions options, int concurrency, TimeProvider time)
    {
        _frames = new BlockingReader<Frame>(frames);
        _free = new BlockingReader<FrameBatch>(free);
        _wake = _frames.Wake;
        _decode = decode;
        _batches = batches;
        _options = options;
        _concurrency = concurrency;
        _time = time;
    }

    /// <summary>Runs until the frames' channel is complete; then completes the others.</summary>
    public void Run()
    {
        try
        {
            while (_frames.Read(out var frame) && _free.Read(out var batch))
            {
                using (var span = PipelineTelemetry.StartBatchSpan("batch"))
                {
                    Fill(batch, frame);
                    span?.SetTag(PipelineTelemetry.BatchSizeTag, batch.Memory.Count);
                }
                PipelineTelemetry.RecordBatchSize(batch.Memory.Count);
                Interlocked.Increment(ref _computing);
                _batches.TryWrite(batch);
                batch.MarkDecoded();
            }
        }
        finally
        {
            // Also where it failed: the stages behind it must not wait for more.
            _decode.Complete();
            _batches.Complete();
        }
    }

    /// <summary>The engine is done with one more batch.</summary>
    public void MarkComputed()
    {
        if (Interlocked.Decrement(ref _computing) < _concurrency) _wake();
    }

    public void Dispose()
    {
        _frames.Dispose();
        _free.Dispose();
    }

    private void Fill(FrameBatch batch, Frame first)
    {
        long begun = _time.GetTimestamp();
        batch.Begin(_wake);
        var frame = first;
        do
        {
            int slot = batch.Add(frame);
            if (slot >= 0) _decode.Write(new DecodeJob(batch, slot, frame));
        }
        while (!batch.IsFull && TryNext(batch, begun, out frame));
        PipelineTelemetry.RecordStage(Stage.Batch, _time.GetElapsedTime(begun));
    }

    /// <summary>The next frame of a batch, or false when it is to leave.</summary>
    private bool TryNext(FrameBatch batch, long begun, out Frame frame)
    {
        while (true)
        {
            if (_frames.Read(TimeSpan.Zero, out frame)) return true;
            // Whoever changes either wakes us afterwards, so that no change is missed.
            if (Volatile.Read(ref _computing) < _concurrency && batch.IsDecoded) return false;
            var left = _options.MaxDelay - _time.GetElapsedTime(begun);
            if (left <= TimeSpan.Zero || _frames.IsCompleted) return false;
            if (_frames.Read(left, out frame)) return true;
        }
    }
}
