using System.Globalization;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.Benchmarks.Soak;

/// <summary>
/// <c>soak</c>: the service, by itself in a process, at full load on an Apache Kafka whose retention and compaction are at work; whether
/// anything of it grows.
/// </summary>
internal static class SoakCommand
{
    private const int Partitions = 8;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    /// <summary>Frames and results: gone after two minutes.</summary>
    private static readonly Dictionary<string, string> Retained = new()
    {
        ["cleanup.policy"] = "delete",
        ["retention.ms"] = "120000",
        ["segment.ms"] = "30000",
        ["segment.bytes"] = "16777216",
        ["file.delete.delay.ms"] = "1000",
    };

    private static readonly Dictionary<string, string> Compacted = new()
    {
        ["cleanup.policy"] = "compact",
        ["min.cleanable.dirty.ratio"] = "0.1",
        ["segment.ms"] = "30000",
        ["file.delete.delay.ms"] = "1000",
    };

    /// <returns>0, also where something grows; 1 where frames became dead letters.</returns>
    public static async Task<int> RunAsync(string[] arguments)
    {
        double minutes = 60;
        int cameras = 10;
        string output = Path.Combine("artifacts", "soak");
        bool onPostgres = false;
        for (int i = 0; i < arguments.Length; i++)
        {
            string value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            switch (arguments[i])
            {
                case "--minutes": minutes = double.Parse(value, CultureInfo.InvariantCulture); i++; break;
                case "--cameras": cameras = int.Parse(value, CultureInfo.InvariantCulture); i++; break;
                case "--out": output = value; i++; break;
                case "--postgres": onPostgres = true; break;
                default: return Refuse($"{arguments[i]} is not known");
            }
        }
        if (KafkaServer.Missing is { } missing) return Refuse(missing);
        Directory.CreateDirectory(output);
        using var end = new CancellationTokenSource();
        Console.CancelKeyPress += (_, pressed) =>
        {
            // Broker and service are ended, and what was measured so far is told.
            pressed.Cancel = true;
            end.Cancel();
        };
        using var directory = new TestDirectory();
        using var postgres = onPostgres ? new PostgresServer() : null;
        string database = postgres?.CreateDatabase() ?? directory.File("alerts.db");
        await using var kafka = await KafkaServer.LaunchAsync([], [], []);
        foreach (string topic in new[] { TestCluster.Frames, TestCluster.Scores, TestCluster.DeadLetters })
            await kafka.CreateTopicAsync(topic, Partitions, Retained);
        await kafka.CreateTopicAsync(TestCluster.Alerts, Partitions);
        await kafka.CreateTopicAsync(TestCluster.State, Partitions, Compacted);
        string address = $"http://127.0.0.1:{Ports.Free()}";
        await using var service = new ServiceProcess(kafka.BootstrapServers, $"urls={address}", $"Alerts:Database={database}",
            // The service's own, of which tests have another.
            "Kafka:CommitInterval=00:00:01",
            // An hour is the least that may be kept of the history; of the pictures, less.
            "Alerts:KeepHistory=01:00:00", "Alerts:KeepPictures=00:02:00");
        using var http = new HttpClient { BaseAddress = new Uri(address) };
        await service.Until(() => IsReady(http), "a service that is ready");
        using var traffic = new SoakTraffic(kafka.BootstrapServers, Partitions, cameras);
        using var sampler = new SoakSampler(service.Id, http, database, kafka, traffic);
        var running = traffic.RunAsync();
        end.CancelAfter(TimeSpan.FromMinutes(minutes));
        var samples = new List<SoakSample>();
        // What does not go on ends here too, with what it says.
        while (!end.IsCancellationRequested && !running.IsFaulted && service.ExitCode is null)
        {
            await Task.Delay(Interval, CancellationToken.None);
            samples.Add(await sampler.TakeAsync());
            await File.WriteAllLinesAsync(Path.Combine(output, "soak.csv"), SoakSample.ToCsv(samples), CancellationToken.None);
        }
        traffic.Stop();
        await running;
        if (service.ExitCode is { } code) throw new InvalidOperationException($"the service ended with {code}: {service.Output}");
        Report(samples, output);
        Say($"{traffic.DeadLetters} dead letters");
        return traffic.DeadLetters == 0 ? 0 : 1;
    }

    private static void Report(List<SoakSample> samples, string output)
    {
        var whole = samples[^1].At;
        // In a short trial everything is shorter in proportion.
        var warm = TimeSpan.FromMinutes(Math.Min(5, whole.TotalMinutes / 4));
        var block = TimeSpan.FromMinutes(Math.Min(3, (whole - warm).TotalMinutes / 6));
        SoakPlot.Save(samples, warm, Path.Combine(output, "soak.svg"));
        SoakSample[] measured = [.. samples.Where(sample => sample.At >= warm)];
        Say(FormattableString.Invariant($"{whole.TotalMinutes:0.0} minutes, the first {warm.TotalMinutes:0.0} of which are not counted; ") +
            FormattableString.Invariant($"slopes through means of {block.TotalMinutes:0.0} minutes, with their intervals of 99 %; ") +
            FormattableString.Invariant($"{samples[^1].Alerts:0} alerts; figures in {output}"));
        Say("");
        Say("| series | mean | slope an hour | of the mean | |");
        Say("| --- | --- | --- | --- | --- |");
        foreach (var (name, of) in SoakSample.Series)
        {
            var trend = Trend.Of([.. measured.Select(sample => (sample.At, of(sample)))], block);
            double share = trend.Mean == 0 ? 0 : trend.SlopePerHour / trend.Mean;
            Say(FormattableString.Invariant($"| {name} | {trend.Mean:#,0.0##} | {trend.SlopePerHour:+#,0.0##;-#,0.0##;0} ± ") +
                FormattableString.Invariant($"{trend.HalfWidth:#,0.0##} | {100 * share:+0.0;-0.0;0} % | {trend.Verdict} |"));
        }
        Say("");
    }

    private static bool IsReady(HttpClient http)
    {
        try
        {
            using var answer = http.Send(new HttpRequestMessage(HttpMethod.Get, "/healthz/ready"));
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            // It does not listen yet.
            return false;
        }
    }

    private static int Refuse(string why)
    {
        Console.Error.WriteLine($"{why}; expected soak [--minutes N] [--cameras N] [--out DIR] [--postgres]");
        return 2;
    }

    private static void Say(string line) => Console.WriteLine(line);
}
