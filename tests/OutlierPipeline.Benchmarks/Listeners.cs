using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Confluent.Kafka;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Models;
using OutlierPipeline.Service;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>listeners</c>: from the detector's decision to the event at a client of the stream, in the demo's script; and what a thousand
/// listening clients take from the
/// pipeline's throughput, in turns in one run.
/// </summary>
internal static class Listeners
{
    private const int Clients = 1000;
    private const int Partitions = 16;
    private const int RoundFrames = 4800;
    private const int Rounds = 5;

    /// <summary>Seconds from one event to the next: more than a fleet should have to say, and about what one has.</summary>
    private static readonly double[] EventIntervals = [1, 10];

    private static readonly TimeSpan Demo = TimeSpan.FromMinutes(3);

    /// <param name="parts">Which of <c>latency</c> and <c>throughput</c>; both if none is named.</param>
    public static async Task<int> RunAsync(string[] parts)
    {
        if (parts.Length == 0 || parts.Contains("latency")) await LatencyAsync();
        if (parts.Length == 0 || parts.Contains("throughput"))
        {
            foreach (double seconds in EventIntervals) await ThroughputAsync(TimeSpan.FromSeconds(seconds));
        }
        return 0;
    }

    /// <summary>What runs in another process: clients that read and throw away. Prints when all are connected.</summary>
    public static async Task<int> ListenAsync(string address, int count)
    {
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = int.MaxValue })
        {
            BaseAddress =
            new Uri(address),
            Timeout = Timeout.InfiniteTimeSpan
        };
        var reading = new List<Task>();
        for (int i = 0; i < count; i++)
        {
            var stream = await http.GetStreamAsync("/api/alerts/stream");
            reading.Add(stream.CopyToAsync(Stream.Null));
        }
        Console.WriteLine("connected");
        Console.ReadLine();
        Environment.Exit(0);
        await Task.WhenAll(reading);
        return 0;
    }

    private static async Task LatencyAsync()
    {
        using var broker = new MockBroker();
        foreach (string topic in new[] { "camera.frames", "ood.scores", "ood.alerts", "ood.state", "camera.frames.dlq" })
            broker.CreateTopic(topic, 4);
        using var directory = new Directories();
        await using var app = await StartAsync(broker.BootstrapServers, directory.Database);
        var decided = new ConcurrentDictionary<string, long>();
        app.Services.GetRequiredService<PipelineService>().Alerted += step => decided[step.EventId] = Stopwatch.GetTimestamp();
        using var http = new HttpClient { BaseAddress = new Uri(Address(app)), Timeout = Timeout.InfiniteTimeSpan };
        using var reader = new StreamReader(await http.GetStreamAsync("/api/alerts/stream"));
        var delays = new List<double>();
        using var stop = new CancellationTokenSource(Demo);
        using var fleet = new CameraFleet(new Dictionary<string, string> { ["bootstrap.servers"] = broker.BootstrapServers },
            "camera.frames", TroubleScript.Demo, 10, i => new StreetCamera(1000 + i));
        var driving = fleet.RunAsync(stop.Token);
        try
        {
            while (await reader.ReadLineAsync(stop.Token) is { } line)
            {
                if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
                long now = Stopwatch.GetTimestamp();
                string id = JsonDocument.Parse(line[6..]).RootElement.GetProperty("id").GetString()!;
                if (decided.TryGetValue(id, out long at)) delays.Add(Stopwatch.GetElapsedTime(at, now).TotalMilliseconds);
            }
        }
        catch (OperationCanceledException)
        {
            // The demo is over.
        }
        await driving;
        delays.Sort();
        Say($"decided to heard, {delays.Count} events in {Demo.TotalMinutes:0} minutes of the demo: p50 {At(0.5):0} ms, p95 {At(0.95):0} " +
            $"ms, p99 {At(0.99):0} ms, most {delays[^1]:0} ms");

        double At(double quantile) => delays[(int)Math.Ceiling(quantile * (delays.Count - 1))];
    }

    private static async Task ThroughputAsync(TimeSpan interval)
    {
        using var broker = new BrokerProcess(Partitions);
        using var directory = new Directories();
        await using var app = await StartAsync(broker.BootstrapServers, directory.Database);
        var speeds = (Alone: new List<double>(), Heard: new List<double>());
        await RoundAsync(broker, null);
        for (int round = 0; round < Rounds; round++)
        {
            speeds.Alone.Add(await RoundAsync(broker, null));
            using var clients = Process.Start(new ProcessStartInfo(Environment.ProcessPath!,
                Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
                ? [typeof(Listeners).Assembly.Location, "listen", Address(app), $"{Clients}"]
                : ["listen", Address(app), $"{Clients}"])
            { RedirectStandardInput = true, RedirectStandardOutput = true })!;
            await clients.StandardOutput.ReadLineAsync();
            using var stop = new CancellationTokenSource();
            var alerting = AlertAsync(broker.BootstrapServers, round, interval, stop.Token);
            speeds.Heard.Add(await RoundAsync(broker, clients));
            await stop.CancelAsync();
            await alerting;
            clients.StandardInput.Close();
            await clients.WaitForExitAsync();
        }
        double alone = Median(speeds.Alone);
        double heard = Median(speeds.Heard);
        Say($"{Clients} clients, an event each {interval.TotalSeconds:0} s: {heard:0} frames/s with them, {alone:0} without (medians of " +
            $"{Rounds} rounds in turns; the broker's and the clients' own processor time subtracted): ratio {heard / alone:0.000}");
    }

    private static async Task<double> RoundAsync(BrokerProcess broker, Process? clients)
    {
        using var recorder = new LatencyRecorder();
        var other = Other();
        var clock = Stopwatch.StartNew();
        await Task.Run(() => broker.Send(RoundFrames, 0));
        await Task.Run(() => recorder.Wait(RoundFrames));
        clock.Stop();
        return RoundFrames / (clock.Elapsed.TotalSeconds - (Other() - other).TotalSeconds / Environment.ProcessorCount);

        TimeSpan Other()
        {
            clients?.Refresh();
            return broker.ProcessorTime + (clients?.TotalProcessorTime ?? TimeSpan.Zero);
        }
    }

    /// <summary>An alert at the round's beginning and each interval, as another replica would write it.</summary>
    private static async Task AlertAsync(string servers, int round, TimeSpan interval, CancellationToken cancellation)
    {
        var package = ModelPackage.Load(EndToEnd.FindModel());
        using var producer = new ProducerBuilder<Null, byte[]>(new ProducerConfig { BootstrapServers = servers, LingerMs = 1 })
            .SetLogHandler((_, _) => { }).Build();
        for (int i = 0; !cancellation.IsCancellationRequested; i++)
        {
            var frame = new FrameRef("camera.frames", 0, i, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000);
            var step = new AlertStep(AlertType.Opened, $"{round}-{i}", 1, "car-9", AlertKind.Scene, Severity.Warning, frame, frame,
                "bands", "the picture is strange for 0.4 s, most by its bands score (odds 10^7)");
            producer.Produce("ood.alerts",
                new Message<Null, byte[]>
                {
                    Value = AlertEvent.Write(step, package, new float[package.Card.Scores.Count],
                new Verdict(0.001, null, 7, true, false), [])
                });
            await Task.Delay(interval, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task<WebApplication> StartAsync(string servers, string database)
    {
        string[] arguments = [$"--Kafka:BootstrapServers={servers}", "--Kafka:Client:fetch.wait.max.ms=5",
            $"--Model:Path={EndToEnd.FindModel()}", $"--Alerts:Database={database}", "--Alerts:Cluster=bench",
            "--Api:RequestsPerSecond=100000", "--Api:StreamsPerCaller=100000", "--urls=http://127.0.0.1:0"];
        var app = await ServiceHost.BuildAsync(arguments, builder => builder.Logging.ClearProviders());
        await app.StartAsync();
        while (app.Services.GetRequiredService<PipelineHealth>().Reasons().Length > 0) await Task.Delay(50);
        return app;
    }

    private static string Address(WebApplication app) =>
        app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static void Say(string line) => Console.WriteLine(line);

    private sealed class Directories : IDisposable
    {
        private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("outlier-bench-");

        public string Database => Path.Combine(_directory.FullName, "alerts.db");

        public void Dispose()
        {
            Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
            _directory.Delete(recursive: true);
        }
    }
}
