using System.Threading.Channels;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Pipeline;

/// <summary>One model's stages: its queue of frames, batcher, decode workers and engine, and the threads they run on.</summary>
internal sealed class ModelLane : IDisposable
{
    /// <summary>Beside those that are computed one is being decoded, and another is being looked at by the detectors or filling.</summary>
    private const int MoreBatches = 2;

    /// <summary>How often a stop looks whether a stage has failed.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    private readonly PipelineFailure _failure;
    private readonly FrameBatch[] _batches;
    private readonly DecodeWorker[] _workers;
    private readonly DecodeBacklog _jobs;
    private readonly MicroBatcher _batcher;
    private readonly SecondEngine? _second;
    private readonly InferenceWorker _inference;
    private readonly List<Thread> _threads = [];
    private readonly ChannelWriter<FrameBatch> _free;

    /// <param name="engine">Owned by the lane.</param>
    /// <param name="failure">Told when a stage of the lane ends with an error.</param>
    public ModelLane(InferenceEngine engine, PipelineOptions options, ChannelWriter<FrameBatch> scored, PipelineFailure failure,
        TimeProvider time)
    {
        Engine = engine;
        _failure = failure;
        BatchCapacity = options.Batching.Capacity(engine.OnDevice);
        QueueCapacity = Math.Max(16, 2 * BatchCapacity);
        Frames = Channel.CreateBounded<Frame>(new BoundedChannelOptions(QueueCapacity)
        {
            SingleReader = true,
            SingleWriter = true,
            AllowSynchronousContinuations = true
        });
        // These are bounded by the number of batches; a channel's own bound would only be a second one.
        var free = Channel.CreateUnbounded<FrameBatch>(new UnboundedChannelOptions
        {
            SingleReader = true,
            AllowSynchronousContinuations = true
        });
        _free = free.Writer;
        _jobs = new DecodeBacklog();
        var filled = Channel.CreateUnbounded<FrameBatch>(new UnboundedChannelOptions
        {
            SingleReader = true,
            SingleWriter = true,
            AllowSynchronousContinuations = true
        });
        _batches = [.. Enumerable.Range(0, InferenceEngine.Concurrency + MoreBatches).Select(_ =>
            new FrameBatch(Package, engine.CreateBatch(BatchCapacity, options.Frames), free.Writer))];
        foreach (var batch in _batches) free.Writer.TryWrite(batch);
        _batcher = new MicroBatcher(Frames.Reader, free.Reader, _jobs, filled.Writer, options.Batching, InferenceEngine.Concurrency, time);
        _workers = [.. Enumerable.Range(0, options.Frames.Workers).Select(_ =>
            new DecodeWorker(_jobs, new FrameDecoder(Package.Card.Network.Size, options.Frames.Limits), time))];
        _second = SecondEngine.Of(engine, options.Inference, options.Frames.Limits);
        _inference = new InferenceWorker(filled.Reader, scored, _batcher, _second, time);
    }

    public InferenceEngine Engine { get; }

    public ModelPackage Package => Engine.Package;

    public Channel<Frame> Frames { get; }

    public int BatchCapacity { get; }

    public int QueueCapacity { get; }

    public void Start()
    {
        Run("batch", _batcher.Run);
        for (int i = 0; i < _workers.Length; i++) Run($"decode-{i}", _workers[i].Run);
        Run("infer", _inference.Begin);
        Run("score", _inference.End);
    }

    /// <summary>Ends the stages; what is queued goes through first. The frames' channel must be complete.</summary>
    /// <param name="abort">Whether a stage has failed, be it only now: then the others do not wait for what would never come.</param>
    public void Stop(Func<bool> abort)
    {
        foreach (var thread in _threads)
        {
            while (!thread.Join(Look))
            {
                if (!abort()) continue;
                _free.TryComplete();
                foreach (var batch in _batches) batch.Abort();
            }
        }
    }

    public void Dispose()
    {
        foreach (var worker in _workers) worker.Dispose();
        _batcher.Dispose();
        _jobs.Dispose();
        foreach (var batch in _batches) batch.Dispose();
        _second?.Dispose();
        Engine.Dispose();
    }

    private void Run(string stage, Action run)
    {
        var thread = new Thread(() =>
        {
            try
            {
                run();
            }
            catch (Exception e)
            {
                _failure.Report(e);
            }
        })
        { Name = $"{stage} {Package.Card.Name}", IsBackground = true };
        _threads.Add(thread);
        thread.Start();
    }
}
