using System.Threading.Channels;

namespace OutlierPipeline.Inference;

/// <summary>
/// Threads that run the parts of batches, in the order they were begun. On CPU that scales with the cores, where threads within one
/// operator do not: most operators of a small
/// network are too short to be shared. A thread that is through with its part of one batch goes on with the next batch's.
/// </summary>
internal sealed class PartPool : IDisposable
{
    private readonly Channel<(PartRun? Run, int Part)> _parts = Channel.CreateUnbounded<(PartRun? Run, int Part)>();
    private readonly SemaphoreSlim _available = new(0);
    private readonly Thread[] _threads;
    private bool _isDisposed;

    public PartPool(int threads, string name)
    {
        _threads = [.. Enumerable.Range(0, threads).Select(i => new Thread(Loop) { Name = $"{name} {i}", IsBackground = true })];
        foreach (var thread in _threads) thread.Start();
    }

    public int Threads => _threads.Length;

    /// <summary>Begins a run of parts 0 to <paramref name="parts"/> − 1, which must be followed by <see cref="PartRun.End"/>.</summary>
    public void Begin(PartRun run, int parts)
    {
        run.Prepare(parts);
        for (int part = 0; part < parts; part++) _parts.Writer.TryWrite((run, part));
        _available.Release(parts);
    }

    /// <summary>Waits for what was begun, and ends the threads.</summary>
    public void Dispose()
    {
        if (_isDisposed) return;
        _isDisposed = true;
        foreach (var _ in _threads) _parts.Writer.TryWrite((null, 0));
        _available.Release(_threads.Length);
        foreach (var thread in _threads) thread.Join();
        _available.Dispose();
    }

    private void Loop()
    {
        while (true)
        {
            _available.Wait();
            // Whoever releases has written before.
            if (!_parts.Reader.TryRead(out var next) || next.Run is null) return;
            next.Run.Run(next.Part);
        }
    }
}
