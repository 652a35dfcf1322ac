using System.Runtime.ExceptionServices;

namespace OutlierPipeline.Inference;

/// <summary>
/// Runs the parts of a batch side by side, a thread each. On CPU that scales with the cores, where threads within one operator do not: most operators of a small network
/// are too short to be shared. For one caller at a time; nothing is allocated for a run.
/// </summary>
internal sealed class PartRunner : IDisposable
{
    private readonly Helper[] _helpers;

    /// <param name="parts">Parts at most; the caller's thread runs the first.</param>
    public PartRunner(int parts, string name) => _helpers = [.. Enumerable.Range(1, parts - 1).Select(part => new Helper($"{name} {part}"))];

    public int Parts => _helpers.Length + 1;

    /// <summary>Calls <paramref name="run"/> for parts 0 to <paramref name="count"/> − 1, and returns when all have ended; the first failure is thrown then.</summary>
    public void Run(int count, Action<int> run)
    {
        for (int part = 1; part < count; part++) _helpers[part - 1].Begin(part, run);
        Exception? failure = null;
        try
        {
            run(0);
        }
        catch (Exception e)
        {
            failure = e;
        }
        for (int part = 1; part < count; part++) failure = _helpers[part - 1].End() ?? failure;
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);
    }

    public void Dispose()
    {
        foreach (var helper in _helpers) helper.Dispose();
    }

    private sealed class Helper : IDisposable
    {
        private readonly SemaphoreSlim _begin = new(0);
        private readonly SemaphoreSlim _end = new(0);
        private readonly Thread _thread;
        private Action<int>? _run;
        private Exception? _failure;
        private int _part;

        public Helper(string name)
        {
            _thread = new Thread(Loop) { Name = name, IsBackground = true };
            _thread.Start();
        }

        public void Begin(int part, Action<int> run)
        {
            _part = part;
            _run = run;
            _begin.Release();
        }

        public Exception? End()
        {
            _end.Wait();
            return _failure;
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
                    run(_part);
                }
                catch (Exception e)
                {
                    _failure = e;
                }
                _end.Release();
            }
        }
    }
}
