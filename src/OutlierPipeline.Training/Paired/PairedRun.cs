using System.Diagnostics;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Paired;

/// <summary>What the command line asks for beside what every training takes.</summary>
internal sealed record PairedRequest
{
    /// <summary>Directories of maps; none for those beside the frames.</summary>
    public required string[] Labels { get; init; }

    /// <summary>As <see cref="LabelClasses.Read"/> takes it.</summary>
    public required string Classes { get; init; }

    public required bool ToMap { get; init; }

    public required bool ToPicture { get; init; }

    public required double AdversarialWeight { get; init; }

    /// <summary>Whether a linear probe is trained instead of the network.</summary>
    public required bool IsProbe { get; init; }

    /// <summary>Of the frames that maps are made of, in pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Of the pictures that are drawn, in pixels.</summary>
    public required int PictureWidth { get; init; }
}

/// <summary>One training of pairs, from frames and maps to package: first the way to maps, then the way to pictures.</summary>
internal sealed class PairedRun(TrainingRequest request, PairedRequest pairs, TrainingRun run, string checkpoints)
{
    private const int MinTraining = 50;

    private Device _device = CPU;

    /// <summary>Of the time of both trainings: the way to maps. The way to pictures has the rest.</summary>
    public const double MapShare = 0.4;

    public async Task<int> RunAsync(long begun, CancellationToken cancellation)
    {
        _device = TrainingDevice.Choose(request.Device);
        var classes = LabelClasses.Read(pairs.Classes);
        var labels = new LabelFiles(request.Frames, pairs.Labels);
        using var footage = await LoadAsync(pairs.ToMap ? pairs.Width : pairs.PictureWidth, pairs.ToMap ? 8 : 16, cancellation);
        var training = footage.SplitByTime(request.Shares)[0];
        if (training.Count < MinTraining)
            throw new FootageException($"{training.Count} frames are too few to train on: at least {MinTraining} are needed");
        byte[][] maps = labels.Read(training, classes.Classes);
        AnsiConsole.WriteLine($"{training.Count} frames with label maps of {classes.Classes.Count} classes train.");
        TrainedDirection? toMap = null, toPicture = null;
        Backbone? backbone = null;
        var settings = pairs.ToMap ? MapSettings(training.Count) : PictureSettings(training.Count);
        if (pairs.ToMap)
        {
            backbone = Backbone.ResNet18(stages: 4);
            toMap = TrainToMap(backbone, training, maps, classes, settings, cancellation);
            if (toMap is null) return await run.InterruptedAsync();
        }
        if (pairs.ToPicture)
        {
            using var small = pairs.ToMap ? await LoadAsync(pairs.PictureWidth, 16, cancellation) : null;
            var frames = small?.SplitByTime(request.Shares)[0] ?? training;
            toPicture = TrainToPicture(frames, small is null ? maps : labels.Read(frames, classes.Classes), classes,
                PictureSettings(frames.Count), cancellation);
            // What is finished before any epoch to pictures has ended has the way to maps alone.
            if (toPicture is null && (toMap is null || !request.Finish)) return await run.InterruptedAsync();
        }
        (byte[], string[])? second = backbone is null || pairs.IsProbe ? null
            : WriteSecond(backbone, training, classes, toMap!, toPicture, cancellation);
        var card = PairPackage.Write(request.Directory, run.Describe(_device), settings, classes, training, backbone?.Card,
            toMap, toPicture, second, Stopwatch.GetElapsedTime(begun));
        Directory.Delete(checkpoints, recursive: true);
        return run.Written(card, begun, "losses");
    }

    private TrainedDirection? TrainToMap(Backbone backbone, DecodedFootage training, byte[][] maps, LabelClasses classes,
        TrainingSettings settings, CancellationToken cancellation)
    {
        var network = NetworkFor(backbone, training, classes);
        AnsiConsole.WriteLine($"To maps at {network.Size}: {settings.Epochs} epochs in batches of {settings.Batch}, seed " +
            $"{settings.Seed}. Running the backbone over all frames …");
        using var features = StageFootage.Of(training, backbone, network, request.Threads, _ => { }, cancellation);
        using var trainer = new MapTrainer(network, training, features, maps, classes, settings, Path.Combine(checkpoints, "to-map"),
            _device);
        if (!Train(trainer, settings, isFirst: true, out double rate, cancellation)) return null;
        byte[] graph = PairPackage.WriteToMap(backbone, network, classes.Classes.Count, trainer.Weights);
        return new TrainedDirection("map", graph, trainer.Losses, ("mapTrainingMeanIou", trainer.MeanOverlap),
            ParametersOf(network.Weights()), backbone.Flops(network.Size) + network.FlopsPerPicture(), network.Size, rate)
        { Weights = trainer.Weights };
    }

    private TrainedDirection? TrainToPicture(DecodedFootage training, byte[][] maps, LabelClasses classes, TrainingSettings settings,
        CancellationToken cancellation)
    {
        var painter = new MapPainter(training.Size, classes.Classes.Count);
        AnsiConsole.WriteLine(
            $"To pictures at {painter.Size}: {settings.Epochs} epochs in batches of {settings.Batch}, seed {settings.Seed}.");
        using var trainer = new PictureTrainer(painter, training, maps, classes, settings, Path.Combine(checkpoints, "to-picture"),
            _device);
        if (!Train(trainer, settings, isFirst: !pairs.ToMap, out double rate, cancellation)) return null;
        byte[] graph = PairPackage.WriteToPicture(painter, classes.Classes.Count, trainer.Weights);
        return new TrainedDirection("picture", graph, trainer.Losses, ("pictureDiversity", trainer.Diversity),
            ParametersOf(painter.Weights()), painter.FlopsPerPicture(), painter.Size, rate)
        { Weights = trainer.Weights };
    }

    private (byte[], string[]) WriteSecond(Backbone backbone, DecodedFootage training, LabelClasses classes, TrainedDirection toMap,
        TrainedDirection? toPicture, CancellationToken cancellation)
    {
        AnsiConsole.WriteLine("Fitting how cells of each class look …");
        var painter = toPicture is null ? null : new MapPainter(toPicture.Size, classes.Classes.Count);
        var writer = new SecondGraphWriter(backbone, NetworkFor(backbone, training, classes), toMap.Weights, painter, toPicture?.Weights,
            classes);
        return writer.Write(training, request.Threads, cancellation);
    }

    private MapNetwork NetworkFor(Backbone backbone, DecodedFootage training, LabelClasses classes) => new(training.Size,
        [.. backbone.Stages.Select(stage => stage.Channels)], classes.Classes.Count, classes.Void, pairs.IsProbe);

    /// <summary>Goes on or begins, to the end.</summary>
    /// <param name="isFirst">Whether an interrupted run must have left a checkpoint of it.</param>
    /// <returns>False if it was cancelled, or there is nothing yet of what is finished.</returns>
    private bool Train(AdversarialTrainer trainer, TrainingSettings settings, bool isFirst, out double rate,
        CancellationToken cancellation)
    {
        if (request.Resume && (isFirst || trainer.HasCheckpoint)) trainer.Resume();
        double last = 0;
        bool isDone = request.Finish || TrainingRun.Show(trainer.Run, settings, progress => last = progress.FramesPerSecond, cancellation);
        rate = last;
        if (!isDone || trainer.Epochs > 0) return isDone;
        if (isFirst) throw new TrainingException($"no epoch has ended yet: there is nothing to write ({checkpoints})");
        AnsiConsole.WriteLine("No epoch to pictures has ended yet: the package has the way to maps alone.");
        return false;
    }

    private TrainingSettings MapSettings(int frames) => Settings(frames, MapTrainer.FrameCost, MapShare);

    private TrainingSettings PictureSettings(int frames) => Settings(frames, PictureTrainer.FrameCost, 1 - MapShare);

    private TrainingSettings Settings(int frames, double cost, double share)
    {
        int epochs = request.Epochs > 0 ? request.Epochs
            : TrainingTime.Epochs(frames, cost, _device.type == DeviceType.CUDA, share);
        return new TrainingSettings
        {
            Architecture = request.Architecture,
            Epochs = epochs,
            Batch = request.Batch > 0 ? request.Batch : 8,
            Seed = request.Seed,
            Beta = 0,
            Patience = epochs,
            LearningRate = request.LearningRate ?? 1e-3,
            AdversarialWeight = pairs.AdversarialWeight,
        };
    }

    private Task<DecodedFootage> LoadAsync(int width, int multiple, CancellationToken cancellation) =>
        new FootageLoader().LoadAsync(request.Frames, (pictureWidth, pictureHeight) => new FrameSize(Math.Max(32,
            (int)Math.Round((double)width * pictureHeight / pictureWidth / multiple) * multiple), width), cancellation);

    private static long ParametersOf(IEnumerable<(string Name, long[] Shape, long FanIn)> weights) =>
        weights.Sum(weight => weight.Shape.Aggregate(1L, (product, side) => product * side));
}
