using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using OutlierPipeline.Detection;

namespace OutlierPipeline.Service.Alerts;

/// <summary>A record of <c>ood.alerts</c>, read (docs/schemas/alert.json).</summary>
internal sealed record AlertRecord
{
    private AlertRecord(JsonObject json) => Json = json;

    /// <summary>The CloudEvent without its picture.</summary>
    public JsonObject Json { get; }

    public required string EventId { get; init; }

    public required string Incident { get; init; }

    public required string Type { get; init; }

    public required string Camera { get; init; }

    public required AlertKind Kind { get; init; }

    public required Severity Severity { get; init; }

    public required string Reason { get; init; }

    public required long FirstNanoseconds { get; init; }

    public required long LastNanoseconds { get; init; }

    public byte[]? Picture { get; init; }

    public bool IsClosed => Type == Alerting.AlertEvent.TypeOf(AlertType.Closed);

    private JsonNode Fields => Json["data"]!;

    /// <exception cref="FormatException">The record is no alert; the message says what is wrong.</exception>
    public static AlertRecord Parse(byte[] value)
    {
        try
        {
            var json = JsonNode.Parse(value) as JsonObject ?? throw new FormatException("it is no JSON object");
            var data = json["data"] as JsonObject ?? throw new FormatException("it has no data");
            byte[]? picture = null;
            if (data["picture"] is JsonObject { } shown && shown["base64"] is { } base64)
            {
                picture = Convert.FromBase64String(base64.GetValue<string>());
                shown.Remove("base64");
            }
            return new AlertRecord(json)
            {
                EventId = Id(json, "id"),
                Incident = Id(json, "subject"),
                Type = Text(json, "type"),
                Camera = Text(data, "camera"),
                Kind = Enum.Parse<AlertKind>(Text(data, "kind"), ignoreCase: true),
                Severity = Enum.Parse<Severity>(Text(data, "severity"), ignoreCase: true),
                Reason = Text(data, "reason"),
                FirstNanoseconds = Nanoseconds(Text(data["firstFrame"] as JsonObject, "timestamp")),
                LastNanoseconds = Nanoseconds(Text(data["lastFrame"] as JsonObject, "timestamp")),
                Picture = picture,
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            throw new FormatException(e.Message, e);
        }
    }

    public string? OptionalText(string field) => Fields[field]?.GetValue<string>();

    public double? OptionalNumber(string field) => Fields[field]?.GetValue<double>();

    public bool? OptionalFlag(string field) => Fields[field]?.GetValue<bool>();

    /// <summary>One side of the strangest place, <c>x</c>, <c>y</c>, <c>width</c> or <c>height</c>.</summary>
    public double? Where(string side) => Fields["where"]?[side]?.GetValue<double>();

    public string ModelName => Fields["model"] is { } model ? $"{model["name"]} {model["version"]}" : "";

    /// <summary>RFC 3339 with up to nine digits of a second, as Unix nanoseconds.</summary>
    public static long Nanoseconds(string time)
    {
        // .NET's times end at the seventh digit of a second, and round there.
        int dot = time.IndexOf('.', StringComparison.Ordinal);
        int digits = dot < 0 ? 0 : Math.Max(0, time.AsSpan(dot + 1).IndexOfAnyExceptInRange('0', '9'));
        string whole = digits == 0 ? time : time.Remove(dot, digits + 1);
        if (digits > 9 || !DateTimeOffset.TryParse(whole, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var parsed)) throw new FormatException($"{time} is no RFC 3339 time");
        long beyond = digits == 0 ? 0 : long.Parse(time.AsSpan(dot + 1, digits).ToString().PadRight(9, '0'), CultureInfo.InvariantCulture);
        return (parsed.UtcTicks - DateTime.UnixEpoch.Ticks) * 100 + beyond;
    }

    /// <summary>Ids stand in headers and addresses.</summary>
    private static string Id(JsonObject json, string field) => Text(json, field) is { Length: > 0 and <= 200 } id && id.All(letter => letter is > ' ' and < (char)127) ? id : throw new FormatException($"{field} is empty, too long or not printable");

    private static string Text(JsonObject? json, string field) => json?[field]?.GetValue<string>() ?? throw new FormatException($"{field} is missing");
}
