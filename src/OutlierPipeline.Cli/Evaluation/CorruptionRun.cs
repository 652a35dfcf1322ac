using System.Globalization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>
/// Every corruption at every severity on a part of the normal frames; and each as streams that begin with a minute of normal frames and
/// then change.
/// </summary>
internal sealed class CorruptionRun(ScoredSet normal, FootageScorer scorer, string camera, double framesPerSecond, int maxFrames, int seed)
{
    private const int Sequences = 10;

    /// <summary>Normal frames of a stream, and fewer where every drive is shorter.</summary>
    private const int Before = 60;
    private const int MinBefore = 15;
    private const int After = 40;
    private const int Soon = 15;
    private const int SequenceSeverity = 3;

    /// <summary>Every second pixel of every second row tells the figure as well as all do.</summary>
    private const int PixelStep = 2;

    private readonly CameraModel _model = scorer.Package.For(camera);
    private readonly CauseJudge? _causes = scorer.Package.Causes is { } causes ? new CauseJudge(causes, normal.Profiles) : null;
    private readonly int _before = Math.Clamp(normal.Footage.Drives.Max(drive => drive.Count) - After, MinBefore, Before);

    public CorruptionFigures Run(Action<double> progress, CancellationToken cancellation)
    {
        int frames = Math.Min(maxFrames, normal.Footage.Count);
        int[] chosen = [.. Enumerable.Range(0, frames).Select(i => (int)((long)i * normal.Footage.Count / frames))];
        var kinds = new SortedDictionary<string, CorruptionKind>(StringComparer.Ordinal);
        int done = 0;
        foreach (var corruption in CorruptionSuite.All)
        {
            var kind = new CorruptionKind(corruption.Group, [], [], null, 0, 0, 0, 0, corruption.HasMask ? [] : null,
                corruption.HasMask ? [] : null, _causes is null || corruption.IsFrozen ? null : [], null);
            for (int severity = 1; severity <= Corruption.Severities && !corruption.IsFrozen; severity++)
                Measure(corruption, severity, chosen, kind, cancellation);
            kinds[corruption.Name] = Streams(kind, corruption.IsFrozen ? null : corruption.Cause, !corruption.IsFrozen,
                (index, from, rgb) =>
            {
                normal.Footage.Read(corruption.IsFrozen ? from : index, rgb);
                corruption.Apply(rgb, normal.Footage.Size, SequenceSeverity, seed, index);
            }, cancellation);
            progress(++done / (double)CorruptionSuite.All.Count);
        }
        // Single frames hardly show it: it is no part of the suite.
        kinds[OutlierKinds.FrozenStrips] = Streams(new CorruptionKind("camera", [], [], null, 0, 0, 0, 0, null, null, null, null), null,
            isNamed: false, (index, from, rgb) => OutlierKinds.DrawFrozenStrips(normal.Footage, index, from, rgb), cancellation);
        var mean = new SortedDictionary<string, double>(Enumerable.Range(1, Corruption.Severities).ToDictionary(Text, severity =>
            kinds.Values.Where(kind => kind.Auroc.Count > 0).Average(kind => kind.Auroc[Text(severity)])), StringComparer.Ordinal);
        return new CorruptionFigures(frames, seed, mean, kinds);
    }

    /// <summary>Draws a frame of a stream: the one of an index, of a stream whose trouble began at another.</summary>
    private delegate void Painter(int index, int from, Span<byte> rgb);

    /// <param name="cause">The name that is right; null for <c>unknown</c>.</param>
    /// <param name="isNamed">Whether incidents of it have a cause.</param>
    private CorruptionKind Streams(CorruptionKind kind, string? cause, bool isNamed, Painter paint, CancellationToken cancellation)
    {
        var found = Starts().Select(start => Play(paint, start, cancellation)).ToArray();
        int?[] delays = [.. found.Select(stream => stream.Delay)];
        return kind with
        {
            DetectionDelayFrames = Evaluator.MedianDelay(delays),
            DetectedSequences = delays.Count(delay => delay is not null),
            Sequences = delays.Length,
            FoundWithin15 = delays.Count(delay => delay < Soon),
            StreamCauses = _causes is null || !isNamed ? null
                : CauseFigures.Of(_causes.Expected(cause), [.. found.Select(stream => stream.Cause).OfType<string>()]),
            FoundByOnset = found.Count(stream => stream is { Delay: not null, Test: AlertTest.Onset }),
        };
    }

    private void Measure(Corruption corruption, int severity, int[] chosen, CorruptionKind kind, CancellationToken cancellation)
    {
        double[] combined = new double[chosen.Length];
        float[][] rows = new float[chosen.Length][];
        byte[][] masks = new byte[chosen.Length][];
        string[] named = new string[chosen.Length];
        var inside = new List<double>();
        var outside = new List<double>();
        scorer.Score(
            chosen.Length,
            (i, rgb) =>
            {
                normal.Footage.Read(chosen[i], rgb);
                masks[i] = corruption.Apply(rgb, normal.Footage.Size, severity, seed, chosen[i]);
            },
            _model.Mask,
            (i, batch, slot) =>
            {
                rows[i] = batch.Scores(slot).ToArray();
                combined[i] = _model.Calibration.Combine(rows[i]);
                if (_causes is not null) named[i] = _causes.Name(batch.Profile(slot));
                if (corruption.HasMask) Collect(batch.ErrorMap(slot), masks[i], inside, outside);
            },
            cancellation);
        if (_causes is not null) kind.Causes![Text(severity)] = CauseFigures.Of(_causes.Expected(corruption.Cause), named)!;
        kind.Auroc[Text(severity)] = DetectionMetrics.Auroc(normal.Combined, combined);
        for (int k = 0; k < scorer.Package.Card.Scores.Count; k++)
        {
            string name = scorer.Package.Card.Scores[k];
            if (!kind.ScoreAuroc.TryGetValue(name, out var bySeverity)) kind.ScoreAuroc[name] = bySeverity = [];
            bySeverity[Text(severity)] = DetectionMetrics.Auroc(normal.Column(k), [.. rows.Select(row => (double)row[k])]);
        }
        if (!corruption.HasMask) return;
        kind.PixelAuroc![Text(severity)] = DetectionMetrics.Auroc(outside.ToArray(), inside.ToArray());
        kind.PixelAveragePrecision![Text(severity)] = DetectionMetrics.AveragePrecision(outside.ToArray(), inside.ToArray());
    }

    /// <summary>The error map's value at the pixels that were painted over, and at the others.</summary>
    private void Collect(ReadOnlySpan<float> errorMap, byte[] mask, List<double> inside, List<double> outside)
    {
        var network = scorer.Package.Card.Network;
        for (int y = 0; y < network.Height; y += PixelStep)
        {
            for (int x = 0; x < network.Width; x += PixelStep)
            {
                int pixel = y * network.Width + x;
                if (_model.Mask is { } region && region.Pixels[pixel] == 0) continue;
                double value = errorMap[y * network.ErrorMapHeight / network.Height * network.ErrorMapWidth + x
                    * network.ErrorMapWidth / network.Width];
                (mask[pixel] != 0 ? inside : outside).Add(value);
            }
        }
    }

    /// <summary>Where streams begin: consecutive frames of one drive, evenly spread.</summary>
    private IEnumerable<int> Starts()
    {
        int[] possible = [.. normal.Footage.Drives.Where(drive => drive.Count >= _before + After).SelectMany(drive =>
            Enumerable.Range(drive.First, drive.Count - _before - After + 1))];
        int count = Math.Min(Sequences, possible.Length);
        for (int i = 0; i < count; i++) yield return possible[(int)((long)i * (possible.Length - 1) / Math.Max(1, count - 1))];
    }

    /// <summary>
    /// Corrupted frames before the incident is open, or null, the test that opened it, and what it looks like; an incident that was open
    /// before does not count as found.
    /// </summary>
    private (int? Delay, AlertTest? Test, string? Cause) Play(Painter paint, int start, CancellationToken cancellation)
    {
        var detector = new CameraDetector(camera, scorer.Package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        byte[] pixels = new byte[normal.Footage.Size.Bytes];
        for (int i = 0; i < _before; i++)
        {
            normal.Footage.Read(start + i, pixels);
            detector.Observe(new FrameObservation
            {
                Frame = new FrameRef("", 0, i, ScoredSet.Nanoseconds(i, framesPerSecond)),
                Scores = normal.Scores[start + i],
                ErrorMap = normal.ErrorMaps[start + i],
                Profile = normal.Profiles[start + i],
                Pixels = pixels,
            }, alerts);
        }
        if (alerts.Count > 0) return (null, null, null);
        int? delay = null;
        scorer.Score(
            After,
            (i, rgb) => paint(start + _before + i, start + _before, rgb),
            _model.Mask,
            (i, batch, slot) =>
            {
                if (ScoredSet.Observe(detector, _before + i, ScoredSet.Nanoseconds(_before + i, framesPerSecond), batch, slot, alerts)
                    .IsOutlier) delay ??= i;
            },
            cancellation);
        var opened = alerts.FirstOrDefault(alert => alert.Type == AlertType.Opened);
        return (delay, opened?.Test, opened?.Cause?.Name);
    }

    private static string Text(int severity) => severity.ToString(CultureInfo.InvariantCulture);
}
