using System.Threading.Channels;
using OutlierPipeline.Streaming;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Batching;

/// <summary>
/// Frames in, batches out: up to N frames or T after the first one, whichever comes first. A frame gets its slot here, in order, and is
/// decoded right into it while the batch still fills; the batch is handed on at once, and the next stage waits for its decoders.
/// </summary>
public sealed class MicroBatcher
{
    private readonly ChannelReader<Frame> _frames;
    private readonly ChannelReader<MicroBatch> _free;
    private readonly DecodeBacklog _decode;
    private readonly ChannelWriter<MicroBatch> _batches;
    private readonly BatchingOptions _options;
    private readonly TimeProvider _time;

    /// <param name="frames">Frames in the order they were read.</param>
    /// <param name="free">Batches to fill: as many as may be in flight, and one more.</param>
    /// <param name="decode">Receives a job a slot.</param>
    /// <param name="batches">Receives batches in order; never blocks.</param>
    public MicroBatcher(ChannelReader<Frame> frames, ChannelReader<MicroBatch> free, DecodeBacklog decode, ChannelWriter<MicroBatch> batches, BatchingOptions options, TimeProvider time)
    {
        _frames = frames;
        _free = free;
        _decode = decode;
        _batches = batches;
        _options = options;
        _time = time;
    }

    /// <summary>Runs until the frames' channel is complete; then completes the others.</summary>
    public void Run()
    {
        using var frames = new BlockingReader<Frame>(_frames);
        using var free = new BlockingReader<MicroBatch>(_free);
        while (frames.Read(out var frame) && free.Read(out var batch))
        {
            using (var span = PipelineTelemetry.StartBatchSpan("batch"))
            {
                Fill(batch, frame, frames);
                span?.SetTag(PipelineTelemetry.BatchSizeTag, batch.Tensor.Count);
            }
            PipelineTelemetry.RecordBatchSize(batch.Tensor.Count);
            _batches.TryWrite(batch);
            batch.MarkDecoded();
        }
        _decode.Complete();
        _batches.Complete();
    }

    private void Fill(MicroBatch batch, Frame first, BlockingReader<Frame> frames)
    {
        long begun = _time.GetTimestamp();
        batch.Begin();
        var frame = first;
        while (true)
        {
            int slot = batch.Add(frame);
            if (slot >= 0) _decode.Write(new DecodeJob(batch, slot, frame));
            if (batch.IsFull || !frames.Read(_options.MaxDelay - _time.GetElapsedTime(begun), out frame)) break;
        }
        PipelineTelemetry.RecordStage(Stage.Batch, _time.GetElapsedTime(begun));
    }
}
