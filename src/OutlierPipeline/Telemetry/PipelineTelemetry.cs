using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Telemetry;

/// <summary>The stages whose time is measured.</summary>
public enum Stage
{
    Decode,
    Batch,
    Infer,
    Second,
    Detect,

    /// <summary>A transaction, with <c>Kafka:Delivery=ExactlyOnce</c>.</summary>
    Commit,
}

/// <summary>The product's one <see cref="Meter"/> and one <see cref="ActivitySource"/>, both named <see cref="Name"/>.</summary>
public static class PipelineTelemetry
{
    public const string Name = "OutlierPipeline";

    /// <summary>The tag of a batch's span that tells its number of frames.</summary>
    public const string BatchSizeTag = "outlier.batch.size";

    private static readonly System.Buffers.SearchValues<byte> Hexadecimal = System.Buffers.SearchValues.Create("0123456789abcdef"u8);
    private static readonly Meter Meter = new(Name);
    private static readonly ActivitySource Activities = new(Name);
    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01,
        0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    };
    private static readonly Counter<long> Consumed = Meter.CreateCounter<long>("outlier.frames.consumed", "{frame}",
        "Records read from the frames topic.");
    private static readonly Counter<long> Scored = Meter.CreateCounter<long>("outlier.frames.scored", "{frame}",
        "Frames that a model scored.");
    private static readonly Counter<long> DecodedByCpu = Meter.CreateCounter<long>("outlier.frames.decoded_by_cpu", "{frame}",
        "JPEGs that nvJPEG was meant to decode and did not take: progressive, CMYK, grey, damaged.");
    private static readonly Counter<long> Second = Meter.CreateCounter<long>("outlier.frames.second", "{frame}",
        "Frames that a model's second graph scored too, by the rule that chose them.");
    private static readonly Counter<long> Skipped = Meter.CreateCounter<long>("outlier.frames.skipped", "{frame}",
        "Frames too old to be scored.");
    private static readonly Counter<long> Replayed = Meter.CreateCounter<long>("outlier.frames.replayed", "{frame}",
        "Frames read again that the detector had seen.");
    private static readonly Counter<long> DeadLettered = Meter.CreateCounter<long>("outlier.frames.dead_lettered", "{frame}",
        "Records sent to the dead-letter topic.");
    private static readonly Counter<long> Mislabelled = Meter.CreateCounter<long>("outlier.frames.mislabelled", "{frame}",
        "Frames whose content-type names another kind of picture than they are; they are decoded.");
    private static readonly Counter<long> ClockCorrected = Meter.CreateCounter<long>("outlier.frames.clock_corrected", "{frame}",
        "Frames whose stated time was not used as it is, by what was wrong with it.");
    private static readonly Counter<long> LostBeforeRead = Meter.CreateCounter<long>("outlier.frames.lost_before_read", "{frame}",
        "Offsets that retention removed before they were read.");
    private static readonly Counter<long> StateBytes = Meter.CreateCounter<long>("outlier.state.bytes", "By",
        "Bytes of the state records that were handed on to be written.");
    private static readonly Counter<long> Alerts = Meter.CreateCounter<long>("outlier.alerts", "{alert}", "Alert events produced.");
    private static readonly Counter<long> UnreadableAlerts =
        Meter.CreateCounter<long>("outlier.alerts.unreadable", "{record}",
        "Records of the alerts topic that are not alerts and were skipped.");
    private static readonly Counter<long> Sent = Meter.CreateCounter<long>("messaging.client.sent.messages", "{message}",
        "Records handed to the Kafka producer.");
    private static readonly Histogram<double> StageDuration = Meter.CreateHistogram("outlier.stage.duration", "s",
        "Time of one stage: a frame's in decode and detect, a batch's in batch, infer and second, a transaction's in commit.",
        advice: Seconds);
    private static readonly Histogram<double> Latency = Meter.CreateHistogram("outlier.frame.latency", "s",
        "From a frame's production to the acknowledgement of its score.", advice: Seconds);
    private static readonly Histogram<long> BatchSize = Meter.CreateHistogram("outlier.batch.size", "{frame}", "Frames of one batch.",
        advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256] });
    private static readonly KeyValuePair<string, object?>[] StageTags = [.. Enum.GetNames<Stage>().Select(stage =>
        Tag("stage", stage.ToLowerInvariant()))];

    public static void CountConsumed() => Consumed.Add(1);

    public static void CountScored(string model) => Scored.Add(1, Tag("model", model));

    public static void CountSecond(string model, string rule) => Second.Add(1, Tag("model", model), Tag("rule", rule));

    public static void CountDecodedByCpu() => DecodedByCpu.Add(1);

    public static void CountSkipped() => Skipped.Add(1);

    public static void CountReplayed() => Replayed.Add(1);

    public static void CountDeadLetter(FrameError reason) => DeadLettered.Add(1, Tag("error.reason", reason.ToString()));

    public static void CountMislabelled() => Mislabelled.Add(1);

    public static void CountClockCorrected(ClockFault fault) => ClockCorrected.Add(1, Tag("fault", fault.ToString().ToLowerInvariant()));

    public static void CountLostBeforeRead(long frames) => LostBeforeRead.Add(frames);

    public static void CountState(long bytes) => StateBytes.Add(bytes);

    public static void CountAlert(string type, string kind, string severity) =>
        Alerts.Add(1, Tag("type", type), Tag("kind", kind), Tag("severity", severity));

    public static void CountUnreadableAlert() => UnreadableAlerts.Add(1);

    public static void CountSent(string topic) => Sent.Add(1, Tag("messaging.destination.name", topic));

    public static void RecordStage(Stage stage, TimeSpan time) => StageDuration.Record(time.TotalSeconds, StageTags[(int)stage]);

    public static void RecordLatency(double seconds) => Latency.Record(seconds);

    public static void RecordBatchSize(int frames) => BatchSize.Record(frames);

    /// <summary>Gauges of one running pipeline; dispose the result when it ends.</summary>
    public static IDisposable Observe(Func<long> inFlight, Func<IEnumerable<Measurement<long>>> paused,
        Func<IEnumerable<Measurement<long>>> lag, Func<long> openIncidents)
    {
        // A meter of the same name for each pipeline, since an observable instrument cannot be taken back but with its meter.
        var meter = new Meter(Name);
        meter.CreateObservableGauge("outlier.frames.in_flight", inFlight, "{frame}", "Frames read whose results are not all acknowledged.");
        meter.CreateObservableGauge("outlier.partitions.paused", paused, "{partition}", "Paused partitions by reason.");
        meter.CreateObservableGauge("outlier.consumer.lag", lag, "{message}", "Records of a partition not yet read.");
        meter.CreateObservableGauge("outlier.incidents.open", openIncidents, "{incident}", "Open incidents.");
        return meter;
    }

    /// <summary>A span of one frame, child of the producer's; null when nobody listens.</summary>
    public static Activity? StartFrameSpan(string stage, ActivityContext parent) =>
        Activities.HasListeners() ? Activities.StartActivity(stage, ActivityKind.Consumer, parent) : null;

    /// <summary>A span of one batch; null when nobody listens.</summary>
    public static Activity? StartBatchSpan(string stage) => Activities.HasListeners() ? Activities.StartActivity(stage) : null;

    /// <summary>The context in a W3C <c>traceparent</c>; none if it is missing, cannot be read, or nobody listens.</summary>
    public static ActivityContext ExtractTrace(byte[]? traceparent) =>
        traceparent is not null && Activities.HasListeners()
        && ActivityContext.TryParse(Encoding.ASCII.GetString(traceparent), null, isRemote: true, out var context) ? context : default;

    /// <summary>Whether a header is a W3C <c>traceparent</c> of version 00: what is not is never handed on.</summary>
    public static bool IsTraceParent(ReadOnlySpan<byte> header) =>
        header.Length == 55 && header.StartsWith("00-"u8) && header[35] == '-' && header[52] == '-'
        && !header[3..35].ContainsAnyExcept(Hexadecimal) && !header[36..52].ContainsAnyExcept(Hexadecimal)
        && !header[53..].ContainsAnyExcept(Hexadecimal);

    /// <summary>The W3C <c>traceparent</c> for what is produced: of the current span, or the one received, or null.</summary>
    public static byte[]? TraceParent(byte[]? received) =>
        Activity.Current is { IdFormat: ActivityIdFormat.W3C, Id: { } id } ? Encoding.ASCII.GetBytes(id) : received;

    private static KeyValuePair<string, object?> Tag(string key, object? value) => new(key, value);
}
