using System.CommandLine;
using System.Globalization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using Spectre.Console;

namespace OutlierPipeline.Service;

/// <summary><c>demo</c>: a broker, simulated cameras and the service in one process.</summary>
internal static class DemoCommand
{
    private const string Topic = "camera.frames";
    private const int Partitions = 4;
    private const double FramesPerSecond = 10;
    private const int Seed = 1000;

    /// <summary>Frames of footage that are held in memory.</summary>
    private const int MaxFootage = 3000;

    public static async Task<int> RunAsync(string[] args)
    {
        var duration = new Option<TimeSpan?>("--duration")
        {
            Description = "How long, hh:mm:ss; until Ctrl-C by default",
            CustomParser = result =>
            {
                if (TimeSpan.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, out var time) && time > TimeSpan.Zero)
                    return time;
                result.AddError($"--duration {result.Tokens[0].Value}: expected hh:mm:ss, such as 00:01:00");
                return null;
            },
        };
        var urls = new Option<string>("--urls")
        {
            DefaultValueFactory = _ => "http://127.0.0.1:8080",
            Description = "Where the web page is"
        };
        var model = new Option<string?>("--model") { Description = "Directory of the model package; models/street-demo by default" };
        var frames = new Option<string?>("--frames")
        {
            Description =
                $"Cameras that play this footage, with troubles drawn over it, instead of a street that is drawn: {FootageSource.Kinds}"
        };
        var command =
            new RootCommand(
            "Runs a Kafka broker, six simulated cameras and the service in one process: frames in, alerts out.") { duration, urls,
            model, frames };
        command.SetAction(async (options, cancellation) =>
            await RunAsync(options.GetValue(duration), options.GetRequiredValue(urls), options.GetValue(model)
            ?? FindModel(), options.GetValue(frames), cancellation));
        var arguments = command.Parse(args);
        int code = await arguments.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        return arguments.Errors.Count > 0 ? 2 : code;
    }

    private static async Task<int> RunAsync(TimeSpan? duration, string urls, string model, string? footage, CancellationToken cancellation)
    {
        var camera = footage is null ? i => new StreetCamera(Seed + i) : await FootageCamerasAsync(footage, cancellation);
        using var broker = new MockBroker();
        foreach (string topic in new[] { Topic, "ood.scores", "ood.alerts", "ood.state", "camera.frames.dlq" })
            broker.CreateTopic(topic, Partitions);
        using var tally = new DemoTally();
        using var database = new TemporaryDatabase();
        await using var app = await ServiceHost.BuildAsync([], builder =>
            Configure(builder, broker.BootstrapServers, model, urls, database.Path));
        var pipeline = app.Services.GetRequiredService<PipelineService>();
        pipeline.Alerted += alert => Show(tally, alert);
        var script = TroubleScript.Demo;
        using var fleet = new CameraFleet(new Dictionary<string, string> { ["bootstrap.servers"] = broker.BootstrapServers }, Topic,
            script, FramesPerSecond, camera)
        {
            Changed = (_, camera, trouble) =>
                Say(tally, "dim", "truth", camera, trouble == Trouble.None ? "all is well again" : $"{Described(trouble)} begins"),
        };
        // A file or a pipe has no width to wrap at.
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 200;
        Introduce(broker, urls, script, duration);
        await app.StartAsync(CancellationToken.None);
        var ended = app.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation, ended);
        // The first frames would only measure how long joining the group takes.
        for (int i = 0; i < 100 && pipeline.NotReady.Count > 0 && !ending.IsCancellationRequested; i++)
            await Task.Delay(100, CancellationToken.None);
        if (duration is { } limit) ending.CancelAfter(limit);
        await fleet.RunAsync(ending.Token);
        // What is still on its way is counted too.
        for (int i = 0; i < 100 && tally.Done < fleet.Sent && !ended.IsCancellationRequested; i++)
            await Task.Delay(50, CancellationToken.None);
        await app.StopAsync(CancellationToken.None);
        tally.Print(fleet.Sent, script);
        return ServiceHost.ExitCode(app)();
    }

    /// <summary>Each camera begins at another place of the footage.</summary>
    private static async Task<Func<int, ISimulatedCamera>> FootageCamerasAsync(string input, CancellationToken cancellation)
    {
        var frames = new List<ReadOnlyMemory<byte>>();
        await foreach (var frame in FootageSource.Open(input).ReadAsync(cancellation))
        {
            frames.Add(frame.Encoded);
            if (frames.Count == MaxFootage) break;
        }
        if (frames.Count == 0) throw new FootageException($"{input}: no pictures in it");
        return i => new FootageCamera(frames, FramesPerSecond, i * frames.Count / TroubleScript.Demo.Cameras.Count, Seed + i);
    }

    private static void Configure(WebApplicationBuilder builder, string servers, string model, string urls, string database)
    {
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Kafka:BootstrapServers"] = servers,
            // The broker in the process does not wake a waiting fetch when data comes.
            ["Kafka:Client:fetch.wait.max.ms"] = "5",
            ["Model:Path"] = model,
            ["Alerts:Database"] = database,
            ["urls"] = urls,
        });
        ServiceHost.Configure(builder);
        builder.Logging.SetMinimumLevel(LogLevel.Warning).AddFilter((_, level) => level >= LogLevel.Warning);
    }

    private static void Introduce(MockBroker broker, string urls, TroubleScript script, TimeSpan? duration)
    {
        AnsiConsole.MarkupLineInterpolated($"[bold]OutlierPipeline demo[/]  {(duration is { } limit ? $"for {limit}" : "until Ctrl-C")}");
        AnsiConsole.MarkupLineInterpolated($"Kafka broker   {broker.BootstrapServers}");
        AnsiConsole.MarkupLineInterpolated($"Dashboard      {urls}");
        AnsiConsole.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{script.Cameras.Count} cameras send {FramesPerSecond} " +
            $"frames/s each to {Topic}; results are on ood.scores and ood.alerts. Any client can join in:"));
        AnsiConsole.MarkupLineInterpolated($"  kcat -b {broker.BootstrapServers} -t ood.alerts -C");
        AnsiConsole.MarkupLineInterpolated($"  kcat -b {broker.BootstrapServers} -t {Topic} -P -k my-car/front picture.jpg");
        AnsiConsole.WriteLine();
    }

    private static void Show(DemoTally tally, AlertStep alert)
    {
        tally.Count(alert);
        string color = alert.Type == AlertType.Closed ? "green" : alert.Severity == Severity.Critical ? "red" : "yellow";
        Say(tally, color, alert.Type.ToString().ToLowerInvariant(), alert.Camera,
            $"{alert.Kind.ToString().ToLowerInvariant()}, {alert.Severity.ToString().ToLowerInvariant()}: {alert.Reason}");
    }

    private static void Say(DemoTally tally, string color, string what, string camera, string text) =>
        AnsiConsole.MarkupLine(string.Create(CultureInfo.InvariantCulture,
        $"[{color}]{tally.Elapsed.TotalSeconds,6:0.0} s  {what,-9}  {Markup.Escape(camera),-11}  {Markup.Escape(text)}[/]"));

    private static string Described(Trouble trouble) => trouble switch
    {
        Trouble.DirtyLens => "dirt on the lens",
        Trouble.DeadRows => "dead rows of the sensor",
        Trouble.Frozen => "a frozen picture",
        Trouble.Obstacle => "an obstacle on the road",
        _ => trouble.ToString().ToLowerInvariant(),
    };

    private static string FindModel()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            string candidate = Path.Combine(directory.FullName, "models", "street-demo");
            if (Directory.Exists(candidate)) return candidate;
        }
        return Path.Combine("models", "street-demo");
    }
}
