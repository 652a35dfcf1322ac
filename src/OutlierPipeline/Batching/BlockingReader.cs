using System.Threading.Channels;

namespace OutlierPipeline.Batching;

/// <summary>
/// Lets a stage with a thread of its own wait on a channel without an allocation a wait. A stage that computes for milliseconds does not
/// belong on the thread pool, where it would hold up acknowledgements and requests.
/// </summary>
internal sealed class BlockingReader<T> : IDisposable
{
    private readonly ChannelReader<T> _reader;
    private readonly AutoResetEvent _signal = new(false);
    private readonly Action _set;
    private System.Runtime.CompilerServices.ValueTaskAwaiter<bool> _waiting;
    private bool _isWaiting;

    public BlockingReader(ChannelReader<T> reader)
    {
        _reader = reader;
        _set = () => _signal.Set();
    }

    /// <summary>The next item; false when the channel is complete and empty.</summary>
    public bool Read(out T item)
    {
        while (true)
        {
            if (_reader.TryRead(out item!)) return true;
            if (Wait(Timeout.InfiniteTimeSpan, out bool open) && !open) return false;
        }
    }

    /// <summary>The next item, or false when none came in time, the channel is complete, or <see cref="Wake"/> was called.</summary>
    public bool Read(TimeSpan timeout, out T item)
    {
        if (_reader.TryRead(out item!)) return true;
        return timeout > TimeSpan.Zero && Wait(timeout, out bool open) && open && _reader.TryRead(out item!);
    }

    /// <summary>Whether nothing more will come.</summary>
    public bool IsCompleted => _reader.Completion.IsCompleted;

    /// <summary>Ends a wait of another thread early, or its next one.</summary>
    public void Wake() => _signal.Set();

    public void Dispose() => _signal.Dispose();

    /// <summary>
    /// True if the wait ended, with whether there is more to read; false if the time was up or somebody woke us. Such a wait goes on with
    /// the next call.
    /// </summary>
    private bool Wait(TimeSpan timeout, out bool open)
    {
        open = false;
        if (!_isWaiting)
        {
            // No token: with one, the channel would allocate for every wait. A stage ends when its channel is completed.
#pragma warning disable CA2012 // The awaiter is kept until its one result is taken; awaiting it would need an async method and allocate.
            _waiting = _reader.WaitToReadAsync(CancellationToken.None).GetAwaiter();
#pragma warning restore CA2012
            if (!_waiting.IsCompleted)
            {
                _isWaiting = true;
                _waiting.UnsafeOnCompleted(_set);
            }
        }
        if (_isWaiting && !(_signal.WaitOne(timeout) && _waiting.IsCompleted)) return false;
        _isWaiting = false;
        open = _waiting.GetResult();
        return true;
    }
}
