namespace OutlierPipeline.Pipeline;

/// <summary>
/// Calls of a librdkafka client that are under way on any thread. One that still runs when the client is destroyed writes into memory that
/// is no longer its own.
/// </summary>
internal sealed class ClientUse
{
    private int _calls;
    private volatile bool _hasEnded;

    /// <summary>Begins a call, which must be followed by <see cref="Exit"/>; false once no more are allowed.</summary>
    public bool TryEnter()
    {
        Interlocked.Increment(ref _calls);
        if (!_hasEnded) return true;
        Exit();
        return false;
    }

    public void Exit() => Interlocked.Decrement(ref _calls);

    /// <summary>Allows no more calls and waits for those that run; false if one does not end in time: then the client must stay.</summary>
    public bool HasEnded(TimeSpan patience)
    {
        _hasEnded = true;
        return SpinWait.SpinUntil(() => Volatile.Read(ref _calls) == 0, patience);
    }
}
