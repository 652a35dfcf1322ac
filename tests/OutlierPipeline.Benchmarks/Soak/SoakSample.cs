namespace OutlierPipeline.Benchmarks.Soak;

/// <summary>What was seen of the service and its broker at one moment, or since the sample before. Sizes are in MiB.</summary>
internal sealed record SoakSample
{
    /// <summary>What is drawn, and held to be flat.</summary>
    public static readonly (string Name, Func<SoakSample, double> Of)[] Series =
    [
        ("resident memory (MiB)", sample => sample.Resident),
        ("managed heap (MiB)", sample => sample.Heap),
        ("open handles", sample => sample.Handles),
        ("threads", sample => sample.Threads),
        ("processor (cores)", sample => sample.Processor),
        ("database (MiB)", sample => sample.Database),
        ("frames/s", sample => sample.FramesPerSecond),
        ("latency p50 (ms)", sample => sample.P50),
        ("latency p99 (ms)", sample => sample.P99),
        ("lag (frames)", sample => sample.Lag),
        ("log of the frames (MiB)", sample => sample.FramesLog),
        ("log of the state (MiB)", sample => sample.StateLog),
    ];

    /// <summary>Since the beginning.</summary>
    public required TimeSpan At { get; init; }

    /// <summary>Of the service's process.</summary>
    public required double Resident { get; init; }

    /// <summary>Managed, after the last collection.</summary>
    public required double Heap { get; init; }

    /// <summary>Open files and sockets.</summary>
    public required double Handles { get; init; }

    public required double Threads { get; init; }

    /// <summary>What the service took of it, in cores.</summary>
    public required double Processor { get; init; }

    /// <summary>With its write-ahead log.</summary>
    public required double Database { get; init; }

    /// <summary>Scores that came.</summary>
    public required double FramesPerSecond { get; init; }

    /// <summary>From produced to read from the topic of scores, in milliseconds.</summary>
    public required double P50 { get; init; }

    public required double P99 { get; init; }

    /// <summary>Frames that the service has not read.</summary>
    public required double Lag { get; init; }

    /// <summary>Of the broker's disk.</summary>
    public required double FramesLog { get; init; }

    public required double StateLog { get; init; }

    /// <summary>Since the beginning.</summary>
    public required double Alerts { get; init; }

    /// <summary>The line of column names, and a line each.</summary>
    public static IEnumerable<string> ToCsv(IEnumerable<SoakSample> samples) =>
    [
        string.Join(',', Series.Select(series => series.Name).Prepend("seconds").Append("alerts")),
        .. samples.Select(sample => string.Join(',', Series.Select(series => series.Of(sample)).Prepend(sample.At.TotalSeconds)
            .Append(sample.Alerts).Select(value => FormattableString.Invariant($"{value:0.###}")))),
    ];
}
