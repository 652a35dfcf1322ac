using System.Buffers.Text;
using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Makes a <see cref="Frame"/> of a record of <c>camera.frames</c>: camera, time, trace, and where the picture lies. Nothing is decoded
/// yet.
/// </summary>
internal sealed class FrameReader(FramesOptions options, CameraKeys headerKeys, TimeProvider time)
{
    private readonly string? _cameraHeader = options.CameraHeader;

    public ConsumedFrame Read(ConsumeResult<CameraKey, RentedPayload> record, PartitionAssignment assignment)
    {
        byte[]? contentType = null;
        byte[]? schema = null;
        byte[]? timestamp = null;
        byte[]? trace = null;
        byte[]? camera = null;
        bool endsDrive = false;
        var headers = record.Message.Headers;
        for (int i = 0; i < headers?.Count; i++)
        {
            var header = headers[i];
            switch (header.Key)
            {
                case "content-type": contentType = header.GetValueBytes(); break;
                case "schema": schema = header.GetValueBytes(); break;
                case "frame-timestamp": timestamp = header.GetValueBytes(); break;
                case "traceparent":
                    trace = header.GetValueBytes() is { } parent && PipelineTelemetry.IsTraceParent(parent)
                    ? parent
                    : null; break;
                case "drive-event":
                    endsDrive = record.Message.Value.Length == 0 && header.GetValueBytes() is { } what
                    && what.AsSpan().SequenceEqual("end"u8); break;
            }
            if (_cameraHeader is not null && header.Key == _cameraHeader) camera = header.GetValueBytes();
        }
        var key = record.Message.Key ?? CameraKey.None;
        var id = _cameraHeader is null ? key : headerKeys.Deserialize(camera, camera is null, SerializationContext.Empty);
        long produced = Plausible(record.Message.Timestamp.UnixTimestampMs);
        var (content, nanoseconds, fault, isStated) = Examine(endsDrive, record.Message.Value, id, contentType, schema,
            timestamp, produced);
        if (content.IsMislabelled) PipelineTelemetry.CountMislabelled();
        return new ConsumedFrame
        {
            Assignment = assignment,
            Offset = record.Offset.Value,
            Key = key,
            Camera = id.Camera,
            CameraBytes = id.Camera is null ? [] : id.Bytes,
            Headers = headers,
            TimestampNanoseconds = nanoseconds,
            ProducedMilliseconds = produced,
            IsAppendTime = record.Message.Timestamp.Type == TimestampType.LogAppendTime,
            ClockFault = fault,
            IsStamped = isStated,
            ReadAt = time.GetTimestamp(),
            Payload = record.Message.Value,
            Image = content.Image,
            Trace = PipelineTelemetry.ExtractTrace(trace),
            TraceParent = trace,
            Error = content.Error,
            ErrorMessage = content.Message,
            IsDriveEnd = endsDrive && content.Error == FrameError.None,
        };
    }

    private (FrameContent Content, long Nanoseconds, ClockFault Fault, bool IsStated) Examine(
        bool endsDrive, RentedPayload payload, CameraKey id, byte[]? contentType, byte[]? schema, byte[]? timestamp, long produced)
    {
        // Without a clock of its own a record counts from when it was read.
        long recordNanoseconds = produced > 0
            ? UnixNanoseconds.Of(TimeSpan.FromMilliseconds(produced))
            : UnixNanoseconds.Of(time.GetUtcNow());
        if (id.Camera is null)
            return (new FrameContent { Error = FrameError.MissingCamera, Message = CameraKeys.Describe(id) }, recordNanoseconds,
                ClockFault.None, false);
        long? stated = null;
        if (timestamp is not null)
        {
            if (!Utf8Parser.TryParse(timestamp, out long parsed, out int used) || used != timestamp.Length || parsed < 0)
            {
                string message = $"frame-timestamp is '{Printable(timestamp)}'; expected Unix nanoseconds as a decimal number";
                return (new FrameContent { Error = FrameError.InvalidHeader, Message = message }, recordNanoseconds,
                    ClockFault.None, false);
            }
            stated = parsed;
        }
        var content = endsDrive
            ? default
            : payload.Length == 0
            ? new FrameContent { Error = FrameError.Empty }
            : FramePayload.Unwrap(payload.Span, Text(contentType), Text(schema));
        stated ??= content.TimestampNanoseconds;
        if (stated is not { } stamp) return (content, recordNanoseconds, produced > 0 ? ClockFault.None : ClockFault.Missing, false);
        if (stamp == 0) return (content, recordNanoseconds, ClockFault.Missing, false);
        var (nanoseconds, isOtherUnit) = FrameTimestamp.Read(stamp, recordNanoseconds);
        return (content, nanoseconds, isOtherUnit ? ClockFault.Unit : ClockFault.None, true);
    }

    /// <summary>A record's time, or 0 where it cannot be one: from before the year 2000, or from the future.</summary>
    private long Plausible(long produced) =>
        produced >= 946_684_800_000 && produced <= time.GetUtcNow().AddDays(1).ToUnixTimeMilliseconds() ? produced : 0;

    private static string? Text(byte[]? header)
    {
        if (header is null) return null;
        // The usual case makes no string.
        return header.AsSpan().SequenceEqual("image/jpeg"u8) ? "image/jpeg" : Printable(header);
    }

    private static string Printable(byte[] header)
    {
        string text = Encoding.UTF8.GetString(header.AsSpan(0, Math.Min(header.Length, 100)));
        return string.Concat(text.Select(character => char.IsControl(character) ? '\uFFFD' : character));
    }
}
