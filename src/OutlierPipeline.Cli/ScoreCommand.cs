using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Alerts;
using OutlierPipeline.Cli.Evaluation;
using OutlierPipeline.Detection;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier score</c>: a model package over footage, as the service would score it, to CSV.</summary>
internal static class ScoreCommand
{
    public static Command Build()
    {
        var model = new Option<string>("--model") { Required = true, Description = "Directory of a model package" };
        var input = new Option<string>("--input") { Required = true, Description = $"Footage: {FootageSource.Kinds}" };
        var output = new Option<FileInfo>("--out")
        {
            Required = true,
            Description = "The CSV file: file, score, one column a named score, p_value, onset, onset_p_value, martingale"
        };
        var rate = new Option<double?>("--fps")
        {
            Description = "Frames a second of the footage: neighbouring frames are weak evidence; by default a video's own times, else 10"
        };
        var camera = new Option<string?>("--camera")
        {
            Description = "Score as this camera, with its own calibration and mask if the package has them"
        };
        var command = new Command("score", "Score footage to a CSV file") { model, input, output, rate, camera };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
            ScoreAsync(options.GetRequiredValue(model), options.GetRequiredValue(input), options.GetRequiredValue(output),
            options.GetValue(rate), options.GetValue(camera), cancellation)));
        return command;
    }

    private static async Task<int> ScoreAsync(string path, string input, FileInfo output, double? rate, string? camera,
        CancellationToken cancellation)
    {
        if (rate <= 0) throw new CommandException("--fps must be positive");
        OutputPath.CheckFile(output.FullName);
        var package = ModelPackage.Load(path);
        var source = FootageSource.Open(input, camera);
        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        using var decoder = new FrameDecoder(package.Card.Network.Size, FrameLimits.Footage);
        using var batch = engine.CreateBatch(1);
        var detectors = new Dictionary<string, CameraDetector>();
        var table = new ScoreTable(package.Card);
        var alerts = new List<AlertStep>();
        int scored = 0;
        int strange = 0;
        int total = 0;
        await AnsiConsole.Progress().HideCompleted(true).StartAsync(async context =>
        {
            var task = context.AddTask("scoring", maxValue: source.Count ?? 1);
            task.IsIndeterminate = source.Count is null;
            await foreach (var frame in source.ReadAsync(cancellation))
            {
                cancellation.ThrowIfCancellationRequested();
                task.Increment(1);
                total++;
                string name = frame.Drive == "." ? Path.GetFileName(frame.Name) : $"{frame.Drive}/{Path.GetFileName(frame.Name)}";
                var error = batch.DecodeHere(0, frame.Encoded.Span, decoder);
                if (error != FrameError.None)
                {
                    await Console.Error.WriteLineAsync($"{frame.Name}: {FrameErrors.Describe(error)} ({error})");
                    table.AddEmpty(name);
                    continue;
                }
                string id = camera ?? frame.Drive;
                if (!detectors.TryGetValue(frame.Drive, out var detector))
                    detectors[frame.Drive] = detector = new CameraDetector(id, package, new DetectionOptions());
                batch.SetMask(0, package.For(id).Mask);
                batch.Count = 1;
                batch.Run();
                var at = new FrameRef(frame.Drive, 0, total, rate is null && frame.Time is { } time
                    ? ScoredSet.Nanoseconds(time)
                    : UnixNanoseconds.OfSeconds(total / (rate ?? ScoredSet.DefaultRate)));
                var verdict = detector.Observe(new FrameObservation
                {
                    Frame = at,
                    Scores = batch.Scores(0),
                    ErrorMap = batch.ErrorMap(0),
                    Pixels = batch.Pixels(0)
                }, alerts);
                table.Add(name, package.For(id).Calibration.Combine(batch.Scores(0)), batch.Scores(0), verdict);
                scored++;
                if (verdict.IsOutlier) strange++;
            }
        });
        table.Write(output.FullName);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{scored} of {total} frames scored, {strange} of them in an incident; {output}"));
        return scored > 0 ? 0 : throw new CommandException($"{input}: no frame could be decoded");
    }
}
