using System.Threading.Channels;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Inference;

/// <summary>
/// The two threads of one engine: batches in, batches with scores out, in order. One begins runs, as many as the engine takes at once; the
/// other waits for them.
/// </summary>
internal sealed class InferenceWorker(ChannelReader<FrameBatch> batches, ChannelWriter<FrameBatch> scored,
    MicroBatcher batcher, SecondEngine? second, TimeProvider time)
{
    private readonly Channel<FrameBatch> _begun = Channel.CreateUnbounded<FrameBatch>(new UnboundedChannelOptions
    {
        SingleReader = true,
        SingleWriter = true,
        AllowSynchronousContinuations = true
    });

    /// <summary>Begins what the channel brings, until it is complete.</summary>
    public void Begin()
    {
        try
        {
            using var reader = new BlockingReader<FrameBatch>(batches);
            while (reader.Read(out var batch))
            {
                batch.WaitDecoded();
                batch.BegunAt = time.GetTimestamp();
                using var span = batch.Memory.Count > 0 ? PipelineTelemetry.StartBatchSpan("infer") : null;
                span?.SetTag(PipelineTelemetry.BatchSizeTag, batch.Memory.Count);
                batch.Memory.Begin();
                _begun.Writer.TryWrite(batch);
            }
        }
        finally
        {
            _begun.Writer.Complete();
        }
    }

    /// <summary>Hands on what has ended, until nothing more is begun.</summary>
    public void End()
    {
        using var reader = new BlockingReader<FrameBatch>(_begun.Reader);
        while (reader.Read(out var batch))
        {
            batch.Memory.End();
            if (batch.Memory.Count > 0) PipelineTelemetry.RecordStage(Stage.Infer, time.GetElapsedTime(batch.BegunAt));
            batcher.MarkComputed();
            for (int i = 0; i < batch.Count; i++)
            {
                // A picture that was left to the device can turn out bad as late as here; and a slot that was not written is never a
                // frame's.
                if (batch[i] is { Slot: >= 0 } filled && batch.Memory.Error(filled.Slot) is not FrameError.None and var error)
                    filled.Frame.Error = error;
            }
            if (second is not null)
            {
                long begun = time.GetTimestamp();
                second.Compute(batch);
                PipelineTelemetry.RecordStage(Stage.Second, time.GetElapsedTime(begun));
            }
            scored.TryWrite(batch);
        }
    }
}
