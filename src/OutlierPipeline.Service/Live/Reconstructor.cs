using OutlierPipeline.Alerts;
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
    private readonly Dictionary<string, SecondScorer> _second = [];

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

    /// <summary>The package's second graph of a frame: its map in the classes' colours over the frame, and what was drawn again of the
    /// map.</summary>
    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB.</param>
    /// <returns>JPEGs; null for what the package does not have.</returns>
    public (byte[]? Map, byte[]? Drawn) Look(ModelPackage package, byte[] pixels, bool isBlurred)
    {
        if (package.Second is not { } graph || package.Card.Second is not { } card) return (null, null);
        lock (_gate)
        {
            if (!_second.TryGetValue(package.Path, out var scorer))
                _second[package.Path] = scorer = new SecondScorer(graph, card, package.Path, threads: 1);
            var size = package.Card.Network.Size;
            var (map, mapSize, drawn, drawnSize) = scorer.Show(pixels, size);
            byte[] under = new byte[mapSize.Bytes];
            for (int i = 0; i < map.Length; i++)
            {
                var (red, green, blue) = card.Classes[map[i]].Rgb;
                int from = (i / mapSize.Width * size.Height / mapSize.Height * size.Width
                    + i % mapSize.Width * size.Width / mapSize.Width) * 3;
                under[3 * i] = (byte)((pixels[from] + red) / 2);
                under[3 * i + 1] = (byte)((pixels[from + 1] + green) / 2);
                under[3 * i + 2] = (byte)((pixels[from + 2] + blue) / 2);
            }
            return (AlertPicture.EncodeFrame(under, mapSize, isBlurred),
                drawn.Length == 0 ? null : AlertPicture.EncodeFrame(drawn, drawnSize, isBlurred));
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var scorer in _second.Values) scorer.Dispose();
            _second.Clear();
            foreach (var engine in _engines.Values) engine.Dispose();
            _engines.Clear();
        }
    }
}
