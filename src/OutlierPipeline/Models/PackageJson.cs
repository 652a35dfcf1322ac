using System.Text.Json;

namespace OutlierPipeline.Models;

/// <summary>Reads the JSON files of model packages.</summary>
internal static class PackageJson
{
    /// <summary>The file's content.</summary>
    /// <exception cref="JsonException">It is not of that type, or null, or a list in it holds null, which types do not forbid.</exception>
    public static T Read<T>(ReadOnlySpan<byte> json) where T : class
    {
        var value = JsonSerializer.Deserialize<T>(json, ModelCard.Json) ?? throw new JsonException("the file holds null");
        var reader = new Utf8JsonReader(json);
        // One bit a level, from the deepest: whether it is a list. The reader goes no deeper than 64.
        ulong lists = 0;
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.StartArray: lists = lists << 1 | 1; break;
                case JsonTokenType.StartObject: lists <<= 1; break;
                case JsonTokenType.EndArray or JsonTokenType.EndObject: lists >>= 1; break;
                case JsonTokenType.Null when (lists & 1) == 1: throw new JsonException("a list holds null");
            }
        }
        return value;
    }

    /// <summary>A dictionary's entries, none of them null.</summary>
    /// <exception cref="JsonException">One is null.</exception>
    public static void Check<T>(string name, IReadOnlyDictionary<string, T> entries) where T : class
    {
        foreach (var entry in entries)
        {
            if (entry.Value is null) throw new JsonException($"{name}: {entry.Key} is null");
        }
    }
}
