namespace OutlierPipeline.Benchmarks.Soak;

/// <summary>What was seen of the service and its broker at one moment, or since the sample before.</summary>
/// <param name="At">Since the beginning.</param>
/// <param name="Resident">Of the process, in MiB.</param>
/// <param name="Heap">Managed heap after the last collection, in MiB.</param>
/// <param name="Handles">Open files and sockets.</param>
/// <param name="Database">With its write-ahead log, in MiB.</param>
/// <param name="FramesPerSecond">Scores that came.</param>
/// <param name="P50">From produced to read from the topic of scores, in milliseconds.</param>
/// <param name="Lag">Frames that the service has not read.</param>
/// <param name="FramesLog">Of the broker's disk, in MiB.</param>
/// <param name="StateLog">Likewise.</param>
/// <param name="Alerts">Since the beginning.</param>
internal sealed record SoakSample(TimeSpan At, double Resident, double Heap, double Handles, double Threads, double Database,
    double FramesPerSecond, double P50, double P99, double Lag, double FramesLog, double StateLog, double Alerts)
{
    /// <summary>What is drawn, and held to be flat.</summary>
    public static readonly (string Name, Func<SoakSample, double> Of)[] Series =
    [
        ("resident memory (MiB)", sample => sample.Resident),
        ("managed heap (MiB)", sample => sample.Heap),
        ("open handles", sample => sample.Handles),
        ("threads", sample => sample.Threads),
        ("database (MiB)", sample => sample.Database),
        ("frames/s", sample => sample.FramesPerSecond),
        ("latency p50 (ms)", sample => sample.P50),
        ("latency p99 (ms)", sample => sample.P99),
        ("lag (frames)", sample => sample.Lag),
        ("log of the frames (MiB)", sample => sample.FramesLog),
        ("log of the state (MiB)", sample => sample.StateLog),
    ];

    /// <summary>The line of column names, and a line each.</summary>
    public static IEnumerable<string> ToCsv(IEnumerable<SoakSample> samples) =>
    [
        string.Join(',', Series.Select(series => series.Name).Prepend("seconds").Append("alerts")),
        .. samples.Select(sample => string.Join(',', Series.Select(series => series.Of(sample)).Prepend(sample.At.TotalSeconds)
            .Append(sample.Alerts).Select(value => FormattableString.Invariant($"{value:0.###}")))),
    ];
}
