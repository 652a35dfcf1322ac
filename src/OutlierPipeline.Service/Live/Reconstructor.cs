using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Service.Live;

/// <summary>
/// Draws watched frames again for the dashboard, in a session of its own with one thread of the CPU: the frame path copies no
/// reconstruction back, and does not wait for viewers. Thread-safe.
/// </summary>
internal sealed class Reconstructor(ILogger<Reconstructor> log) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, InferenceEngine> _engines = [];

    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB.</param>
    /// <returns>The same of the reconstruction.</returns>
    public byte[] Draw(ModelPackage package, string camera, byte[] pixels)
    {
        lock (_gate)
        {
            if (!_engines.TryGetValue(package.Digest, out var engine))
                _engines[package.Digest] = engine = new InferenceEngine(package,
                    new InferenceOptions { Accelerator = Accelerator.Cpu, Threads = 1 }, log);
            return engine.Reconstruct(pixels, package.For(camera).Mask);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var engine in _engines.Values) engine.Dispose();
            _engines.Clear();
        }
    }
}
