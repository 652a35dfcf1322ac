using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>What to evaluate.</summary>
/// <param name="Outliers">Names and inputs.</param>
/// <param name="FramesPerSecond">Null for the frames' own times.</param>
/// <param name="CorruptionFrames">Frames that each corruption is shown on; 0 for no corruptions.</param>
internal sealed record EvaluationRequest(string Model, string[] Normal, IReadOnlyList<(string Name, string Input)> Outliers, string Camera,
    double Level, double? FramesPerSecond, int CorruptionFrames, int Seed, string Command)
{
    /// <summary>How the normal frames are cut: see <see cref="OutlierPipeline.Evaluation.Slices.Kinds"/>.</summary>
    public IReadOnlyList<string> Slices { get; init; } = [];

    /// <summary>Footage that chose designs or settings.</summary>
    public IReadOnlyList<string> Chose { get; init; } = [];

    /// <summary>A package whose slices stand beside, and which says what is rare; null for none.</summary>
    public string? Before { get; init; }
}

/// <summary>Measures a package on footage that it has not seen.</summary>
internal sealed class Evaluator : IDisposable
{
    private static readonly double[] Levels = [0.1, 0.05, 0.01];
    private readonly EvaluationRequest _request;
    private readonly FootageScorer _scorer;
    private readonly List<DecodedFootage> _footage = [];

    public Evaluator(EvaluationRequest request)
    {
        _request = request;
        Package = ModelPackage.Load(request.Model);
        Engine = new InferenceEngine(Package, new InferenceOptions(), NullLogger.Instance);
        _scorer = new FootageScorer(Engine);
    }

    public ModelPackage Package { get; }

    public InferenceEngine Engine { get; }

    public FrameMask? Mask => Package.For(_request.Camera).Mask;

    public ScoredSet Normal { get; private set; } = null!;

    public IReadOnlyList<ScoredSet> Outliers { get; private set; } = [];

    /// <summary>Parts of the normal frames.</summary>
    public IReadOnlyList<Slice> Slices { get; private set; } = [];

    /// <param name="progress">What is being done, and how much of it is.</param>
    public async Task<EvaluationReport> RunAsync(Action<string, double> progress, CancellationToken cancellation)
    {
        await ScoreAsync(progress, cancellation);
        var slices = await SlicesAsync(progress, cancellation);
        var known = await KnownAsync(progress, cancellation);
        var corruptions = _request.CorruptionFrames > 0
            ? new CorruptionRun(Normal, _scorer, _request.Camera, _request.FramesPerSecond ?? ScoredSet.DefaultRate,
            _request.CorruptionFrames, _request.Seed).Run(share => progress("corruptions", share), cancellation)
            : null;
        var second = await SecondJudge.JudgeAsync(Package, _request.Camera, Normal, Outliers, _request.Level, (set, size) =>
            LoadAsync(set.Name, set == Normal ? _request.Normal : [_request.Outliers.First(outlier => outlier.Name == set.Name).Input],
                size, progress, cancellation), progress, cancellation);
        progress("latent space", 0);
        using var decoder = new LatentDecoder(Package);
        var latent = new LatentDiagnostics(Engine, decoder).Measure(Normal.Footage, Mask, _request.Seed);
        progress("latent space", 1);
        var calibration = Package.For(_request.Camera).Calibration;
        var detection = new DetectionOptions();
        var delay = detection.ShortestDelay(calibration);
        var interval = DetectionMetrics.RateInterval([.. Normal.Verdicts.Select(verdict => verdict.PValue <= _request.Level)],
            [.. Normal.Footage.Drives.Select(drive => drive.Count)], _request.Seed);
        return new EvaluationReport
        {
            Model = Package.Card.Name,
            ModelVersion = Package.Card.Version,
            ModelDigest = Package.Digest,
            Command = _request.Command,
            Normal = new NormalFigures(Normal.Footage.Count, Rate(_request.Level), [interval.Low, interval.High], _request.Level,
                new SortedDictionary<string, double>(Levels.ToDictionary(level => level.ToString(CultureInfo.InvariantCulture), Rate)),
                Normal.Incidents, calibration.SmallestPValue, detection.FalseIncidentsPerCameraDay, delay > TimeSpan.Zero
                ? delay.TotalSeconds : null, Normal.IncidentsByTest, OnsetRates()),
            Outliers = new SortedDictionary<string, OutlierFigures>(Outliers.ToDictionary(set => set.Name, Figures),
                StringComparer.Ordinal),
            Drives = [.. Judged(known)],
            Corruptions = corruptions,
            Slices = slices,
            Second = second,
            Latent = latent.Diagnostics,
            KlPerUnit = latent.Information?.KlPerDimension ?? [],
            Information = latent.Information,
        };
    }

    /// <summary>The rows of every set.</summary>
    public ScoreTable Table()
    {
        var table = new ScoreTable(Package.Card);
        foreach (var set in Outliers.Prepend(Normal))
        {
            for (int i = 0; i < set.Footage.Count; i++)
                table.Add($"{set.Name}/{set.Footage.NameOf(i)}", set.Combined[i], set.Scores[i], set.Verdicts[i]);
        }
        return table;
    }

    public void Dispose()
    {
        _scorer.Dispose();
        Engine.Dispose();
        foreach (var footage in _footage) footage.Dispose();
    }

    /// <summary>The median, where a drive without detection counts as infinitely late.</summary>
    public static double? MedianDelay(IEnumerable<int?> delays)
    {
        double[] sorted = [.. delays.Select(delay => delay ?? double.PositiveInfinity).Order()];
        if (sorted.Length == 0) return null;
        double median = Quantiles.Of(sorted, 0.5);
        return double.IsFinite(median) ? median : null;
    }

    private async Task ScoreAsync(Action<string, double> progress, CancellationToken cancellation)
    {
        Normal = await ScoreAsync("normal", _request.Normal, progress, cancellation);
        var outliers = new List<ScoredSet>();
        foreach (var (name, input) in _request.Outliers) outliers.Add(await ScoreAsync(name, [input], progress, cancellation));
        Outliers = outliers;
    }

    private async Task<IReadOnlyList<SliceFigures>?> SlicesAsync(Action<string, double> progress, CancellationToken cancellation)
    {
        if (_request.Slices.Count == 0) return null;
        using var before = _request.Before is { } model ? new Evaluator(_request with { Model = model }) : null;
        if (before is not null) await before.ScoreAsync((what, share) => progress($"before: {what}", share), cancellation);
        var judge = new SliceJudge(_request.Level, _request.Seed);
        Slices = [.. _request.Slices.SelectMany(by =>
            OutlierPipeline.Evaluation.Slices.Cut(by, Normal.Footage, (before ?? this).Normal.Codes,
            _request.Seed))];
        return [.. Slices.Select(slice => judge.Judge(slice, Normal, Combined(this),
            before is null ? null : judge.Judge(slice, before.Normal, Combined(before), null)))];

        static double[] Combined(Evaluator evaluator) => [.. evaluator.Outliers.SelectMany(set => set.Combined)];
    }

    private async Task<ScoredSet> ScoreAsync(string name, string[] inputs, Action<string, double> progress, CancellationToken cancellation)
    {
        var footage = await LoadAsync(name, inputs, Package.Card.Network.Size, progress, cancellation);
        _footage.Add(footage);
        return ScoredSet.Of(name, footage, _scorer, _request.Camera, _request.FramesPerSecond, done =>
            progress($"scoring {name}", (double)done / footage.Count), cancellation);
    }

    private Task<DecodedFootage> LoadAsync(string name, string[] inputs, FrameSize size, Action<string, double> progress,
        CancellationToken cancellation)
    {
        var loader = new FootageLoader
        {
            Camera = _request.Camera.Length > 0 ? _request.Camera : null,
            Progress = (seen, total) => progress($"reading {name}", total is null ? 0 : (double)seen / total.Value),
        };
        return loader.LoadAsync(inputs, size, cancellation);
    }

    /// <summary>What the package was made from, and what chose; null where the package does not say.</summary>
    private async Task<KnownFootage?> KnownAsync(Action<string, double> progress, CancellationToken cancellation)
    {
        var known = KnownFootage.Of(Package);
        if (known is null || _request.Chose.Count == 0) return known;
        var loader = new FootageLoader { Progress = (seen, total) => progress("reading what chose", (double)seen / (total ?? seen)) };
        using var choice = await loader.LoadAsync(_request.Chose, Package.Card.Network.Size, cancellation);
        return known with { Choice = KnownFootage.SetOf(choice) };
    }

    private IEnumerable<JudgedDrive> Judged(KnownFootage? known)
    {
        foreach (var set in Outliers.Prepend(Normal))
        {
            foreach (var drive in set.Footage.Drives)
            {
                var acquaintance = known?.With(set.Footage, drive) ?? Acquaintance.NotKnown;
                int strange = set.Verdicts.Skip(drive.First).Take(drive.Count).Count(verdict => verdict.PValue <= _request.Level);
                string name = KnownFootage.NameOf(set.Footage, drive);
                yield return new JudgedDrive(set.Name, name, drive.Count, Words(acquaintance), strange / (double)drive.Count);
            }
        }
    }

    internal static string Words(Acquaintance acquaintance) => JsonNamingPolicy.KebabCaseLower.ConvertName(acquaintance.ToString());

    private double Rate(double level) => Normal.Verdicts.Count(verdict => verdict.PValue <= level) / (double)Normal.Verdicts.Length;

    private SortedDictionary<string, double>? OnsetRates()
    {
        double[] onsets = [.. Normal.Verdicts.Select(verdict => verdict.OnsetPValue).OfType<double>()];
        return onsets.Length == 0 ? null : new(Levels.ToDictionary(level => level.ToString(CultureInfo.InvariantCulture), level =>
            onsets.Count(p => p <= level) / (double)onsets.Length));
    }

    private OutlierFigures Figures(ScoredSet set)
    {
        var (low, high) = DetectionMetrics.AurocInterval(Normal.Combined, set.Combined, _request.Seed);
        var delays = set.Delays().ToArray();
        var scores = new SortedDictionary<string, ScoreFigures>(StringComparer.Ordinal);
        for (int k = 0; k < Package.Card.Scores.Count; k++) scores[Package.Card.Scores[k]] = Of(Normal.Column(k), set.Column(k));
        var combined = Of(Normal.Combined, set.Combined);
        return new OutlierFigures(set.Footage.Count, combined.Auroc, [low, high], combined.Aupr, combined.Fpr95, MedianDelay(delays),
            delays.Count(delay => delay is not null), delays.Length, scores, Causes(set), CauseFigures.Of(null, set.IncidentCauses));
    }

    /// <summary>How the frames of a set of outliers are named.</summary>
    private CauseFigures? Causes(ScoredSet set)
    {
        if (Package.Causes is not { } causes) return null;
        var judge = new CauseJudge(causes, Normal.Profiles);
        return CauseFigures.Of(null, [.. set.Profiles.Select(profile => judge.Name(profile))]);
    }

    private static ScoreFigures Of(double[] normal, double[] outlier) =>
        new(DetectionMetrics.Auroc(normal, outlier), DetectionMetrics.AveragePrecision(normal, outlier),
        DetectionMetrics.FalsePositiveRate(normal, outlier));
}
