using System.Buffers;
using System.Text.Unicode;
using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>A record's key as received, and the camera id in it, if it is one.</summary>
/// <param name="Camera">UTF-8 text of 1 to 128 bytes without control characters, or null.</param>
/// <param name="Bytes">The key as received; empty if there was none.</param>
public sealed record CameraKey(string? Camera, byte[] Bytes)
{
    internal static readonly CameraKey None = new(null, []);
}

/// <summary>Reads keys; a camera's id is made a string once, not once a frame.</summary>
internal sealed class CameraKeys : IDeserializer<CameraKey>
{
    public const int MaxBytes = 128;

    /// <summary>Beyond this many ids a key is no longer kept: a producer that draws random keys must not fill the memory.</summary>
    private const int MaxKept = 100_000;

    private readonly Dictionary<string, CameraKey> _kept = [];

    public CameraKey Deserialize(ReadOnlySpan<byte> data, bool isNull, SerializationContext context)
    {
        if (isNull || data.IsEmpty) return CameraKey.None;
        if (data.Length > MaxBytes) return new CameraKey(null, data.ToArray());
        Span<char> characters = stackalloc char[MaxBytes];
        if (Utf8.ToUtf16(data, characters, out _, out int length, replaceInvalidSequences: false) != OperationStatus.Done)
            return new CameraKey(null, data.ToArray());
        var id = characters[..length];
        // They would break what others keep ids in: a NUL ends a text of PostgreSQL's.
        if (id.ContainsAnyInRange('\0', '\x1f') || id.ContainsAnyInRange('\x7f', '\x9f')) return new CameraKey(null, data.ToArray());
        if (_kept.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(id, out var known)) return known;
        var key = new CameraKey(id.ToString(), data.ToArray());
        if (_kept.Count < MaxKept) _kept[key.Camera!] = key;
        return key;
    }

    /// <summary>Why a key is no camera's id.</summary>
    public static string Describe(CameraKey key)
    {
        string found = key.Bytes.Length switch
        {
            0 => "there is none",
            > MaxBytes =>
            $"it has {key.Bytes.Length} bytes",
            _ when Utf8.IsValid(key.Bytes) => "it has control characters",
            _ => "it is not UTF-8"
        };
        return $"a camera id is text of 1 to {MaxBytes} bytes without control characters; {found}";
    }
}
