using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Batching;
using OutlierPipeline.Models;

namespace OutlierPipeline.Inference;

/// <summary>A batch on CPU: every core takes a part of it.</summary>
internal sealed class HostBatch : BoundBatch
{
    private readonly PartPool _cores;
    private readonly PartRun _run;

    /// <param name="session">Computes a part, on the thread that runs it.</param>
    /// <inheritdoc/>
    public HostBatch(InferenceSession session, OrtMemoryInfo memory, RunOptions options, ModelPackage package, int capacity,
        IReadOnlyList<int> sizes, PartPool cores)
        : base(package, capacity, sizes, cores.Threads, bytes => new HostBuffer(bytes))
    {
        _cores = cores;
        _run = new PartRun(part => session.RunWithBinding(options, Bindings()[part]));
        Bind(session, memory, package);
    }

    private protected override void BeginRun() => _cores.Begin(_run, Bindings().Length);

    private protected override void EndRun() => _run.End();

    private protected override void Release() => _run.Dispose();
}
