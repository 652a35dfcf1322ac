using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Batching;

/// <summary>One picture to decode into one slot.</summary>
public readonly record struct DecodeJob(FrameBatch Batch, int Slot, Frame Frame);

/// <summary>One thread that decodes pictures into their batch's slots.</summary>
public sealed class DecodeWorker(DecodeBacklog jobs, FrameDecoder decoder, TimeProvider time) : IDisposable
{
    /// <summary>Runs until the queue is complete.</summary>
    public void Run()
    {
        while (jobs.Read(out var job))
        {
            var frame = job.Frame;
            if (frame.IsCurrent)
            {
                long begun = time.GetTimestamp();
                using var span = PipelineTelemetry.StartFrameSpan("decode", frame.Trace);
                frame.Error = job.Batch.Memory.Decode(job.Slot, frame.Encoded, decoder);
                PipelineTelemetry.RecordStage(Stage.Decode, time.GetElapsedTime(begun));
            }
            job.Batch.MarkDecoded();
        }
    }

    public void Dispose() => decoder.Dispose();
}
