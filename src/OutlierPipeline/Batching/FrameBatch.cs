using System.Threading.Channels;
using OutlierPipeline.Models;

namespace OutlierPipeline.Batching;

/// <summary>
/// Frames that go through the stages together, in the order they were read. Most have a slot of its memory; those that are known to be no
/// pictures ride along without one, so that a camera's frames stay in order.
/// </summary>
public sealed class FrameBatch : IDisposable
{
    private readonly Frame?[] _frames;
    private readonly int[] _slots;
    private readonly ManualResetEventSlim _decoded = new(false);
    private readonly ChannelWriter<FrameBatch> _free;
    private readonly SecondScores?[] _second;
    private Action _changed = () => { };
    private int _undecoded;

    internal FrameBatch(ModelPackage package, BatchMemory memory, ChannelWriter<FrameBatch> free)
    {
        Package = package;
        _free = free;
        Memory = memory;
        // Riders cost no arithmetic, but a batch of them alone must end too.
        _frames = new Frame?[memory.Capacity * 4];
        _slots = new int[_frames.Length];
        _second = new SecondScores?[memory.Capacity];
    }

    /// <summary>The model that scores the batch.</summary>
    public ModelPackage Package { get; }

    /// <summary>Pixels and scores.</summary>
    public BatchMemory Memory { get; }

    /// <summary>Frames in the batch, riders included.</summary>
    public int Count { get; private set; }

    /// <summary>When the engine began with it, in ticks of <see cref="TimeProvider.GetTimestamp"/>.</summary>
    internal long BegunAt { get; set; }

    internal bool IsFull => Memory.Count == Memory.Capacity || Count == _frames.Length;

    /// <summary>The frame and its slot, or -1.</summary>
    public (Frame Frame, int Slot) this[int index] => (_frames[index]!, _slots[index]);

    /// <summary>Whether every slot is decoded that was given out so far.</summary>
    internal bool IsDecoded => Volatile.Read(ref _undecoded) == 1;

    /// <param name="decoded">Called when every slot is decoded while the batch is still filling.</param>
    internal void Begin(Action decoded)
    {
        _changed = decoded;
        Count = 0;
        Memory.Clear();
        Array.Clear(_second);
        _decoded.Reset();
        // One for the batcher itself: the batch is decoded only once no more frames come.
        _undecoded = 1;
    }

    /// <summary>What the second graph says of a slot's frame; null where it was not computed.</summary>
    public SecondScores? Second(int slot) => _second[slot];

    internal void SetSecond(int slot, SecondScores scores) => _second[slot] = scores;

    /// <summary>Adds a frame; its slot, or -1 if it needs none.</summary>
    internal int Add(Frame frame)
    {
        bool isPicture = frame.Kind == FrameKind.Picture;
        int slot = isPicture ? Memory.Count++ : -1;
        _frames[Count] = frame;
        _slots[Count++] = slot;
        if (isPicture)
        {
            Memory.SetMask(slot, Package.For(frame.Camera!).Mask);
            Interlocked.Increment(ref _undecoded);
        }
        return slot;
    }

    /// <summary>A worker has finished one slot, or the batcher takes no more frames.</summary>
    internal void MarkDecoded()
    {
        int left = Interlocked.Decrement(ref _undecoded);
        if (left == 0) _decoded.Set();
        if (left == 1) _changed();
    }

    /// <summary>The frames are done: the batch may be filled again.</summary>
    internal void Return()
    {
        Array.Clear(_frames, 0, Count);
        _free.TryWrite(this);
    }

    /// <summary>Lets go whoever waits for slots that nobody decodes any more.</summary>
    internal void Abort() => _decoded.Set();

    /// <summary>Blocks until every slot is decoded.</summary>
    internal void WaitDecoded() => _decoded.Wait();

    public void Dispose() => _decoded.Dispose();
}
