using System.Diagnostics;
using System.Globalization;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Paired;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>What the command line asks for; zeros and nulls are chosen by the footage and the device.</summary>
internal sealed record TrainingRequest
{
    public required string[] Frames { get; init; }

    public required string[] Calibration { get; init; }

    /// <summary>Of each drive: training, calibration, test.</summary>
    public required double[] Shares { get; init; }

    /// <summary>Of the footage; null for the frames' own times.</summary>
    public required double? FramesPerSecond { get; init; }

    public required string? Mask { get; init; }

    public required string Directory { get; init; }

    public required Architecture Architecture { get; init; }

    public required FrameSize? Size { get; init; }

    /// <summary>Pixels across of what the feature architectures see.</summary>
    public required int Width { get; init; }

    /// <summary>Stages of ResNet18 that are read, unless there is a backbone of the user's own.</summary>
    public required int Stages { get; init; }

    public required string? Backbone { get; init; }

    public required string[] BackboneOutputs { get; init; }

    public required string BackboneLicence { get; init; }

    public required int Latent { get; init; }

    public required int Epochs { get; init; }

    public required int Patience { get; init; }

    public required int Batch { get; init; }

    public required double? LearningRate { get; init; }

    public required double? Beta { get; init; }

    /// <summary>Nats a frame; 0 without a capacity.</summary>
    public required double Capacity { get; init; }

    public required double FreeBits { get; init; }

    public required int Seed { get; init; }

    public required string Device { get; init; }

    public required string Precision { get; init; }

    public required int Threads { get; init; }

    public required string? LibTorch { get; init; }

    /// <summary>Whether to train a second time, on frames drawn inversely to the density of their codes.</summary>
    public required bool Debias { get; init; }

    /// <summary>See <see cref="TrainingSettings.DebiasShare"/>; null for the default.</summary>
    public double? DebiasShare { get; init; }

    /// <summary>What a training of pairs takes; null for another.</summary>
    public required PairedRequest? Pairs { get; init; }

    public required bool Resume { get; init; }

    public required bool Finish { get; init; }

    public required string Description { get; init; }

    public required string Source { get; init; }

    public required string Licence { get; init; }

    public required string Version { get; init; }

    public required string Command { get; init; }
}

/// <summary>One training from footage to package.</summary>
internal sealed class TrainingRun(TrainingRequest request)
{
    private const int MinTraining = 50;

    /// <summary>Share of the training block, the end of each drive's, that only chooses the epoch.</summary>
    private const double Validation = 0.1;

    /// <summary>Frames that a run looks at, all epochs together, for small footage; large footage is looked at five times.</summary>
    private const int CpuBudget = 60_000;

    private const int GpuBudget = 600_000;

    private const int GanPixels = 64 * 128;

    /// <summary>Weight of what the code's divergence is off its capacity, as in Burgess et al. 2018.</summary>
    private const double CapacityBeta = 1000;

    private readonly string _checkpoints = request.Directory + ".training";

    public async Task<int> RunAsync(CancellationToken cancellation)
    {
        long begun = Stopwatch.GetTimestamp();
        OutputPath.CheckDirectory(request.Directory);
        LibTorch.Prepare(request.LibTorch);
        if (request.Architecture.IsAdversarial) LibTorch.LeaveOutOneDnn(request.LibTorch);
        var device = TrainingDevice.Choose(request.Device);
        if (request.Architecture.IsOfFeatures && device.type == DeviceType.CUDA)
        {
            if (request.Device == "cuda")
                throw new TrainingException($"--device cuda: {request.Architecture.Name} trains on the CPU, in a minute");
            device = CPU;
        }
        if (request.Threads > 0) set_num_threads(request.Threads);
        if (request.Pairs is { } pairs) return await new PairedRun(request, pairs, this, _checkpoints).RunAsync(begun, cancellation);
        using var all = await LoadAsync("frames", request.Frames, size: null, cancellation);
        using var apart = request.Calibration.Length > 0
            ? await LoadAsync("calibration", request.Calibration, all.Size, cancellation)
            : null;
        var mask = request.Mask is null ? null : FrameMask.Load(request.Mask, all.Size);
        var blocks = Split(all, apart);
        var settings = Settings(blocks.Training.Count, device);
        string region = mask is null ? "" : $", {mask.Share:P0} of the picture counts";
        string apartFrom = request.Architecture.OnlyDraws ? "" : $" (the last {Validation:P0} of each drive are held back from it)";
        AnsiConsole.WriteLine($"{blocks.Training.Count} frames train{apartFrom}, {blocks.Calibration.Count} calibrate, " +
            $"{blocks.Test.Count} test, at {all.Size}{region}.");
        AnsiConsole.WriteLine(
            $"{settings.Architecture.Name} on {device.type.ToString().ToLowerInvariant()}, at most {settings.Epochs} epochs " +
            $"in batches of {settings.Batch}, seed {settings.Seed}.");
        if (request.Architecture.OnlyDraws) return await TrainGanAsync(blocks.Training, settings, device, begun, cancellation);
        var trained = request.Architecture.IsOfFeatures
            ? TrainFeatures(blocks, mask, settings, cancellation)
            : TrainPixels(blocks, mask, settings, device, cancellation);
        if (trained is not { } result) return await InterruptedAsync();
        AnsiConsole.WriteLine("Calibrating, writing the package …");
        var package = new PackageBuilder(settings, result.Exporter, mask) { Losses = result.Losses }.Write(request.Directory,
            Describe(device), blocks, result.CrossFitted, result.LeftOut, request.FramesPerSecond, result.Figures, result.Epochs,
            result.FramesPerSecond, Stopwatch.GetElapsedTime(begun), cancellation);
        Directory.Delete(_checkpoints, recursive: true);
        return Written(package.Card, begun, "samples and reconstructions");
    }

    internal int Written(ModelCard card, long begun, string pictures)
    {
        foreach (var (name, value) in card.Quality)
            AnsiConsole.MarkupLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-34} {value}"));
        AnsiConsole.WriteLine($"{request.Directory} is written ({Stopwatch.GetElapsedTime(begun).TotalSeconds:0} s). " +
            $"Its {pictures} are in preview/.");
        return 0;
    }

    internal async Task<int> InterruptedAsync()
    {
        await Console.Error.WriteLineAsync($"interrupted; the checkpoint is in {_checkpoints}: the same command with --resume goes " +
            $"on, with --resume --finish it writes the package of the best epoch so far");
        return 130;
    }

    internal PackageBuilder.Description Describe(Device device) => new(request.Version, request.Description, request.Licence,
        request.Source, request.Command, device.type.ToString().ToLowerInvariant());

    private async Task<int> TrainGanAsync(DecodedFootage footage, TrainingSettings settings, Device device, long begun,
        CancellationToken cancellation)
    {
        var generator = new PictureGenerator(footage.Size, request.Latent);
        using var trainer = new GanTrainer(generator, footage, settings, Path.Combine(_checkpoints, "checkpoint"), device);
        if (request.Resume) trainer.Resume();
        double rate = 0;
        if (!request.Finish && !Show(trainer.Run, settings, progress => rate = progress.FramesPerSecond, cancellation))
            return await InterruptedAsync();
        if (trainer.Epochs == 0) throw new TrainingException($"no epoch has ended yet: there is nothing to write ({_checkpoints})");
        var card = new GanPackage(generator, trainer, settings).Write(request.Directory, Describe(device), footage, rate,
            Stopwatch.GetElapsedTime(begun));
        Directory.Delete(_checkpoints, recursive: true);
        return Written(card, begun, "samples and interpolations");
    }

    /// <summary>What was trained; null if it was interrupted.</summary>
    private Trained? TrainPixels(PackageBuilder.Blocks blocks, FrameMask? mask, TrainingSettings settings, Device device,
        CancellationToken cancellation)
    {
        var network = new PatchNetwork(blocks.Training.Size, request.Latent, request.Architecture.IsVariational);
        var parts = blocks.Training.SplitByTime(1 - Validation, Validation);
        if (settings.Architecture.IsAdversarial) return TrainAgainstCritic(network, parts, blocks, mask, settings, device, cancellation);
        using var trainer = new Trainer(network, parts[0], parts[1], mask, settings, Path.Combine(_checkpoints, "checkpoint"), device);
        if (request.Resume) trainer.Resume();
        double rate = 0;
        if (!request.Finish && !Show(trainer.Run, settings, progress => rate = progress.FramesPerSecond, cancellation)) return null;
        if (trainer.BestEpoch == 0) throw new TrainingException($"no epoch has ended yet: there is nothing to write ({_checkpoints})");
        if (trainer.Epochs < settings.Epochs)
            AnsiConsole.MarkupLineInterpolated(
                $"Ended after epoch {trainer.Epochs}: the validation loss was best in epoch {trainer.BestEpoch}, whose weights are kept.");
        AnsiConsole.WriteLine("Fitting densities …");
        var exporter = new ModelExporter(network, trainer.Weights, mask);
        return new Trained(exporter, exporter.FitScores(blocks.Training), null, trainer.Figures, trainer.BestEpoch, rate);
    }

    /// <inheritdoc cref="TrainPixels"/>
    private Trained? TrainAgainstCritic(PatchNetwork network, DecodedFootage[] parts, PackageBuilder.Blocks blocks,
        FrameMask? mask, TrainingSettings settings, Device device, CancellationToken cancellation)
    {
        using var trainer = new VaeGanTrainer(network, parts[0], parts[1], mask, settings, Path.Combine(_checkpoints, "checkpoint"),
            device);
        if (request.Resume) trainer.Resume();
        double rate = 0;
        if (!request.Finish && !Show(trainer.Run, settings, progress => rate = progress.FramesPerSecond, cancellation)) return null;
        if (trainer.Epochs == 0) throw new TrainingException($"no epoch has ended yet: there is nothing to write ({_checkpoints})");
        AnsiConsole.WriteLine("Fitting densities …");
        var exporter = new ModelExporter(network, trainer.AllWeights, mask, new Critic(network.Size));
        return new Trained(exporter, exporter.FitScores(blocks.Training), null, trainer.Judge(), trainer.Epochs, rate)
        {
            Losses = trainer.Losses
        };
    }

    /// <inheritdoc cref="TrainPixels"/>
    private Trained? TrainFeatures(PackageBuilder.Blocks blocks, FrameMask? mask, TrainingSettings settings, CancellationToken cancellation)
    {
        var backbone = request.Backbone is { } file
            ? Backbone.Load(file, request.BackboneOutputs, blocks.Training.Size, request.BackboneLicence)
            : Backbone.ResNet18(request.Stages);
        using var training = new FeatureTraining(backbone, blocks.Training, mask, settings, request.Latent, request.Threads, Validation,
            Path.Combine(_checkpoints, "checkpoint"), cancellation);
        if (request.Resume) training.Trainer.Resume();
        double rate = 0;
        if (!request.Finish && !Show(training.Trainer.Run, settings, progress => rate = progress.FramesPerSecond, cancellation))
            return null;
        if (request.Debias && training.Trainer.Epochs > 0)
        {
            AnsiConsole.WriteLine("Training again on frames drawn inversely to the density of their codes …");
            training.Debias(request.Resume);
            if (!request.Finish && !Show(training.Trainer.Run, settings, progress => rate = progress.FramesPerSecond, cancellation))
                return null;
        }
        if (training.Trainer.Epochs == 0)
            throw new TrainingException($"no epoch has ended yet{(request.Debias ? " of the debiased training" : "")}: there is nothing " +
                $"to write ({_checkpoints})");
        AnsiConsole.WriteLine("Fitting densities, training what draws codes …");
        var (exporter, crossFitted) = training.Finish(cancellation);
        AnsiConsole.WriteLine("Learning what causes look like …");
        training.LearnCauses(exporter, cancellation);
        AnsiConsole.WriteLine("Training again without each half of the footage, for what other drives score …");
        var leftOut = training.LeaveOut(what => AnsiConsole.WriteLine($"  {what}"), cancellation);
        // Frames that were drawn repeatedly must not say how far scores spread.
        if (request.Debias) crossFitted = leftOut?.Rows ?? [];
        return new Trained(exporter, crossFitted, leftOut, training.Trainer.Figures, training.Trainer.Epochs, rate);
    }

    private Task<DecodedFootage> LoadAsync(string what, string[] inputs, FrameSize? size, CancellationToken cancellation)
    {
        var loader = new FootageLoader();
        return loader.LoadAsync(inputs, (width, height) =>
            size ?? request.Size ?? (request.Architecture.IsOfFeatures
            ? FeatureNetwork.SizeFor(request.Width, width, height)
            : request.Architecture.IsAdversarial ? PatchNetwork.SizeFor(width, height, GanPixels)
            : PatchNetwork.SizeFor(width, height)), cancellation);
    }

    private PackageBuilder.Blocks Split(DecodedFootage all, DecodedFootage? apart)
    {
        var blocks = all.SplitByTime(request.Shares);
        if (apart is not null && apart.FirstSharedWith(all) is { } twice)
            throw new FootageException($"{twice} is in --frames and in --calibration: what trains must not calibrate");
        var split = new PackageBuilder.Blocks(blocks[0], apart ?? blocks[1], blocks[2]);
        if (split.Training.Count < MinTraining) throw new FootageException($"{split.Training.Count} frames are too few to train on: at " +
            $"least {MinTraining} are needed{(split.Training.Count < all.Count ? $" ({all.Count} were read; see --split)" : "")}");
        if (!request.Architecture.OnlyDraws && split.Calibration.Count < Calibration.MinFrames)
            throw new FootageException($"{split.Calibration.Count} frames are too few " +
            $"to calibrate with: at least {Calibration.MinFrames} are needed ({all.Count} were read; see --split)");
        return split;
    }

    private TrainingSettings Settings(int frames, Device device)
    {
        if (request.Architecture.IsOfFeatures) return FeatureTraining.Settings(request, frames);
        bool isGpu = device.type == DeviceType.CUDA;
        int epochs = request.Epochs > 0 ? request.Epochs
            : request.Architecture.IsAdversarial ? TrainingTime.Epochs(frames,
                request.Architecture.OnlyDraws ? GanTrainer.FrameCost : VaeGanTrainer.FrameCost, isGpu)
            : Math.Clamp((isGpu ? GpuBudget : CpuBudget) / frames, 5, 200);
        return new TrainingSettings
        {
            Architecture = request.Architecture,
            Epochs = epochs,
            Batch = request.Batch > 0 ? request.Batch : request.Architecture.IsAdversarial ? 16
                : isGpu && frames >= 5000 ? 256 : frames < 1000 ? 16 : 32,
            Seed = request.Seed,
            Beta = request.Beta ?? (request.Capacity > 0 ? CapacityBeta : request.Architecture.Beta),
            Capacity = request.Capacity,
            FreeBits = request.FreeBits,
            LearningRate = request.LearningRate ?? (request.Architecture.IsAdversarial ? 5e-4 : 1e-3),
            Patience = request.Patience > 0 ? request.Patience : Math.Max(10, epochs / 4),
            IsMixedPrecision = request.Precision == "bfloat16" || request.Precision == "auto" && isGpu,
        };
    }

    internal static bool Show(Func<Action<TrainingProgress>, CancellationToken, bool> run, TrainingSettings settings,
        Action<TrainingProgress> seen, CancellationToken cancellation)
    {
        if (!AnsiConsole.Profile.Capabilities.Interactive)
        {
            // Into a file or a pipe goes a line now and then.
            (long Step, long Time)? first = null;
            return run(progress =>
            {
                seen(progress);
                // A run that goes on with a checkpoint begins in the middle.
                first ??= (progress.Step, Stopwatch.GetTimestamp());
                if (progress.EndsEpoch && (progress.Epoch % Math.Max(1, settings.Epochs / 10) == 0 || progress.Step == progress.Steps))
                    Console.WriteLine(Line(progress) + TrainingTime.Left(progress.Step - first.Value.Step, progress.Steps - progress.Step,
                        Stopwatch.GetElapsedTime(first.Value.Time)));
            }, cancellation);
        }
        bool isDone = false;
        AnsiConsole.Progress().AutoClear(false).Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(),
            new RemainingTimeColumn()).Start(context =>
        {
            var task = context.AddTask("training", maxValue: 1);
            isDone = run(progress =>
            {
                seen(progress);
                task.MaxValue = progress.Steps;
                task.Value = progress.Step;
                task.Description = Line(progress);
            }, cancellation);
            if (isDone) task.Value = task.MaxValue;
        });
        return isDone;

        string Line(in TrainingProgress progress) => string.Create(CultureInfo.InvariantCulture,
            $"epoch {progress.Epoch}/{settings.Epochs}  {progress.Figures}  {progress.FramesPerSecond:0} frames/s");
    }

    private sealed record Trained(
        IModelExporter Exporter, float[][] CrossFitted, LeftOut? LeftOut, EpochFigures Figures, int Epochs, double FramesPerSecond)
    {
        /// <summary>Of each epoch of an adversarial training.</summary>
        public IReadOnlyList<(double Discriminator, double Generator)> Losses { get; init; } = [];
    }
}
