using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Judging;

/// <summary>What to judge.</summary>
/// <param name="Normal">Footage whose drives are judged, each by a model of the others.</param>
/// <param name="Train">Footage that trains every model and is not judged.</param>
/// <param name="Outliers">Names and inputs of real outliers.</param>
/// <param name="Frames">Normal frames that each kind is drawn over at most.</param>
/// <param name="HasBaselines">Whether detectors of the literature are trained beside ours.</param>
internal sealed record JudgeRequest(string[] Normal, string[] Train, IReadOnlyList<(string Name, string Input)> Outliers, string Directory,
    int Frames, int Seed, int Threads, bool HasBaselines, string Command)
{
    /// <summary>Pixels across of what the models see.</summary>
    public int Width { get; init; } = 160;
}

/// <summary>
/// For every drive a package is trained on the others, and judges it: so each figure is of a drive that trained, calibrated and chose
/// nothing of the model. The backbone looks at every frame once.
/// </summary>
internal sealed class LeaveOneDriveOut(JudgeRequest request)
{
    private const int Latent = 32;
    private const double HeldBack = 0.1;

    /// <summary>Share of each training drive, its end, that calibrates; more where that would be too few frames.</summary>
    private const double Calibrates = 0.15;

    private const double Level = 0.05;

    public async Task<DriveReport> RunAsync(Action<string> say, CancellationToken cancellation)
    {
        LibTorch.Prepare(Environment.GetEnvironmentVariable("LIBTORCH_DIR"));
        if (request.Threads > 0) set_num_threads(request.Threads);
        var loader = new FootageLoader();
        string[] inputs = [.. request.Normal, .. request.Train];
        using var all = await loader.LoadAsync(inputs, (width, height) => FeatureNetwork.SizeFor(request.Width, width, height),
            cancellation);
        var judged = all.Drives.Where(drive => inputs.Length == 1
            || request.Normal.Any(input => drive.Name.StartsWith(input + ":", StringComparison.Ordinal))).ToArray();
        if (judged.Length == all.Drives.Count && judged.Length < 2)
            throw new FootageException("one drive cannot be left out of itself: give more drives, or --train another part of it");
        var outliers = new List<(string Name, DecodedFootage Footage)>();
        var backbone = Backbone.ResNet18();
        using var runner = new FeatureRunner(backbone, all.Size, null, new byte[all.Size.Bytes], request.Threads);
        int cells = all.Size.Height / FrameMask.CellSide * (all.Size.Width / FrameMask.CellSide);
        say($"{backbone.Card.Name} looks at {all.Count} frames …");
        using var features = FeatureFootage.Of(all, runner, cells, backbone.Channels, _ => { }, cancellation);
        try
        {
            foreach (var (name, input) in request.Outliers)
                outliers.Add((name, await loader.LoadAsync([input], all.Size, cancellation)));
            var trials = new List<(JudgedDrive Drive, double[][][] Areas)>();
            IReadOnlyList<string> columns = [];
            foreach (var drive in judged)
            {
                say($"{drive.Name}: training on the other drives …");
                var (result, areas, names) = Judge(all, features, drive, backbone, runner, outliers, say, cancellation);
                trials.Add((result, areas));
                columns = names;
            }
            return new DriveReport(request.Command, request.Seed, request.Frames, columns, [.. trials.Select(trial => trial.Drive)],
                Mean(trials, columns));
        }
        finally
        {
            foreach (var (_, footage) in outliers) footage.Dispose();
        }
    }

    private (JudgedDrive Drive, double[][][] Areas, IReadOnlyList<string> Columns) Judge(DecodedFootage all, FeatureFootage features,
        DriveSpan drive, Backbone backbone, FeatureRunner runner, List<(string Name, DecodedFootage Footage)> outliers,
        Action<string> say, CancellationToken cancellation)
    {
        var own = all.Where(i => i >= drive.First && i < drive.First + drive.Count);
        var others = all.Where(i => i < drive.First || i >= drive.First + drive.Count);
        double share = Math.Max(Calibrates, 1.1 * Calibration.MinFrames / others.Count);
        var blocks = others.SplitByTime(1 - share, share);
        var training = blocks[0];
        var known = Enumerable.Range(0, all.Count).ToDictionary(all.NameOf);
        var trained = features.Of(Enumerable.Range(0, training.Count).Select(i => known[training.NameOf(i)]));
        var package = Train(new PackageBuilder.Blocks(training, blocks[1], training.Where(_ => false)), trained, drive, backbone,
            cancellation);
        using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        using var padim = request.HasBaselines ? Padim.Fit(trained, request.Seed) : null;
        var detectors = new List<FrameDetector> { FrameDetector.Of(scorer) };
        if (padim is not null)
        {
            say($"{drive.Name}: training the baselines …");
            detectors.Add(padim.Detector(runner, all.Size.Bytes));
            detectors.Add(PixelBaseline.SelfOracle(training, cancellation));
            detectors.Add(PixelBaseline.Icad(training, cancellation));
        }
        say($"{drive.Name}: judging …");
        var trial = KindTrial.Run(own, outliers, OutlierKinds.All, detectors, request.Frames, request.Seed, cancellation);
        var calibration = package.Default.Calibration;
        bool[] strange = [.. trial.Normal(0).Select(combined => calibration.PValue(combined) <= Level)];
        var (low, high) = DetectionMetrics.RateInterval(strange, [own.Count], request.Seed);
        double[][][] areas = [.. Enumerable.Range(0, trial.Columns.Count).Select(column =>
            WithMeans(trial.Kinds, trial.Areas(column, request.Seed)))];
        var kinds = WithMeans(trial.Kinds);
        string acquaintance = JsonNamingPolicy.KebabCaseLower.ConvertName(KnownFootage.Of(package)!.With(own, own.Drives[0]).ToString());
        var result = new JudgedDrive(KnownFootage.NameOf(all, drive), own.Count, acquaintance,
            [.. others.Drives.Select(other => KnownFootage.NameOf(others, other)).Distinct()], training.Count,
            Math.Round(strange.Count(isStrange => isStrange) / (double)own.Count, 4), [Math.Round(low, 4), Math.Round(high, 4)],
            Figures(kinds, areas, trial.Columns));
        return (result, areas, trial.Columns);
    }

    /// <summary>Trains and writes the package without one drive, as <c>outlier train</c> does by default.</summary>
    private ModelPackage Train(PackageBuilder.Blocks blocks, FeatureFootage features, DriveSpan drive, Backbone backbone,
        CancellationToken cancellation)
    {
        var architecture = Architecture.Named(Architecture.Default);
        var settings = FeatureTraining.Settings(architecture, request.Width, blocks.Training.Count, request.Seed);
        string name = "without-" + new string([.. drive.Name.Select(character => char.IsAsciiLetterOrDigit(character) ? character : '-')])
            .Trim('-');
        string directory = Path.Combine(request.Directory, name);
        using var training = new FeatureTraining(backbone, blocks.Training, null, settings, Latent, request.Threads, HeldBack,
            Path.Combine(directory + ".training", "checkpoint"), cancellation, features);
        if (!training.Trainer.Run(_ => { }, cancellation)) throw new OperationCanceledException(cancellation);
        var (exporter, crossFitted) = training.Finish(cancellation);
        var description = new PackageBuilder.Description("1.0.0", $"Judges {drive.Name}, which it has not seen.", "not stated",
            "not stated", request.Command, "cpu");
        var package = new PackageBuilder(settings, exporter, null).Write(directory, description, blocks, crossFitted,
            training.LeaveOut(_ => { }, cancellation), null, training.Trainer.Figures, training.Trainer.Epochs, 0, TimeSpan.Zero,
            cancellation);
        System.IO.Directory.Delete(directory + ".training", recursive: true);
        return package;
    }

    /// <summary>Of each group, behind its kinds, the mean.</summary>
    private static (string Group, string Kind)[] WithMeans(IReadOnlyList<KindScores> kinds) =>
    [
        .. kinds.Select(kind => (kind.Group, kind.Name)),
        .. kinds.Select(kind => kind.Group).Distinct().Where(group => group != "real").Select(group => (group, "mean")),
    ];

    private static double[][] WithMeans(IReadOnlyList<KindScores> kinds, double[][] areas) =>
    [
        .. areas,
        .. kinds.Select(kind => kind.Group).Distinct().Where(group => group != "real").Select(group =>
            Average([.. areas.Where((_, k) => kinds[k].Group == group)])),
    ];

    private static KindFigures[] Figures((string Group, string Kind)[] kinds, double[][][] areas, IReadOnlyList<string> columns) =>
        [.. kinds.Select((kind, k) => new KindFigures(kind.Group, kind.Kind, columns.Select((column, c) => (column, c)).ToDictionary(
            pair => pair.column, pair => Area.Of(areas[pair.c][k]))))];

    /// <summary>Over the drives of enough frames, replicate by replicate; over all where none has.</summary>
    private static KindFigures[] Mean(List<(JudgedDrive Drive, double[][][] Areas)> trials, IReadOnlyList<string> columns)
    {
        var binding = trials.Where(trial => trial.Drive.Frames >= DriveReport.MinFrames).ToList();
        if (binding.Count == 0) binding = trials;
        var kinds = trials[0].Drive.Kinds.Select(kind => (kind.Group, kind.Kind)).ToArray();
        double[][][] areas = [.. columns.Select((_, c) => kinds.Select((_, k) =>
            Average([.. binding.Select(trial => trial.Areas[c][k])])).ToArray())];
        return Figures(kinds, areas, columns);
    }

    private static double[] Average(double[][] rows) => [.. Enumerable.Range(0, rows[0].Length).Select(r => rows.Average(row => row[r]))];
}
