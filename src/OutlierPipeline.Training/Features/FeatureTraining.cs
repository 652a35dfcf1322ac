using System.Globalization;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Networks;
using Spectre.Console;

namespace OutlierPipeline.Training.Features;

/// <summary>One training of a feature VAE: the backbone's values of all frames, the network, its scores, and what draws codes.</summary>
internal sealed class FeatureTraining : IDisposable
{
    /// <summary>Below this number of cells, twice as many passes.</summary>
    private const int FewCells = 50_000;

    /// <summary>Of fewer frames a network says nothing of others.</summary>
    private const int MinLeftOut = 20;

    private readonly Backbone _backbone;
    private readonly FeatureNetwork _network;
    private readonly DecodedFootage _footage;
    private readonly FrameMask? _mask;
    private readonly int _seed;
    private readonly int _threads;
    private readonly byte[] _fill;
    private readonly FeatureFootage _features;
    private readonly bool _ownsFeatures;
    private readonly TrainingSettings _settings;
    private readonly string _checkpoint;
    private readonly string _origin;
    private readonly int[] _trains;
    private readonly int[] _heldBack;
    private double[]? _weights;

    /// <param name="latent">Dimensions of a frame's code: mean and deviation of those of its cells, so an even number.</param>
    /// <param name="heldBack">Share of each drive, its end, that only measures.</param>
    /// <param name="features">What the backbone says of the footage's frames without a mask, where that is known already.</param>
    public FeatureTraining(Backbone backbone, DecodedFootage footage, FrameMask? mask, TrainingSettings settings, int latent, int threads,
        double heldBack, string checkpoint, CancellationToken cancellation, FeatureFootage? features = null)
    {
        if (latent < 2 || latent % 2 != 0)
            throw new TrainingException($"--latent {latent}: a frame's code is mean and deviation of its cells' codes, an even number");
        _backbone = backbone;
        _footage = footage;
        _mask = mask;
        _seed = settings.Seed;
        _threads = threads;
        _settings = settings;
        _checkpoint = checkpoint;
        _network = new FeatureNetwork(footage.Size, backbone.Channels, latent / 2, settings.Architecture.IsVariational);
        _fill = [.. Training.Trainer.MeanPicture(footage).Select(value => (byte)Math.Round(value))];
        _ownsFeatures = features is null;
        if (features is null)
        {
            using var runner = new FeatureRunner(backbone, footage.Size, mask, _fill, threads);
            features = Compute(runner, cancellation);
        }
        _features = features;
        int[] all = [.. Enumerable.Range(0, footage.Count)];
        bool[] isHeldBack = new bool[footage.Count];
        foreach (var drive in footage.Drives)
            Array.Fill(isHeldBack, true, drive.First + (int)Math.Round((1 - heldBack) * drive.Count),
                drive.Count - (int)Math.Round((1 - heldBack) * drive.Count));
        _origin = $"{footage.Digest} {backbone.Card.Name} {backbone.Card.Digest} " +
            $"{(mask is null ? "" : ModelPackage.DigestOf(mask.Pixels))}";
        (_trains, _heldBack) = ([.. all.Where(i => !isHeldBack[i])], [.. all.Where(i => isHeldBack[i])]);
        Trainer = new FeatureTrainer(_network, _features, _trains, _heldBack, Counted(), settings, checkpoint, _origin);
    }

    public FeatureTrainer Trainer { get; private set; }

    /// <summary>What it trains on.</summary>
    public DecodedFootage Footage => _footage;

    /// <summary>The mean picture, which stands where the mask leaves pixels out.</summary>
    public byte[] Fill => _fill;

    /// <summary>Steps of training what draws codes.</summary>
    public int PixelSteps { get; init; } = PixelDecoder.DefaultSteps;

    /// <summary>The settings that a request leaves open.</summary>
    public static TrainingSettings Settings(TrainingRequest request, int frames)
    {
        var settings = Settings(request.Architecture, request.Width, frames, request.Seed);
        int epochs = request.Epochs > 0 ? request.Epochs : settings.Epochs;
        return settings with
        {
            Epochs = epochs,
            IsDebiased = request.Debias,
            DebiasShare = request.DebiasShare ?? settings.DebiasShare,
            Batch = request.Batch > 0 ? request.Batch : settings.Batch,
            Beta = request.Beta ?? settings.Beta,
            LearningRate = request.LearningRate ?? settings.LearningRate,
            Patience = epochs,
        };
    }

    /// <summary>The settings that are used unless others are asked for.</summary>
    /// <param name="width">Pixels across.</param>
    /// <param name="frames">That train.</param>
    public static TrainingSettings Settings(Architecture architecture, int width, int frames, int seed)
    {
        int cells = frames * (width / FrameMask.CellSide) * (width / FrameMask.CellSide) / 2;
        int epochs = cells < FewCells ? 30 : 15;
        return new TrainingSettings
        {
            Architecture = architecture,
            Epochs = epochs,
            Batch = 512,
            Seed = seed,
            Beta = architecture.Beta,
            FreeBits = 0,
            LearningRate = 2e-3,
            Patience = epochs,
        };
    }

    /// <summary>
    /// Begins again, with the same first weights, on frames drawn inversely to the density of the codes that the trained network gives
    /// them: what is rare in the footage is no longer rare in the training, nor where scores are fitted.
    /// </summary>
    /// <param name="resume">Whether to go on from a checkpoint of this second training, if there is one.</param>
    /// <exception cref="TrainingException">The checkpoint is of another run.</exception>
    public void Debias(bool resume)
    {
        var exporter = new FeatureExporter(_backbone, _network, Trainer.Weights, _fill, _mask);
        float[][] codes = exporter.Codes(_features, [.. Enumerable.Range(0, _footage.Count)]);
        var histogram = new LatentHistogram(codes);
        _weights = LatentHistogram.Weights([.. codes.Select(code => histogram.Rarity(code))], _settings.DebiasShare);
        Trainer.Dispose();
        string checkpoint = _checkpoint + "-debiased";
        Trainer = new FeatureTrainer(_network, _features, Drawn(_trains), _heldBack, Counted(), _settings, checkpoint,
            string.Create(CultureInfo.InvariantCulture, $"{_origin} debiased {_settings.DebiasShare}"));
        if (resume && File.Exists(checkpoint)) Trainer.Resume();
    }

    /// <summary>Fits the scores to all training frames and trains what draws codes.</summary>
    /// <returns>The scores of each frame where its block of time was left out.</returns>
    public (FeatureExporter Exporter, float[][] CrossFitted) Finish(CancellationToken cancellation)
    {
        var exporter = new FeatureExporter(_backbone, _network, Trainer.Weights, _fill, _mask);
        var (crossFitted, codes, frames) = exporter.Fit(_features, Drawn([.. Enumerable.Range(0, _footage.Count)]));
        exporter.TrainPixels(_footage, codes, frames, PixelSteps, _seed, cancellation);
        return (exporter, crossFitted);
    }

    /// <summary>Learns the causes that alerts name, from training frames that are corrupted: a minute at most.</summary>
    /// <inheritdoc cref="CauseLearner.Learn"/>
    public void LearnCauses(FeatureExporter exporter, CancellationToken cancellation, int maxFrames = CauseLearner.DefaultFrames,
        string? without = null)
    {
        using var runner = new FeatureRunner(_backbone, _footage.Size, _mask, _fill, _threads);
        exporter.Causes = CauseLearner.Learn(_footage, exporter, runner, _seed, cancellation, maxFrames, without);
    }

    /// <summary>
    /// Trains a network on each half of the footage and scores the other half by it: what drives score that were left out. As long again as
    /// the training.
    /// </summary>
    /// <param name="progress">What is being done.</param>
    /// <returns>Null where a half has too few frames to train on.</returns>
    public LeftOut? LeaveOut(Action<string> progress, CancellationToken cancellation)
    {
        var (folds, isByDrive) = LeftOut.FoldsOf(_footage.Drives);
        int[][] frames = [.. folds.Select(fold => fold.SelectMany(span => Enumerable.Range(span.First, span.Count)).ToArray())];
        if (frames.Any(fold => fold.Length < MinLeftOut)) return null;
        // As long as the training went, which `--finish` may have ended early.
        var settings = _settings with { Epochs = Trainer.Epochs, Patience = Trainer.Epochs };
        var rows = new List<float[]>();
        for (int fold = 0; fold < folds.Length; fold++)
        {
            progress("left out: " + (isByDrive ? string.Join(", ", folds[fold].Select(span => span.Name)) : $"half {fold + 1} of 2"));
            int[] fitted = Drawn(frames[1 - fold]);
            using var trainer = new FeatureTrainer(_network, _features, fitted, [], Counted(), settings,
                FormattableString.Invariant($"{_checkpoint}-{fold}"), FormattableString.Invariant($"fold {fold}"));
            if (!trainer.Run(_ => { }, cancellation)) throw new OperationCanceledException(cancellation);
            var exporter = new FeatureExporter(_backbone, _network, trainer.Weights, _fill, _mask);
            rows.AddRange(exporter.ScoreOthers(_features, fitted, frames[fold]));
        }
        return new LeftOut([.. rows], [.. folds.SelectMany(fold => fold).Select(span => span.Count)], isByDrive);
    }

    public void Dispose()
    {
        Trainer.Dispose();
        if (_ownsFeatures) _features.Dispose();
    }

    /// <summary>Frames as they train: themselves, or drawn from them, some repeatedly.</summary>
    private int[] Drawn(int[] frames) => _weights is null ? frames
        : [.. LatentHistogram.Draw([.. frames.Select(i => _weights[i])], _seed).Select(i => frames[i])];

    private FeatureFootage Compute(FeatureRunner runner, CancellationToken cancellation)
    {
        if (!AnsiConsole.Profile.Capabilities.Interactive)
        {
            Console.WriteLine($"{_backbone.Card.Name} looks at {_footage.Count} frames …");
            return FeatureFootage.Of(_footage, runner, _network.Cells, _backbone.Channels, _ => { }, cancellation);
        }
        return AnsiConsole.Progress().AutoClear(false).Columns(new TaskDescriptionColumn(), new ProgressBarColumn(),
            new PercentageColumn(), new RemainingTimeColumn()).Start(context =>
        {
            var task = context.AddTask("backbone", maxValue: _footage.Count);
            return FeatureFootage.Of(_footage, runner, _network.Cells, _backbone.Channels, done => task.Value = done, cancellation);
        });
    }

    /// <summary>Which cells count: those of which the mask leaves every pixel.</summary>
    private bool[] Counted()
    {
        bool[] counted = new bool[_network.Cells];
        Array.Fill(counted, true);
        if (_mask is null) return counted;
        var pixels = _mask.Pixels;
        for (int i = 0; i < pixels.Length; i++)
        {
            int cell = i / _footage.Size.Width / FrameMask.CellSide * _network.Columns + i % _footage.Size.Width / FrameMask.CellSide;
            if (pixels[i] == 0) counted[cell] = false;
        }
        return counted;
    }
}
