using System.Runtime.ExceptionServices;

namespace OutlierPipeline.Inference;

/// <summary>
/// What a batch runs, in one or more parts that a <see cref="PartPool"/> runs side by side. Nothing is allocated for a run.
/// </summary>
/// <param name="run">Runs one part, by its number.</param>
internal sealed class PartRun(Action<int> run) : IDisposable
{
    private readonly SemaphoreSlim _end = new(0);
    private Exception? _failure;
    private int _left;

    /// <summary>Blocks until the run has ended that was begun last; throws what a part of it threw.</summary>
    public void End()
    {
        _end.Wait();
        if (_failure is { } failure) ExceptionDispatchInfo.Throw(failure);
    }

    public void Dispose() => _end.Dispose();

    internal void Prepare(int parts)
    {
        _failure = null;
        Volatile.Write(ref _left, parts);
    }

    internal void Run(int part)
    {
        try
        {
            run(part);
        }
        catch (Exception e)
        {
            _failure = e;
        }
        if (Interlocked.Decrement(ref _left) == 0) _end.Release();
    }
}
