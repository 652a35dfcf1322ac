using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Inference;

/// <summary>Configuration section <c>Inference:Second</c>: which frames get the second graph, of packages that have one.</summary>
public sealed record SecondOptions
{
    /// <summary>
    /// One frame of so many gets it, chosen by its place in the log, so that a frame that is read again is chosen again; 0 chooses none so.
    /// </summary>
    public int Every { get; init; } = 10;

    /// <summary>
    /// Frames get it whose p-value by the first graph is at most this; 0 chooses none so. The first graph must have been able to say so:
    /// a calibration of n independent frames says no less than 1/(n+1).
    /// </summary>
    public double Above { get; init; }

    /// <summary>Messages for what is out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (Every is < 0 or > 1_000_000) yield return $"Inference:Second:Every is {Every}; expected 0 (none) to 1000000";
        if (Above is not (>= 0 and < 1)) yield return $"Inference:Second:Above is {Above}; expected 0 (none) or more, and less than 1";
    }
}

/// <summary>The second graph of a package, for the frames of a batch that the rule chooses. One thread at a time.</summary>
internal sealed class SecondEngine : IDisposable
{
    /// <summary>Frames that run at once: its graph is large, and only some frames of a batch have it.</summary>
    private const int MaxRun = 8;

    private static readonly string[] Wanted = ["scores"];
    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();
    private readonly ModelPackage _package;
    private readonly SecondOptions _rule;
    private readonly List<(Frame Frame, int Slot, double Above)> _chosen = [];

    /// <summary>Decodes chosen frames again, larger; null where the first graph's size is that of the second.</summary>
    private readonly FrameDecoder? _decoder;
    private readonly FrameSize _size;
    private readonly bool[] _isRead = new bool[MaxRun];
    private byte[] _pixels = [];

    private SecondEngine(InferenceSession session, ModelPackage package, SecondOptions rule, FrameLimits limits)
    {
        (_session, _package, _rule) = (session, package, rule);
        _size = package.Card.Second!.SizeBeside(package.Card.Network);
        if (_size != package.Card.Network.Size) _decoder = new FrameDecoder(_size, limits);
    }

    /// <summary>The engine of a package's second graph; null where it has none, or the rule chooses no frame.</summary>
    /// <exception cref="ModelPackageException">ONNX Runtime does not load it, or it is not the graph that the card describes.</exception>
    public static SecondEngine? Of(InferenceEngine engine, InferenceOptions options, FrameLimits limits)
    {
        var package = engine.Package;
        if (package.Second is not { } graph || options.Second is { Every: 0, Above: 0 }) return null;
        var session = SecondScorer.Open(graph, package.Card.Second!, package.Path, bytes => engine.Beside(bytes, options.Threads));
        return new SecondEngine(session, package, options.Second, limits);
    }

    /// <summary>Computes it for the frames that the rule chooses; the batch has been computed by the first graph.</summary>
    public void Compute(FrameBatch batch)
    {
        Choose(batch);
        int scores = _package.Card.Second!.Scores.Count;
        for (int first = 0; first < _chosen.Count; first += MaxRun)
        {
            int count = Math.Min(MaxRun, _chosen.Count - first);
            if (_pixels.Length != count * _size.Bytes) _pixels = new byte[count * _size.Bytes];
            for (int i = 0; i < count; i++)
                _isRead[i] = TryRead(batch, _chosen[first + i], _pixels.AsSpan(i * _size.Bytes, _size.Bytes));
            using var image = OrtValue.CreateTensorValueFromMemory(_pixels, [count, _size.Height, _size.Width, 3]);
            using var outputs = _session.Run(_run, ["image"], [image], Wanted);
            var rows = outputs[0].GetTensorDataAsSpan<float>();
            for (int i = 0; i < count; i++)
            {
                // What cannot be decoded so large has the first graph's scores alone.
                if (!_isRead[i]) continue;
                var (_, slot, above) = _chosen[first + i];
                batch.SetSecond(slot, new SecondScores(rows.Slice(i * scores, scores).ToArray(), above));
                PipelineTelemetry.CountSecond(_package.Card.Name, above == 0 ? "every" : "above");
            }
        }
    }

    public void Dispose()
    {
        _decoder?.Dispose();
        _run.Dispose();
        _session.Dispose();
    }

    private bool TryRead(FrameBatch batch, (Frame Frame, int Slot, double Above) chosen, Span<byte> pixels)
    {
        if (_decoder is not null) return _decoder.Decode(chosen.Frame.Encoded, pixels) is FrameError.None;
        batch.Memory.Pixels(chosen.Slot).CopyTo(pixels);
        return true;
    }

    private void Choose(FrameBatch batch)
    {
        _chosen.Clear();
        for (int i = 0; i < batch.Count; i++)
        {
            var (frame, slot) = batch[i];
            if (slot < 0 || frame.Kind != FrameKind.Picture) continue;
            if (_rule.Every > 0 && frame.Lot % (ulong)_rule.Every == 0)
            {
                _chosen.Add((frame, slot, 0));
            }
            else if (_rule.Above > 0 && _package.For(frame.Camera!).Calibration is var calibration
                && calibration.PValue(calibration.Combine(batch.Memory.Scores(slot))) <= _rule.Above)
            {
                _chosen.Add((frame, slot, _rule.Above));
            }
        }
    }
}
