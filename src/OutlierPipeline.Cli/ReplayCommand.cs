using System.CommandLine;
using System.Globalization;
using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Frames;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier replay</c>: footage to Kafka at the rate it was taken.</summary>
internal static class ReplayCommand
{
    public static Command Build()
    {
        var kafka = new KafkaArguments();
        var input = new Option<string>("--input") { Required = true, Description = $"Footage: {FootageSource.Kinds}" };
        var camera = new Option<string>("--camera") { Required = true, Description = "The camera's id, the key of the records" };
        var topic = new Option<string>("--topic") { DefaultValueFactory = _ => "camera.frames", Description = "Where the frames go" };
        var rate = new Option<double>("--fps") { DefaultValueFactory = _ => 10, Description = "Frames a second; 0 as fast as the broker takes them" };
        var loop = new Option<bool>("--loop") { Description = "Begin again at the end, until interrupted" };
        var command = new Command("replay", "Send a directory of pictures or a video to Kafka as one camera's frames") { input, camera, topic, rate, loop };
        kafka.AddTo(command);
        camera.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { } id && Encoding.UTF8.GetByteCount(id) is 0 or > 128) result.AddError("--camera: expected 1 to 128 bytes of UTF-8");
        });
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
            ReplayAsync(kafka.Properties(options), options.GetRequiredValue(input), options.GetRequiredValue(camera), options.GetRequiredValue(topic), options.GetValue(rate), options.GetValue(loop), cancellation)));
        return command;
    }

    private static async Task<int> ReplayAsync(Dictionary<string, string> client, string input, string camera, string topic, double rate, bool loop, CancellationToken cancellation)
    {
        if (rate is < 0 or > 1000 || double.IsNaN(rate)) throw new CommandException("--fps must be 0 to 1000");
        var source = FootageSource.Open(input);
        var failures = new HashSet<string>();
        var config = new ProducerConfig(client) { EnableIdempotence = true, LingerMs = 2 };
        // A frame that cannot be delivered in ten seconds says that something is wrong: the default of five minutes looks like hanging.
        if (!client.ContainsKey("message.timeout.ms")) config.MessageTimeoutMs = 10_000;
        using var producer = new ProducerBuilder<string, byte[]>(config).SetLogHandler((_, _) => { }).SetErrorHandler((_, error) => Say(error.Reason)).Build();
        long sent = 0;
        long failed = 0;
        long begun = TimeProvider.System.GetTimestamp();
        bool stopped = false;
        try
        {
            await AnsiConsole.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn()).StartAsync(async context =>
            {
                var task = context.AddTask("replaying", maxValue: source.Count ?? 1);
                task.IsIndeterminate = source.Count is null || loop;
                long index = 0;
                do
                {
                    await foreach (var frame in source.ReadAsync(cancellation))
                    {
                        if (rate > 0)
                        {
                            var wait = TimeSpan.FromSeconds(index / rate) - TimeProvider.System.GetElapsedTime(begun);
                            if (wait > TimeSpan.FromMilliseconds(1)) await Task.Delay(wait, cancellation);
                        }
                        index++;
                        await SendAsync(frame.Encoded.ToArray());
                        task.Increment(1);
                        task.Description = string.Create(CultureInfo.InvariantCulture, $"{index} frames");
                    }
                }
                while (loop && !cancellation.IsCancellationRequested);
            });
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            stopped = true;
        }
        producer.Flush(TimeSpan.FromSeconds(15));
        Console.WriteLine($"{Interlocked.Read(ref sent)} frames sent as {camera} to {topic}");
        if (Interlocked.Read(ref failed) > 0) throw new CommandException($"{failed} frames were not delivered to {client["bootstrap.servers"]}: {string.Join("; ", failures)}");
        return stopped && !loop ? 130 : 0;

        async Task SendAsync(byte[] frame)
        {
            long nanoseconds = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;
            var headers = new Headers { { "frame-timestamp", Encoding.ASCII.GetBytes(nanoseconds.ToString(CultureInfo.InvariantCulture)) } };
            if (FootageSource.ContentType(frame) is { } type) headers.Add("content-type", Encoding.ASCII.GetBytes(type));
            var message = new Message<string, byte[]> { Key = camera, Value = frame, Headers = headers };
            while (true)
            {
                try
                {
                    producer.Produce(topic, message, report =>
                    {
                        if (!report.Error.IsError)
                        {
                            Interlocked.Increment(ref sent);
                            return;
                        }
                        Interlocked.Increment(ref failed);
                        Say(report.Error.Reason);
                    });
                    return;
                }
                catch (ProduceException<string, byte[]> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
                {
                    await Task.Delay(10, cancellation);
                }
            }
        }

        void Say(string reason)
        {
            lock (failures)
            {
                if (failures.Add(reason)) Console.Error.WriteLine(reason);
            }
        }
    }
}
