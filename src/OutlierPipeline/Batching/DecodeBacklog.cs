using System.Threading.Channels;

namespace OutlierPipeline.Batching;

/// <summary>
/// Jobs for several decode workers, bounded by the slots of the batches in flight. A channel with several readers allocates for each of
/// their
/// waits; a semaphore beside it does not.
/// </summary>
public sealed class DecodeBacklog : IDisposable
{
    private readonly Channel<DecodeJob> _jobs = Channel.CreateUnbounded<DecodeJob>(new UnboundedChannelOptions { SingleWriter = true });
    private readonly SemaphoreSlim _available = new(0);

    /// <summary>Never blocks.</summary>
    public void Write(DecodeJob job)
    {
        _jobs.Writer.TryWrite(job);
        _available.Release();
    }

    /// <summary>No more jobs will come.</summary>
    public void Complete()
    {
        _jobs.Writer.TryComplete();
        _available.Release();
    }

    /// <summary>The next job; false when there will be none.</summary>
    public bool Read(out DecodeJob job)
    {
        _available.Wait();
        if (_jobs.Reader.TryRead(out job)) return true;
        // Complete and empty: the next worker is to learn it too.
        _available.Release();
        return false;
    }

    public void Dispose() => _available.Dispose();
}
