using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Service.Alerts;

/// <summary>
/// A record of <c>ood.alerts</c>, read whole (docs/schemas/alert.json). The topic may hold what others wrote: whatever is of another type,
/// too long, or such that a database or a page could stumble over it, is found here and nowhere later.
/// </summary>
internal sealed record AlertRecord
{
    private const int MaxId = 200;
    private const int MaxCamera = 300;
    private const int MaxText = 4000;
    private const int MaxAlong = 16;
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };
    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly JsonObject _json;

    private AlertRecord(JsonObject json) => _json = json;

    public required string EventId { get; init; }

    public required string Incident { get; init; }

    public required string Type { get; init; }

    public required string Camera { get; init; }

    public required AlertKind Kind { get; init; }

    public required Severity Severity { get; init; }

    public required string Reason { get; init; }

    public required long FirstNanoseconds { get; init; }

    public required long LastNanoseconds { get; init; }

    /// <summary>Why it closed, where that is said.</summary>
    public string? Closed { get; init; }

    public string? FiredScore { get; init; }

    public double? Strangeness { get; init; }

    /// <summary>What the picture looks like, or <c>unknown</c>.</summary>
    public string? Cause { get; init; }

    public double? CauseProbability { get; init; }

    /// <summary>Along what it is unusual; empty where nothing says so.</summary>
    public IReadOnlyList<UnusualDimension> Along { get; init; } = [];

    public bool? IsExtrapolated { get; init; }

    /// <summary>Base-10 logarithm of the odds.</summary>
    public double? Martingale { get; init; }

    /// <summary>The strangest place, in shares of the picture's sides.</summary>
    public Where? Where { get; init; }

    /// <summary>Name and version.</summary>
    public required string Model { get; init; }

    public byte[]? Picture { get; private init; }

    /// <summary>Whether <see cref="Picture"/> was blurred before it was recorded.</summary>
    public bool IsBlurred { get; private init; }

    public bool IsClosed => Type == AlertEvent.TypeOf(AlertType.Closed);

    /// <exception cref="FormatException">The record is no alert; the message says what is wrong.</exception>
    public static AlertRecord Parse(byte[] value)
    {
        try
        {
            var json = JsonNode.Parse(value, null, Strict) as JsonObject ?? throw new FormatException("it is not a JSON object");
            var data = Object(json, "data") ?? throw new FormatException("data is missing");
            var shown = Object(data, "picture");
            byte[]? picture = shown?["base64"] is null ? null : Convert.FromBase64String(Needed(shown, "base64", int.MaxValue));
            shown?.Remove("base64");
            var where = Object(data, "where");
            var cause = Object(data, "cause");
            var model = Object(data, "model");
            Needed(json, "time", MaxText);
            var alert = new AlertRecord(json)
            {
                EventId = Id(json, "id"),
                Incident = Id(json, "subject"),
                Type = Id(json, "type"),
                Camera = Needed(data, "camera", MaxCamera),
                Kind = Word<AlertKind>(data, "kind"),
                Severity = Word<Severity>(data, "severity"),
                Reason = Needed(data, "reason", MaxText),
                FirstNanoseconds = Nanoseconds(Needed(Object(data, "firstFrame"), "timestamp", MaxText)),
                LastNanoseconds = Nanoseconds(Needed(Object(data, "lastFrame"), "timestamp", MaxText)),
                Closed = Text(data, "closed", MaxId),
                FiredScore = Text(data, "firedScore", MaxId),
                Strangeness = Number(data, "strangeness"),
                Cause = cause is null ? null : Needed(cause, "name", MaxId),
                CauseProbability = Number(cause, "probability"),
                Along = Dimensions(data),
                IsExtrapolated = data["extrapolated"]?.GetValue<bool>(),
                Martingale = Number(data, "martingale"),
                Where = Number(where, "x") is { } x
                    ? new Where(x, Number(where, "y") ?? 0, Number(where, "width") ?? 0, Number(where, "height") ?? 0) : null,
                Model = model is null ? "" : $"{Text(model, "name", MaxId)} {Text(model, "version", MaxId)}",
                Picture = picture,
                IsBlurred = shown?["blurred"]?.GetValue<bool>() ?? false,
            };
            // Half a character (a lone surrogate) anywhere, also in fields that nobody knows, is found by writing it.
            _ = alert.ToJson(null);
            return alert;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException or FormatException)
        {
            throw new FormatException(e.Message.ReplaceLineEndings(" "), e);
        }
    }

    /// <summary>The same with no more of its picture than a rule allows, whatever was recorded.</summary>
    public AlertRecord Under(PictureRule rule)
    {
        if (Picture is null || rule == PictureRule.Full || rule == PictureRule.Blurred && IsBlurred) return this;
        byte[] blurred = rule == PictureRule.Blurred ? AlertPicture.Blur(Picture) : [];
        if (blurred.Length == 0) _json["data"]!.AsObject().Remove("picture");
        else _json["data"]!["picture"]!["blurred"] = true;
        return this with { Picture = blurred.Length == 0 ? null : blurred, IsBlurred = blurred.Length > 0 };
    }

    /// <summary>The CloudEvent as it is sent on: a link instead of the picture.</summary>
    /// <param name="picture">The link.</param>
    public string ToJson(string? picture)
    {
        if (picture is not null && _json["data"]!["picture"] is JsonObject shown) shown["url"] = picture;
        return _json.ToJsonString(Relaxed);
    }

    /// <summary>RFC 3339 with up to nine digits of a second, as Unix nanoseconds.</summary>
    /// <exception cref="FormatException">It is none, or out of the range of 64 bits: the years 1678 to 2261.</exception>
    public static long Nanoseconds(string time)
    {
        // .NET's times end at the seventh digit of a second, and round there.
        int dot = time.IndexOf('.', StringComparison.Ordinal);
        int digits = dot < 0 ? 0 : Math.Max(0, time.AsSpan(dot + 1).IndexOfAnyExceptInRange('0', '9'));
        string whole = digits == 0 ? time : time.Remove(dot, digits + 1);
        if (digits > 9 || !DateTimeOffset.TryParse(whole, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var parsed))
            throw new FormatException($"{time} is not an RFC 3339 time");
        if (parsed.UtcDateTime.Year is < 1678 or > 2261) throw new FormatException($"{time} is not within the years 1678 to 2261");
        long beyond = digits == 0 ? 0 : long.Parse(time.AsSpan(dot + 1, digits).ToString().PadRight(9, '0'), CultureInfo.InvariantCulture);
        return UnixNanoseconds.Of(parsed) + beyond;
    }

    /// <summary>Ids stand in headers and addresses.</summary>
    private static string Id(JsonObject json, string field) =>
        Needed(json, field, MaxId) is { Length: > 0 } id && id.All(letter => letter is > ' ' and < (char)127) ? id
        : throw new FormatException($"{field} is empty or not printable");

    private static T Word<T>(JsonObject json, string field) where T : struct, Enum =>
        Needed(json, field, MaxId) is var word && Enum.TryParse<T>(word, ignoreCase: true, out var known) && Enum.IsDefined(known)
            && char.IsAsciiLetter(word[0]) ? known : throw new FormatException($"{field} is {word}, which this version does not know");

    private static string Needed(JsonObject? json, string field, int longest) =>
        Text(json, field, longest) ?? throw new FormatException($"{field} is missing");

    private static string? Text(JsonObject? json, string field, int longest)
    {
        if (json?[field] is not { } node) return null;
        string text = Expected(node, JsonValueKind.String, field).GetValue<string>();
        if (text.Length > longest) throw new FormatException($"{field} has {text.Length} characters; expected at most {longest}");
        // PostgreSQL has no NUL, and a log line or a header no line's end.
        return text.Any(char.IsControl) ? throw new FormatException($"{field} has control characters") : text;
    }

    private static double? Number(JsonObject? json, string field)
    {
        if (json?[field] is not { } node) return null;
        double number = Expected(node, JsonValueKind.Number, field).GetValue<double>();
        return double.IsFinite(number) ? number : throw new FormatException($"{field} is too large");
    }

    private static UnusualDimension[] Dimensions(JsonObject data) => data["along"] switch
    {
        null => [],
        JsonArray { Count: > MaxAlong } many => throw new FormatException($"along has {many.Count} entries; expected at most {MaxAlong}"),
        JsonArray all => [.. all.Select(one => one is JsonObject dimension
            ? new UnusualDimension(Needed(dimension, "name", MaxId),
                Number(dimension, "sigma") ?? throw new FormatException("along has an entry without sigma"))
            : throw new FormatException("along has an entry that is no object"))],
        var other => throw new FormatException($"along is a {other.GetValueKind()}; expected an array"),
    };

    private static JsonObject? Object(JsonObject json, string field) => json[field] switch
    {
        null => null,
        JsonObject inner => inner,
        var other => throw new FormatException($"{field} is a {other.GetValueKind()}; expected an object"),
    };

    private static JsonNode Expected(JsonNode node, JsonValueKind expected, string field) =>
        node.GetValueKind() == expected ? node : throw new FormatException($"{field} is a {node.GetValueKind()}; expected a {expected}");
}
