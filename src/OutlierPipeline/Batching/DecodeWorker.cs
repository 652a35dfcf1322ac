using System.Threading.Channels;
using OutlierPipeline.Frames;
using OutlierPipeline.Streaming;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Batching;

/// <summary>One picture to decode into one slot.</summary>
public readonly record struct DecodeJob(MicroBatch Batch, int Slot, Frame Frame);

/// <summary>One thread that decodes pictures into their batch's slots.</summary>
public sealed class DecodeWorker(ChannelReader<DecodeJob> jobs, FrameDecoder decoder, TimeProvider time) : IDisposable
{
    /// <summary>Runs until the channel is complete.</summary>
    public void Run()
    {
        using var reader = new BlockingReader<DecodeJob>(jobs);
        while (reader.Read(out var job))
        {
            var frame = job.Frame;
            if (frame.Assignment.IsCurrent)
            {
                long begun = time.GetTimestamp();
                using var span = PipelineTelemetry.StartFrameSpan("decode", frame.Trace);
                frame.Error = decoder.Decode(frame.Encoded, job.Batch.Tensor.Pixels(job.Slot));
                PipelineTelemetry.RecordStage(Stage.Decode, time.GetElapsedTime(begun));
            }
            job.Batch.MarkDecoded();
        }
    }

    public void Dispose() => decoder.Dispose();
}
