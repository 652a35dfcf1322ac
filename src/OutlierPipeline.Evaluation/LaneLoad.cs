using System.Threading.Channels;
using Confluent.Kafka;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Evaluation;

/// <summary>
/// Encoded pictures through decode workers, batcher and engine as fast as these take them: the frame path without Kafka, for measuring. Not
/// thread-safe.
/// </summary>
internal sealed class LaneLoad : IDisposable
{
    /// <summary>Waiting beyond this many batches would only take memory.</summary>
    private const int BatchesAhead = 6;

    private readonly Channel<FrameBatch> _scored = Channel.CreateUnbounded<FrameBatch>(new UnboundedChannelOptions
    {
        SingleReader = true,
        AllowSynchronousContinuations = true
    });
    private readonly ModelLane _lane;
    private readonly Frame[] _frames;

    /// <param name="engine">Owned by this.</param>
    /// <param name="encoded">JPEG, PNG or WebP; they go round.</param>
    public LaneLoad(InferenceEngine engine, PipelineOptions options, IReadOnlyList<byte[]> encoded)
    {
        _lane = new ModelLane(engine, options, _scored.Writer, new PipelineFailure(), TimeProvider.System);
        Ahead = BatchesAhead * _lane.BatchCapacity;
        var assignment = new PartitionAssignment(new TopicPartition("bench", 0), 1, 0);
        var budget = new PayloadBudget(long.MaxValue);
        // Frame and payload belong to reading, which is not measured: they are made once.
        _frames = [.. Enumerable.Range(0, Math.Max(encoded.Count, Ahead)).Select(i => new ConsumedFrame
        {
            Assignment = assignment,
            Offset = i,
            Key = new CameraKey("bench", []),
            Camera = "bench",
            Payload = budget.Deserialize(encoded[i % encoded.Count], false, SerializationContext.Empty),
            Image = Range.All,
        })];
        _lane.Start();
    }

    /// <summary>Frames that wait or are under way at most.</summary>
    public int Ahead { get; }

    /// <summary>Puts so many frames through; returns the number that could not be decoded.</summary>
    public int Run(int count, CancellationToken cancellation = default)
    {
        int written = 0;
        int done = 0;
        int failed = 0;
        var spin = new SpinWait();
        while (done < count)
        {
            cancellation.ThrowIfCancellationRequested();
            while (written < count && written - done < Ahead && _lane.Frames.Writer.TryWrite(_frames[written % _frames.Length])) written++;
            while (_scored.Reader.TryRead(out var batch))
            {
                for (int i = 0; i < batch.Count; i++)
                {
                    if (batch[i].Frame.Error != FrameError.None) failed++;
                }
                done += batch.Count;
                batch.Return();
            }
            spin.SpinOnce();
        }
        return failed;
    }

    public void Dispose()
    {
        _lane.Frames.Writer.Complete();
        _lane.Stop(abort: () => false);
        _lane.Dispose();
    }
}
