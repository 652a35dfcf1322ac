using System.Runtime;

namespace OutlierPipeline.Training;

/// <summary>
/// Work with TorchSharp without a garbage collection in it. TorchSharp passes scalars to native code by a handle and does not keep their
/// owners
/// alive: one collected in the middle of a call (once in some thousand steps) is read after it was freed.
/// </summary>
public static class Uncollected
{
    /// <summary>More managed memory than a step takes, in bytes.</summary>
    private const long Allocation = 64L * 1024 * 1024;

    /// <summary>Runs a step; for one thread of the process at a time.</summary>
    public static T Run<T>(Func<T> step)
    {
        bool started = GC.TryStartNoGCRegion(Allocation);
        try
        {
            return step();
        }
        finally
        {
            if (started && GCSettings.LatencyMode == GCLatencyMode.NoGCRegion) GC.EndNoGCRegion();
        }
    }
}
