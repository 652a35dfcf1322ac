using System.Runtime.ExceptionServices;

namespace OutlierPipeline.Inference;

/// <summary>
/// Runs the parts of a batch side by side, a thread each. On CPU that scales with the cores, where threads within one operator do not: most operators of a small network
/// are too short to be shared. For one caller at a time; nothing is allocated for a run.
/// </summary>
internal sealed class PartRunner : IDisposable
{
    private readonly WorkerThread[] _helpers;
    private readonly Action[] _runs;
    private Action<int> _run = _ => { };

    /// <param name="parts">Parts at most; the caller's thread runs the first.</param>
    public PartRunner(int parts, string name)
    {
        _helpers = [.. Enumerable.Range(1, parts - 1).Select(part => new WorkerThread($"{name} {part}"))];
        _runs = [.. Enumerable.Range(1, parts - 1).Select<int, Action>(part => () => _run(part))];
    }

    public int Parts => _helpers.Length + 1;

    /// <summary>Calls <paramref name="run"/> for parts 0 to <paramref name="count"/> − 1, and returns when all have ended; the first failure is thrown then.</summary>
    public void Run(int count, Action<int> run)
    {
        _run = run;
        for (int part = 1; part < count; part++) _helpers[part - 1].Begin(_runs[part - 1]);
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
}
