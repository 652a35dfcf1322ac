using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using OutlierPipeline.Models;

namespace OutlierPipeline.Alerts;

/// <summary>Writes the records of <c>ood.alerts</c>: CloudEvents 1.0 in structured JSON (docs/schemas/alert.json).</summary>
public static class AlertEvent
{
    public const string ContentType = "application/cloudevents+json";
    private const string DataSchema = "urn:outlier-pipeline:schema:alert:1";
    private const string Source = "urn:outlier-pipeline";
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The CloudEvents type of a step.</summary>
    public static string TypeOf(AlertType type) => type switch
    {
        AlertType.Opened => "outlier.alert.opened",
        AlertType.Escalated => "outlier.alert.escalated",
        AlertType.Closed => "outlier.alert.closed",
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no such type"),
    };

    /// <param name="scores">S scores of the last frame; empty if it was not scored.</param>
    /// <param name="picture">A small JPEG of frame and heat map, or empty.</param>
    /// <param name="isBlurred">Whether that picture is blurred.</param>
    public static byte[] Write(AlertStep step, ModelPackage package, ReadOnlySpan<float> scores, in Verdict verdict,
        ReadOnlySpan<byte> picture, bool isBlurred = false)
    {
        var buffer = new ArrayBufferWriter<byte>(2048 + picture.Length * 4 / 3);
        using var json = new Utf8JsonWriter(buffer, Options);
        json.WriteStartObject();
        json.WriteString("specversion"u8, "1.0");
        json.WriteString("id"u8, step.EventId);
        json.WriteString("source"u8, Source);
        json.WriteString("type"u8, TypeOf(step.Type));
        json.WriteString("subject"u8, step.Incident);
        JsonNumbers.WriteTime(json, "time"u8, step.Last.TimestampNanoseconds);
        json.WriteString("datacontenttype"u8, "application/json");
        json.WriteString("dataschema"u8, DataSchema);
        json.WriteStartObject("data"u8);
        json.WriteString("camera"u8, step.Camera);
        json.WriteString("kind"u8, JsonNamingPolicy.CamelCase.ConvertName(step.Kind.ToString()));
        json.WriteString("severity"u8, JsonNamingPolicy.CamelCase.ConvertName(step.Severity.ToString()));
        json.WriteString("reason"u8, step.Reason);
        WriteFrame(json, "firstFrame"u8, step.First);
        WriteFrame(json, "lastFrame"u8, step.Last);
        if (step.FiredScore is not null) json.WriteString("firedScore"u8, step.FiredScore);
        if (step.Strangeness is { } strangeness) json.WriteNumber("strangeness"u8, JsonNumbers.Finite((float)strangeness));
        if (step.Cause is { } cause)
        {
            json.WriteStartObject("cause"u8);
            json.WriteString("name"u8, cause.Name);
            json.WriteNumber("probability"u8, Math.Round(cause.Probability, 3));
            json.WriteEndObject();
        }
        if (step.Along.Count > 0)
        {
            json.WriteStartArray("along"u8);
            foreach (var dimension in step.Along)
            {
                json.WriteStartObject();
                json.WriteString("name"u8, dimension.Name);
                json.WriteNumber("sigma"u8, Math.Round(dimension.Sigma, 2));
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        if (step.Test is { } test) json.WriteString("test"u8, JsonNamingPolicy.CamelCase.ConvertName(test.ToString()));
        if (step.Calibration is { } calibration)
        {
            json.WriteStartObject("calibration"u8);
            json.WriteString("origin"u8, calibration.Name);
            if (calibration.Drives is { } drives) json.WriteNumber("drives"u8, drives);
            json.WriteEndObject();
        }
        if (step.IsExtrapolated is { } extrapolated) json.WriteBoolean("extrapolated"u8, extrapolated);
        if (step.Closed is { } closed) json.WriteString("closed"u8, JsonNamingPolicy.CamelCase.ConvertName(closed.ToString()));
        if (step.Where is { } where)
        {
            json.WriteStartObject("where"u8);
            json.WriteNumber("x"u8, where.X);
            json.WriteNumber("y"u8, where.Y);
            json.WriteNumber("width"u8, where.Width);
            json.WriteNumber("height"u8, where.Height);
            json.WriteEndObject();
        }
        if (!scores.IsEmpty)
        {
            json.WriteStartObject("scores"u8);
            for (int k = 0; k < scores.Length; k++) json.WriteNumber(package.Card.Scores[k], JsonNumbers.Finite(scores[k]));
            json.WriteEndObject();
            json.WriteStartObject("pValues"u8);
            for (int k = 0; k < scores.Length; k++)
                json.WriteNumber(package.Card.Scores[k], package.For(step.Camera).Calibration.PValue(k, scores[k]));
            json.WriteEndObject();
            json.WriteNumber("pValue"u8, verdict.PValue);
            if (verdict.OnsetPValue is { } onset) json.WriteNumber("onsetPValue"u8, onset);
        }
        json.WriteNumber("martingale"u8, verdict.Martingale);
        json.WriteStartObject("model"u8);
        json.WriteString("name"u8, package.Card.Name);
        json.WriteString("version"u8, package.Card.Version);
        json.WriteString("digest"u8, package.Digest);
        json.WriteEndObject();
        if (!picture.IsEmpty)
        {
            json.WriteStartObject("picture"u8);
            json.WriteString("contentType"u8, "image/jpeg");
            if (isBlurred) json.WriteBoolean("blurred"u8, true);
            json.WriteBase64String("base64"u8, picture);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteFrame(Utf8JsonWriter json, ReadOnlySpan<byte> name, FrameRef frame)
    {
        json.WriteStartObject(name);
        json.WriteString("topic"u8, frame.Topic);
        json.WriteNumber("partition"u8, frame.Partition);
        json.WriteNumber("offset"u8, frame.Offset);
        JsonNumbers.WriteTime(json, "timestamp"u8, frame.TimestampNanoseconds);
        json.WriteEndObject();
    }
}
