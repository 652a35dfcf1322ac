using System.Text.Json;
using System.Text.Json.Nodes;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>As much of JSON Schema as the project's documents use; a keyword that it does not know fails.</summary>
/// <param name="document">Where references begin.</param>
internal sealed class JsonSchema(JsonNode document)
{
    private static readonly HashSet<string> Ignored = ["$schema", "$id", "$defs", "title", "description", "format", "default",
        "pattern", "summary"];

    /// <summary>What does not fit, each with its path; empty if all does.</summary>
    public IEnumerable<string> Faults(JsonNode? value, JsonNode schema, string path = "$")
    {
        foreach (var (keyword, rule) in schema.AsObject())
        {
            foreach (string fault in keyword switch
            {
                "$ref" => Faults(value, Resolve(rule!.GetValue<string>()), path),
                "type" => Types(rule!).Any(type => Is(value, type)) ? [] : [$"{path} is {Kind(value)}, not {rule!.ToJsonString()}"],
                "const" => JsonNode.DeepEquals(value, rule) ? [] : [$"{path} is {value}, not {rule}"],
                "enum" => rule!.AsArray().Any(item => JsonNode.DeepEquals(item, value))
                    ? []
                    : [$"{path} is {value}, none of {rule!.ToJsonString()}"],
                "required" => value is JsonObject fields ? rule!.AsArray().Where(name => !fields.ContainsKey(name!.GetValue<string>()))
                    .Select(name => $"{path} lacks {name}") : [],
                "properties" => value is JsonObject known ? known.Where(field => rule!.AsObject().ContainsKey(field.Key))
                    .SelectMany(field => Faults(field.Value, rule![field.Key]!, $"{path}.{field.Key}")) : [],
                "additionalProperties" =>
                    value is JsonObject more && rule is JsonObject
                    ? more.Where(field => schema["properties"]?.AsObject().ContainsKey(field.Key) != true).SelectMany(field =>
                    Faults(field.Value, rule, $"{path}.{field.Key}")) : [],
                "items" => value is JsonArray items ? items.SelectMany((item, i) => Faults(item, rule!, $"{path}[{i}]")) : [],
                "oneOf" => rule!.AsArray().Count(option => !Faults(value, option!, path).Any()) == 1
                    ? []
                    : [$"{path} fits not exactly one of {rule!.ToJsonString()}"],
                "anyOf" => rule!.AsArray().Any(option => !Faults(value, option!, path).Any())
                    ? []
                    : [$"{path} fits none of {rule!.ToJsonString()}"],
                "minimum" => value is JsonValue && Number(value) >= Number(rule!) ? [] : [$"{path} is less than {rule}"],
                "exclusiveMinimum" => value is JsonValue && Number(value) > Number(rule!) ? [] : [$"{path} is not more than {rule}"],
                "maximum" => value is JsonValue && Number(value) <= Number(rule!) ? [] : [$"{path} is more than {rule}"],
                _ => Ignored.Contains(keyword) ? [] : [$"{path}: this test does not know {keyword}"],
            }) yield return fault;
        }
    }

    /// <summary>Fields that an object has and its schema does not name, all the way down.</summary>
    public IEnumerable<string> Undocumented(JsonNode? value, JsonNode schema, string path = "$")
    {
        while (schema["$ref"] is { } reference) schema = Resolve(reference.GetValue<string>());
        if ((schema["oneOf"] ?? schema["anyOf"]) is JsonArray options && schema["properties"] is null)
            return value is null ? [] : Undocumented(value, options.First(option => option!["type"]?.ToString() != "null")!, path);
        return value switch
        {
            JsonObject fields when schema["properties"] is JsonObject named =>
                fields.SelectMany(field => named[field.Key] is { } known
                ? Undocumented(field.Value, known, $"{path}.{field.Key}")
                : [$"{path}.{field.Key}"]),
            JsonArray items when schema["items"] is { } item =>
                items.SelectMany((element, i) => Undocumented(element, item, $"{path}[{i}]")),
            _ => [],
        };
    }

    private JsonNode Resolve(string reference) =>
        reference.TrimStart('#', '/').Split('/').Aggregate(document, (node, step) =>
        node[step.Replace("~1", "/", StringComparison.Ordinal)] ?? throw new InvalidOperationException($"{reference} leads nowhere"));

    private static IEnumerable<string> Types(JsonNode rule) => rule is JsonArray types
        ? types.Select(type => type!.GetValue<string>())
        : [rule.GetValue<string>()];

    private static double Number(JsonNode node) => double.Parse(node.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture);

    private static bool Is(JsonNode? value, string type) => type == Kind(value) || type == "number" && Kind(value) == "integer";

    private static string Kind(JsonNode? value) => value switch
    {
        null => "null",
        JsonObject => "object",
        JsonArray => "array",
        _ => value.GetValueKind() switch
        {
            JsonValueKind.String => "string",
            JsonValueKind.Number => value.AsValue().TryGetValue<long>(out _) ? "integer" : "number",
            JsonValueKind.True or JsonValueKind.False => "boolean",
            _ => "null",
        },
    };
}
