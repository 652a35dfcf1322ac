using System.Threading.Channels;
using OutlierPipeline.Batching;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Inference;

/// <summary>The thread of one engine: batches in, batches with scores out, in order.</summary>
public sealed class InferenceWorker(ChannelReader<MicroBatch> batches, ChannelWriter<MicroBatch> scored, InferenceEngine engine, MicroBatcher batcher, TimeProvider time)
{
    /// <summary>Runs until the channel is complete.</summary>
    public void Run()
    {
        using var reader = new BlockingReader<MicroBatch>(batches);
        while (reader.Read(out var batch))
        {
            batch.WaitDecoded();
            if (batch.Tensor.Count > 0)
            {
                long begun = time.GetTimestamp();
                using var span = PipelineTelemetry.StartBatchSpan("infer");
                span?.SetTag(PipelineTelemetry.BatchSizeTag, batch.Tensor.Count);
                engine.Run(batch.Tensor);
                PipelineTelemetry.RecordStage(Stage.Infer, time.GetElapsedTime(begun));
            }
            batcher.MarkComputed();
            scored.TryWrite(batch);
        }
    }
}
