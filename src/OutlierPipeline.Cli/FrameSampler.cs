using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary>Looks at the latest frames of the topic as the service would: key, format, size, decoded or not, and by which model.</summary>
internal sealed class FrameSampler(KafkaOptions kafka, ModelOptions? models, CheckReport report)
{
    private const int Frames = 10;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    public void Sample()
    {
        try
        {
            Look();
        }
        catch (KafkaException e)
        {
            report.Fault("sampled frames", $"none could be read ({e.Error.Reason})", $"The user needs READ on {kafka.FramesTopic}.");
        }
    }

    private void Look()
    {
        var budget = new PayloadBudget(64 * 1024 * 1024);
        var config = new ConsumerConfig(new Dictionary<string, string>(kafka.Client))
        {
            BootstrapServers = kafka.BootstrapServers,
            GroupId = kafka.GroupId,
            EnableAutoCommit = false,
            EnablePartitionEof = true
        };
        using var consumer = new ConsumerBuilder<CameraKey, RentedPayload>(config).SetKeyDeserializer(new CameraKeys())
            .SetValueDeserializer(budget).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
        var starts = Starts(consumer);
        if (starts.Count == 0)
        {
            report.Unknown(kafka.FramesTopic, "holds no frame to look at");
            return;
        }
        consumer.Assign(starts);
        var table = new Table().AddColumns("partition@offset", "camera", "format", "bytes", "picture", "decoded", "model");
        var reader = new FrameReader(new FramesOptions(), new CameraKeys(), TimeProvider.System);
        var clocks = new Dictionary<string, ClockFault>();
        var before = new Dictionary<string, ConsumedFrame>();
        var frames = new List<ConsumedFrame>();
        int bad = 0;
        int seen = 0;
        int ended = 0;
        while (seen < Frames && ended < starts.Count && consumer.Consume(Timeout) is { } record)
        {
            if (record.IsPartitionEOF)
            {
                ended++;
                continue;
            }
            seen++;
            var frame = reader.Read(record, new PartitionAssignment(record.TopicPartition, 0, record.Offset));
            if (!Describe(frame, table)) bad++;
            NoteClock(frame, before, clocks);
            frames.Add(frame);
            budget.Return(frame.Payload);
        }
        report.Show(table);
        foreach (var (camera, fault) in clocks) report.Unknown($"clock of {camera}", ClockWatch.Describe(fault));
        if (BetterCameraHeader(frames) is { } header)
            report.Unknown("camera ids",
                $"nearly every frame has another key, but the header '{header}' names few cameras: Frames:CameraId=header:{header}");
        if (seen == 0)
            report.Fault("sampled frames", "none could be read",
                $"The user needs READ on {kafka.FramesTopic} and on the group {kafka.GroupId}.");
        else if (bad > 0) report.Fault("sampled frames", $"{bad} of {seen} would go to the dead letters", "The column 'decoded' says why.");
        else report.Good("sampled frames", $"{seen} can be scored");
    }

    private List<TopicPartitionOffset> Starts(IConsumer<CameraKey, RentedPayload> consumer)
    {
        using var admin = KafkaClients.Admin(kafka, new BrokerHealth(kafka, NullLogger.Instance));
        var partitions = admin.GetMetadata(kafka.FramesTopic, Timeout).Topics.Single().Partitions;
        var starts = new List<TopicPartitionOffset>();
        foreach (var partition in partitions)
        {
            var at = new TopicPartition(kafka.FramesTopic, partition.PartitionId);
            var marks = consumer.QueryWatermarkOffsets(at, Timeout);
            if (marks.High > marks.Low)
                starts.Add(new TopicPartitionOffset(at, Math.Max(marks.Low, marks.High - Math.Max(1, Frames / partitions.Count))));
        }
        return starts;
    }

    /// <summary>
    /// A header whose few values would be better camera ids than keys of which nearly each is another; null where the keys are good.
    /// </summary>
    internal static string? BetterCameraHeader(IReadOnlyList<ConsumedFrame> frames)
    {
        if (frames.Count < 4 || frames.Select(frame => Convert.ToHexString(frame.Key.Bytes)).Distinct().Count() < 0.8 * frames.Count)
            return null;
        string[] notCameras = ["content-type", "schema", "frame-timestamp", "traceparent", "tracestate", "drive-event"];
        return frames.SelectMany(frame =>
            (frame.Headers ?? []).Select(found => (Name: found.Key, Value: Convert.ToHexString(found.GetValueBytes() ?? []), Frame: frame)))
            .Where(found => !notCameras.Contains(found.Name) && found.Value.Length is > 0 and <= 2 * CameraKeys.MaxBytes)
            .GroupBy(found => found.Name)
            .Where(name => name.Select(found => found.Frame).Distinct().Count() == frames.Count
            && name.Select(found => found.Value).Distinct().Count() <= frames.Count / 2)
            .OrderByDescending(name => name.Key.Contains("cam", StringComparison.OrdinalIgnoreCase)).Select(name =>
            name.Key).FirstOrDefault();
    }

    private static void NoteClock(ConsumedFrame frame, Dictionary<string, ConsumedFrame> before, Dictionary<string, ClockFault> clocks)
    {
        if (frame.Camera is null) return;
        var fault = frame.ClockFault;
        if (fault == ClockFault.None && before.TryGetValue(frame.Camera, out var last))
        {
            double? step = frame.IsStamped ? UnixNanoseconds.SecondsBetween(last.TimestampNanoseconds, frame.TimestampNanoseconds) : null;
            fault = new CameraClock().Step(step, frame.ProducedMilliseconds - last.ProducedMilliseconds, null,
                new FramesOptions().MaxClockSkew).Fault;
        }
        before[frame.Camera] = frame;
        if (fault != ClockFault.None) clocks[frame.Camera] = fault;
    }

    private bool Describe(ConsumedFrame frame, Table table)
    {
        string format = "";
        string picture = "";
        string decoded = frame.Error == FrameError.None ? "" : $"{frame.Error}: {frame.ErrorMessage ?? FrameErrors.Describe(frame.Error)}";
        if (frame.Error == FrameError.None)
        {
            var error = ImageHeader.Read(frame.Encoded, new FrameLimits(), out var header);
            if (error == FrameError.None)
            {
                format = header.Format.ToString();
                picture = $"{header.Width}×{header.Height}";
                using var decoder = new FrameDecoder(new FrameSize(96, 160), new FrameLimits());
                error = decoder.Decode(frame.Encoded, new byte[new FrameSize(96, 160).Bytes]);
            }
            decoded = error == FrameError.None ? "yes" : $"{error}: {FrameErrors.Describe(error)}";
        }
        string camera = frame.Camera ?? "(none)";
        string model = models is null ? "(give --model)" : frame.Camera is null ? "" : Named(models.PathFor(frame.Camera));
        table.AddRow(Markup.Escape($"{frame.Assignment.Partition.Partition.Value}@{frame.Offset}"), Markup.Escape(camera), format,
            frame.Payload.Length.ToString(System.Globalization.CultureInfo.InvariantCulture), picture, Markup.Escape(decoded),
            Markup.Escape(model));
        return decoded == "yes";
    }

    private static string Named(string path) => path.Length == 0 ? "(no model for it)" : ModelPackage.Load(path).Card.Name;
}
