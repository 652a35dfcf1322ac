using System.CommandLine;
using System.Globalization;
using System.Text;
using OutlierPipeline.Footage;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier replay</c>: footage to Kafka at the rate it was taken.</summary>
internal static class ReplayCommand
{
    private const double DefaultRate = 10;

    public static Command Build()
    {
        var kafka = new KafkaArguments();
        var input = new Option<string>("--input") { Required = true, Description = $"Footage: {FootageSource.Kinds}" };
        var camera = new Option<string>("--camera") { Required = true, Description = "The camera's id, the key of the records" };
        var topic = new Option<string>("--topic") { DefaultValueFactory = _ => "camera.frames", Description = "Where the frames go" };
        var rate = new Option<double?>("--fps")
        {
            Description = "Frames a second, by default a video's own times, else 10; 0 as fast as the broker takes them"
        };
        var loop = new Option<bool>("--loop") { Description = "Begin again at the end, until interrupted" };
        var command = new Command("replay", "Send a directory of pictures or a video to Kafka as one camera's frames") { input, camera,
            topic, rate, loop };
        kafka.AddTo(command);
        camera.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { } id && Encoding.UTF8.GetByteCount(id) is 0 or > 128)
                result.AddError("--camera: expected 1 to 128 bytes of UTF-8");
        });
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
            ReplayAsync(kafka.Properties(options), options.GetRequiredValue(input), options.GetRequiredValue(camera),
            options.GetRequiredValue(topic), options.GetValue(rate), options.GetValue(loop), cancellation)));
        return command;
    }

    private static async Task<int> ReplayAsync(Dictionary<string, string> client, string input, string camera, string topic, double? rate,
        bool loop, CancellationToken cancellation)
    {
        if (rate is < 0 or > 1000 || rate is double.NaN) throw new CommandException("--fps must be 0 to 1000");
        var source = FootageSource.Open(input);
        using var sender = new FrameSender(client, topic, camera);
        long begun = 0;
        bool stopped = false;
        try
        {
            await AnsiConsole.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(),
                new RemainingTimeColumn()).StartAsync(async context =>
            {
                var task = context.AddTask("replaying", maxValue: source.Count ?? 1);
                task.IsIndeterminate = source.Count is null || loop;
                long index = 0;
                var round = TimeSpan.Zero;
                do
                {
                    var due = round;
                    await foreach (var frame in source.ReadAsync(cancellation))
                    {
                        // The clock starts with the first frame: ffmpeg takes a while to begin.
                        if (index == 0) begun = TimeProvider.System.GetTimestamp();
                        due = rate is null && frame.Time is { } time
                            ? round + time
                            : rate == 0
                            ? due
                            : TimeSpan.FromSeconds(index / (rate ?? DefaultRate));
                        var wait = due - TimeProvider.System.GetElapsedTime(begun);
                        if (wait > TimeSpan.FromMilliseconds(1)) await Task.Delay(wait, cancellation);
                        index++;
                        await sender.SendAsync(frame, cancellation);
                        task.Increment(1);
                        task.Description = string.Create(CultureInfo.InvariantCulture, $"{index} frames");
                    }
                    // A video begins again a frame after its last.
                    round = due + TimeSpan.FromSeconds(1 / DefaultRate);
                }
                while (loop && !cancellation.IsCancellationRequested);
            });
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            stopped = true;
        }
        sender.Flush();
        Console.WriteLine($"{sender.Sent} frames sent as {camera} to {topic}");
        if (sender.Failed > 0)
            throw new CommandException(
                $"{sender.Failed} frames were not delivered to {client["bootstrap.servers"]}: {string.Join("; ", sender.Failures)}");
        return stopped && !loop ? 130 : 0;
    }
}
