using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using Spectre.Console;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary><c>outlier load</c>: more and more cameras against a running service, until it no longer keeps up.</summary>
internal static class LoadCommand
{
    private const int Pictures = 100;
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static Command Build()
    {
        var kafka = new KafkaArguments();
        var cameras = new Option<int>("--cameras")
        {
            DefaultValueFactory = _ => 1,
            Description = "Cameras of the first step; each further step has twice as many"
        };
        var limit = new Option<int>("--up-to")
        {
            DefaultValueFactory = _ => 1024,
            Description = "Cameras of the last step at most; equal to --cameras for one step alone"
        };
        var rate = new Option<double>("--fps") { DefaultValueFactory = _ => 30, Description = "Frames a second of each camera" };
        var duration = new Option<double>("--seconds")
        {
            DefaultValueFactory = _ => 15,
            Description = "How long each step takes; what comes before its last two thirds warms up"
        };
        var frames = new Option<DirectoryInfo?>("--frames")
        {
            Description = "Pictures that the cameras send in turns; simulated streets by default"
        };
        var group = new Option<string>("--group")
        {
            DefaultValueFactory = _ => "outlier-pipeline",
            Description = "The service's consumer group, whose lag is reported"
        };
        var topics = (Frames: new Option<string>("--topic")
        {
            DefaultValueFactory = _ => "camera.frames",
            Description = "Where the frames go"
        }, Scores: new Option<string>("--scores")
        {
            DefaultValueFactory = _ => "ood.scores",
            Description = "Where the scores come"
        });
        var process = new Option<int?>("--process")
        {
            Description = "Process id of the service, if it runs on this machine: its processor time a frame is reported"
        };
        var file = new Option<FileInfo?>("--out") { Description = "Write the figures as JSON" };
        var plot = new Option<FileInfo?>("--plot") { Description = "Draw frames/s and delay against cameras (PNG)" };
        var command = new Command("load", "Load a running service with twice as many cameras each step until it no longer keeps up; the " +
            "frames are normal, but a service for tests is the one to use")
        {
            cameras, limit, rate, duration, frames, group, topics.Frames, topics.Scores, process, file, plot,
        };
        kafka.AddTo(command);
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(async () =>
        {
            if (options.GetValue(cameras) is < 1 or > 100_000) throw new CommandException("--cameras must be 1 to 100000");
            if (options.GetValue(rate) is not (> 0 and <= 1000)) throw new CommandException("--fps must be more than 0 and at most 1000");
            if (options.GetValue(duration) is not (>= 3 and <= 3600)) throw new CommandException("--seconds must be 3 to 3600");
            if (options.GetValue(file) is { } figures) OutputPath.CheckFile(figures.FullName);
            if (options.GetValue(plot) is { } drawing) OutputPath.CheckFile(drawing.FullName);
            using var generator = new LoadGenerator(kafka.Properties(options), options.GetRequiredValue(topics.Frames),
                options.GetRequiredValue(topics.Scores), options.GetRequiredValue(group), Load(options.GetValue(frames)),
                options.GetValue(process));
            var steps = new List<LoadStep>();
            var table = new Table().AddColumns("cameras", "sent/s", "scored/s", "p50 (ms)", "p99 (ms)", "skipped", "lag (frames)",
                "processor a frame (ms)", "");
            for (int count = options.GetValue(cameras); count <= Math.Max(options.GetValue(limit), options.GetValue(cameras)); count *= 2)
            {
                AnsiConsole.MarkupLineInterpolated(CultureInfo.InvariantCulture,
                    $"{count} cameras at {options.GetValue(rate)} frames/s for {options.GetValue(duration)} s …");
                var step = await generator.RunAsync(count, options.GetValue(rate), TimeSpan.FromSeconds(options.GetValue(duration)),
                    cancellation);
                steps.Add(step);
                table.AddRow(Number(step.Cameras, "0"), Number(step.SentPerSecond, "0"), Number(step.ScoredPerSecond, "0"),
                    Number(step.P50Milliseconds, "0"), Number(step.P99Milliseconds, "0"), Number(step.Skipped, "0"), Number(step.Lag, "0"),
                    step.ProcessorMilliseconds is { } cost ? Number(cost, "0.00") : "-", step.KeepsUp ? "keeps up" : "does not keep up");
                if (!step.KeepsUp) break;
            }
            AnsiConsole.Write(table);
            if (options.GetValue(file) is { } target)
                await File.WriteAllTextAsync(target.FullName, JsonSerializer.Serialize(steps, Json) + "\n", cancellation);
            if (options.GetValue(plot) is { } picture) LoadPlot.Save(steps, picture.FullName);
            return steps.Any(step => step.KeepsUp) ? 0 : throw new CommandException($"the service does not keep up with " +
                $"{steps[0].Cameras} cameras: {steps[0].ScoredPerSecond:0} of {steps[0].SentPerSecond:0} frames/s came back from " +
                $"{options.GetValue(topics.Scores)}");
        }));
        return command;
    }

    private static byte[][] Load(DirectoryInfo? directory)
    {
        if (directory is null)
        {
            using var street = new StreetCamera(1);
            return [.. Enumerable.Range(0, Pictures).Select(i => street.Render(i * 0.5))];
        }
        return [.. FrameDirectory.Read(directory.FullName, Console.Error.WriteLine).SelectMany(drive =>
            drive.Files).Take(Pictures).Select(File.ReadAllBytes)];
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
