namespace OutlierPipeline.Service.Access;

/// <summary>How many streams each caller has open: one alone must not take what all need. Thread-safe.</summary>
internal sealed class StreamLimit(ApiOptions options)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _open = [];

    /// <returns>The stream's place, to be disposed when it ends; null if the caller has as many as it may.</returns>
    public IDisposable? TryOpen(string caller)
    {
        lock (_gate)
        {
            int open = _open.GetValueOrDefault(caller);
            if (open >= options.StreamsPerCaller) return null;
            _open[caller] = open + 1;
        }
        return new Place(this, caller);
    }

    private void Close(string caller)
    {
        lock (_gate)
        {
            if (--_open[caller] == 0) _open.Remove(caller);
        }
    }

    private sealed class Place(StreamLimit limit, string caller) : IDisposable
    {
        public void Dispose() => limit.Close(caller);
    }
}
