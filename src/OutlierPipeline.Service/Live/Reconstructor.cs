using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Service.Live;

/// <summary>What a second graph makes of a frame, as JPEGs; null for what the package does not have.</summary>
/// <param name="Map">The classes' colours over the frame.</param>
/// <param name="Drawn">What was drawn again of the map.</param>
/// <param name="Differences">The frame under the heat map of where it is not what was drawn again.</param>
/// <param name="Unlike">The frame under the heat map of what is unlike others of its class.</param>
internal readonly record struct SecondPictures(byte[]? Map, byte[]? Drawn, byte[]? Differences, byte[]? Unlike);

/// <summary>
/// Draws watched frames again for the dashboard, in a session of its own with one thread of the CPU: the frame path copies no
/// reconstruction back, and does not wait for viewers. Thread-safe.
/// </summary>
internal sealed class Reconstructor(PipelineOptions options, ILogger<Reconstructor> log) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, InferenceEngine> _engines = [];
    private readonly Dictionary<string, SecondScorer> _second = [];

    /// <summary>What frames may be: those of the pipeline that they come from.</summary>
    public FrameLimits Limits => options.Frames.Limits;

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

    /// <summary>What the package's second graph makes of a frame.</summary>
    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB, of the first graph's size.</param>
    /// <param name="encoded">The frame as it was received: the second graph sees it larger than the first does.</param>
    public SecondPictures Look(ModelPackage package, byte[] pixels, byte[] encoded, bool isBlurred)
    {
        if (package.Second is not { } graph || package.Card.Second is not { } card) return default;
        lock (_gate)
        {
            if (!_second.TryGetValue(package.Path, out var scorer))
                _second[package.Path] = scorer = new SecondScorer(graph, card, package.Path, threads: 1);
            var size = card.SizeBeside(package.Card.Network);
            if (size != package.Card.Network.Size)
            {
                pixels = new byte[size.Bytes];
                using var decoder = new FrameDecoder(size, Limits);
                if (decoder.Decode(encoded, pixels) != FrameError.None) return default;
            }
            var view = scorer.Show(pixels, size);
            byte[] under = new byte[view.MapSize.Bytes];
            for (int i = 0; i < view.Map.Length; i++)
            {
                var (red, green, blue) = card.Classes[view.Map[i]].Rgb;
                int from = (i / view.MapSize.Width * size.Height / view.MapSize.Height * size.Width
                    + i % view.MapSize.Width * size.Width / view.MapSize.Width) * 3;
                under[3 * i] = (byte)((pixels[from] + red) / 2);
                under[3 * i + 1] = (byte)((pixels[from + 1] + green) / 2);
                under[3 * i + 2] = (byte)((pixels[from + 2] + blue) / 2);
            }
            return new SecondPictures(AlertPicture.EncodeFrame(under, view.MapSize, isBlurred),
                view.Drawn.Length == 0 ? null : AlertPicture.EncodeFrame(view.Drawn, view.DrawnSize, isBlurred),
                Heat(view.Differences, view.DifferencesSize), Heat(view.Unlike, view.UnlikeSize));

            // These are means over a cell and its neighbours, which go about half as far as cells do.
            byte[]? Heat(float[] map, FrameSize cells) => map.Length == 0 ? null : AlertPicture.EncodeHeatMap(pixels, size,
                [.. map.Select(value => 2 * value)], cells.Height, cells.Width, isBlurred);
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
