using System.Runtime.ExceptionServices;

namespace OutlierPipeline.Inference;

/// <summary>A thread that runs one thing at a time for its owner, who waits for it later. Nothing is allocated for a run.</summary>
internal sealed class WorkerThread : IDisposable
{
    private readonly SemaphoreSlim _begin = new(0);
    private readonly SemaphoreSlim _end = new(0);
    private readonly Thread _thread;
    private Action? _run;
    private Exception? _failure;

    public WorkerThread(string name)
    {
        _thread = new Thread(Loop) { Name = name, IsBackground = true };
        _thread.Start();
    }

    /// <summary>Starts a run; each is followed by one <see cref="End"/>.</summary>
    public void Begin(Action run)
    {
        _run = run;
        _begin.Release();
    }

    /// <summary>Blocks until the run has ended; what it threw, or null.</summary>
    public Exception? End()
    {
        _end.Wait();
        return _failure;
    }

    /// <summary>Runs, waits, and throws what the run threw.</summary>
    public void Run(Action run)
    {
        Begin(run);
        if (End() is { } failure) ExceptionDispatchInfo.Throw(failure);
    }

    public void Dispose()
    {
        _run = null;
        _begin.Release();
        _thread.Join();
        _begin.Dispose();
        _end.Dispose();
    }

    private void Loop()
    {
        while (true)
        {
            _begin.Wait();
            if (_run is not { } run) return;
            try
            {
                _failure = null;
                run();
            }
            catch (Exception e)
            {
                _failure = e;
            }
            _end.Release();
        }
    }
}
