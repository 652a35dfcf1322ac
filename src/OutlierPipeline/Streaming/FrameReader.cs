using System.Buffers.Text;
using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Streaming;

/// <summary>Makes a <see cref="Frame"/> of a record of <c>camera.frames</c>: camera, time, trace, and where the picture lies. Nothing is decoded yet.</summary>
internal sealed class FrameReader(FramesOptions options, CameraKeys headerKeys, TimeProvider time)
{
    private readonly string? _cameraHeader = options.CameraHeader;

    public Frame Read(ConsumeResult<CameraKey, RentedPayload> record, PartitionAssignment assignment)
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
                case "traceparent": trace = header.GetValueBytes(); break;
                case "drive-event": endsDrive = record.Message.Value.Length == 0 && header.GetValueBytes() is { } what && what.AsSpan().SequenceEqual("end"u8); break;
            }
            if (_cameraHeader is not null && header.Key == _cameraHeader) camera = header.GetValueBytes();
        }
        var key = record.Message.Key ?? CameraKey.None;
        var id = _cameraHeader is null ? key : headerKeys.Deserialize(camera, camera is null, SerializationContext.Empty);
        long produced = record.Message.Timestamp.UnixTimestampMs;
        var (error, message, range, nanoseconds) = Examine(endsDrive, record.Message.Value, id, contentType, schema, timestamp, produced);
        return new Frame
        {
            Assignment = assignment,
            Offset = record.Offset.Value,
            Key = key,
            Camera = id.Camera,
            CameraBytes = id.Camera is null ? [] : id.Bytes,
            Headers = headers,
            TimestampNanoseconds = nanoseconds,
            ProducedMilliseconds = produced,
            ReadAt = time.GetTimestamp(),
            Payload = record.Message.Value,
            Image = range,
            Trace = PipelineTelemetry.ExtractTrace(trace),
            TraceParent = trace,
            Error = error,
            ErrorMessage = message,
            IsDriveEnd = endsDrive && error == FrameError.None,
        };
    }

    private static (FrameError Error, string? Message, Range Image, long Nanoseconds) Examine(bool endsDrive, RentedPayload payload, CameraKey id, byte[]? contentType, byte[]? schema, byte[]? timestamp, long produced)
    {
        long nanoseconds = produced * 1_000_000;
        if (id.Camera is null)
        {
            string found = id.Bytes.Length switch { 0 => "there is none", > CameraKeys.MaxBytes => $"it has {id.Bytes.Length} bytes", _ => "it is not UTF-8" };
            return (FrameError.MissingCamera, $"a camera id is text of 1 to {CameraKeys.MaxBytes} bytes; {found}", default, nanoseconds);
        }
        if (timestamp is not null)
        {
            if (!Utf8Parser.TryParse(timestamp, out long stated, out int used) || used != timestamp.Length || stated < 0)
                return (FrameError.InvalidHeader, $"frame-timestamp is '{Printable(timestamp)}'; expected Unix nanoseconds as a decimal number", default, nanoseconds);
            nanoseconds = stated;
        }
        if (endsDrive) return (FrameError.None, null, default, nanoseconds);
        if (payload.Length == 0) return (FrameError.Empty, null, default, nanoseconds);
        var error = FramePayload.Unwrap(payload.Span, Text(contentType), Text(schema), out var image, out long? inside);
        if (timestamp is null && inside is { } own) nanoseconds = own;
        return (error, error == FrameError.UnsupportedFormat && contentType is not null ? $"content-type {Printable(contentType)}{(schema is null ? "" : $", schema {Printable(schema)}")}" : null, image, nanoseconds);
    }

    private static string? Text(byte[]? header)
    {
        if (header is null) return null;
        // The usual case makes no string.
        return header.AsSpan().SequenceEqual("image/jpeg"u8) ? "image/jpeg" : Encoding.UTF8.GetString(header);
    }

    private static string Printable(byte[] header)
    {
        string text = Encoding.UTF8.GetString(header.AsSpan(0, Math.Min(header.Length, 100)));
        return string.Concat(text.Select(character => char.IsControl(character) ? '\uFFFD' : character));
    }
}
