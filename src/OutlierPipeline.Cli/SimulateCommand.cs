using System.CommandLine;
using System.Globalization;
using OutlierPipeline.Footage.Simulation;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier simulate</c>: the demo's cameras against any broker.</summary>
internal static class SimulateCommand
{
    public static Command Build()
    {
        var kafka = new KafkaArguments();
        var topic = new Option<string>("--topic") { DefaultValueFactory = _ => "camera.frames", Description = "Where the frames go" };
        var rate = new Option<double>("--fps") { DefaultValueFactory = _ => 10, Description = "Frames a second of each camera" };
        var duration = new Option<TimeSpan?>("--duration") { Description = "How long, hh:mm:ss; until interrupted by default" };
        var seed = new Option<int>("--seed") { DefaultValueFactory = _ => 1000, Description = "Seed of the first camera's street" };
        var command = new Command("simulate",
            "Send frames of six simulated cameras, in and out of trouble, and print the ground truth") { topic, rate, duration, seed };
        kafka.AddTo(command);
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(async () =>
        {
            if (options.GetValue(rate) is not (> 0 and <= 240)) throw new CommandException("--fps must be more than 0 and at most 240");
            using var fleet = new CameraFleet(kafka.Properties(options), options.GetRequiredValue(topic), TroubleScript.Demo,
                options.GetValue(rate), i => new StreetCamera(options.GetValue(seed) + i))
            {
                Changed = (time, camera, trouble) =>
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds,7:0.0} s  {camera}: {trouble}")),
                Failed = reason => Console.Error.WriteLine(reason),
            };
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            if (options.GetValue(duration) is { } limit) ending.CancelAfter(limit);
            AnsiConsole.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{TroubleScript.Demo.Cameras.Count} cameras send " +
                $"{options.GetValue(rate)} frames/s each to {options.GetValue(topic)} at {options.GetValue(kafka.Bootstrap)}."));
            await fleet.RunAsync(ending.Token);
            Console.WriteLine($"{fleet.Sent} frames sent");
            return fleet.Sent > 0 ? 0 : throw new CommandException($"no frame was acknowledged by {options.GetValue(kafka.Bootstrap)}");
        }));
        return command;
    }
}
