using System.Diagnostics;
using System.Globalization;
using Npgsql;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;

namespace OutlierPipeline.Benchmarks.Soak;

/// <summary>Looks at the service's process from outside, at its metrics, its database and the broker's disk.</summary>
/// <param name="address">Where the service listens.</param>
/// <param name="database">A file of SQLite, or a connection string of PostgreSQL.</param>
internal sealed class SoakSampler(int process, HttpClient address, string database, KafkaServer kafka, SoakTraffic traffic) : IDisposable
{
    private const double MiB = 1 << 20;
    private readonly Process _process = Process.GetProcessById(process);
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private TimeSpan _before;
    private TimeSpan _processorBefore = Process.GetProcessById(process).TotalProcessorTime;

    /// <exception cref="HttpRequestException">The service does not answer any more.</exception>
    public async Task<SoakSample> TakeAsync()
    {
        string metrics = await address.GetStringAsync("/metrics");
        string[] status = await File.ReadAllLinesAsync($"/proc/{process}/status");
        var now = _clock.Elapsed;
        _process.Refresh();
        var processor = _process.TotalProcessorTime;
        double[] latencies = traffic.Take();
        var sample = new SoakSample
        {
            At = now,
            Resident = Number(status, "VmRSS:") / 1024,
            Heap = Sum(metrics, "dotnet_gc_last_collection_heap_size_bytes") / MiB,
            Handles = Directory.GetFileSystemEntries($"/proc/{process}/fd").Length,
            Threads = Number(status, "Threads:"),
            Processor = (processor - _processorBefore) / (now - _before),
            Database = (File.Exists(database) ? SizeOfFiles() : await SizeOfDatabaseAsync()) / MiB,
            FramesPerSecond = latencies.Length / (now - _before).TotalSeconds,
            P50 = latencies.Length == 0 ? 0 : Quantiles.Of(latencies, 0.5),
            P99 = latencies.Length == 0 ? 0 : Quantiles.Of(latencies, 0.99),
            Lag = Sum(metrics, "outlier_consumer_lag"),
            FramesLog = kafka.BytesOf(TestCluster.Frames) / MiB,
            StateLog = kafka.BytesOf(TestCluster.State) / MiB,
            Alerts = Sum(metrics, "outlier_alerts_total"),
        };
        (_before, _processorBefore) = (now, processor);
        return sample;
    }

    public void Dispose() => _process.Dispose();

    /// <summary>A number of <c>/proc/PID/status</c>.</summary>
    private static double Number(string[] lines, string name) => double.Parse(lines.First(line =>
        line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Replace("kB", "", StringComparison.Ordinal),
        CultureInfo.InvariantCulture);

    /// <summary>A metric in Prometheus' text, over all its labels.</summary>
    private static double Sum(string metrics, string name) => metrics.Split('\n')
        .Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] is '{' or ' ')
        .Sum(line => double.Parse(line[(line.LastIndexOf('}') is >= 0 and int labels ? labels + 1 : name.Length)..].Trim().Split(' ')[0],
            CultureInfo.InvariantCulture));

    private double SizeOfFiles() => new[] { database, database + "-wal" }.Where(File.Exists).Sum(file => new FileInfo(file).Length);

    private async Task<double> SizeOfDatabaseAsync()
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT pg_database_size(current_database())", connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
