using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Serialization;
using OutlierPipeline.Alerts;

namespace OutlierPipeline.Detection;

/// <summary>What the onset test remembers of a camera. In a state record it is one string: written out it would not fit.</summary>
[JsonConverter(typeof(OnsetMemoryConverter))]
public sealed class OnsetMemory
{
    private const int Header = 3 * sizeof(float) + 3 * sizeof(long);

    /// <summary>Evidence that the camera has changed against its own last frames: the martingale's natural logarithm.</summary>
    public float Evidence { get; set; }

    /// <summary>The same of changes that came slowly.</summary>
    public float SlowEvidence { get; set; }

    /// <summary>Evidence that the camera does not change.</summary>
    public float Calm { get; set; }

    /// <summary>The first frame of <see cref="Evidence"/>, if there is any. Topic and partition are the camera's.</summary>
    public FrameRef? From { get; set; }

    /// <summary>The camera's running medians: <see cref="OnsetBaseline.Save"/>.</summary>
    public byte[] Baseline { get; set; } = [];

    internal byte[] ToBytes()
    {
        byte[] bytes = new byte[Header + Baseline.Length];
        var from = From ?? default;
        BinaryPrimitives.WriteSingleLittleEndian(bytes, Evidence);
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4), SlowEvidence);
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(8), Calm);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(12), From is null ? -1 : from.Offset);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(20), from.TimestampNanoseconds);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(28), from.Clock);
        Baseline.CopyTo(bytes.AsSpan(Header));
        return bytes;
    }

    /// <exception cref="JsonException">The bytes are too few.</exception>
    internal static OnsetMemory Of(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < Header) throw new JsonException("onset is too short");
        long offset = BinaryPrimitives.ReadInt64LittleEndian(bytes[12..]);
        return new OnsetMemory
        {
            Evidence = BinaryPrimitives.ReadSingleLittleEndian(bytes),
            SlowEvidence = BinaryPrimitives.ReadSingleLittleEndian(bytes[4..]),
            Calm = BinaryPrimitives.ReadSingleLittleEndian(bytes[8..]),
            From = offset < 0 ? null : new FrameRef("", 0, offset, BinaryPrimitives.ReadInt64LittleEndian(bytes[20..]))
            {
                Clock = BinaryPrimitives.ReadInt64LittleEndian(bytes[28..])
            },
            Baseline = bytes[Header..].ToArray(),
        };
    }
}

/// <summary>Base64 of <see cref="OnsetMemory.ToBytes"/>.</summary>
internal sealed class OnsetMemoryConverter : JsonConverter<OnsetMemory>
{
    public override OnsetMemory Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TryGetBytesFromBase64(out byte[]? bytes) ? OnsetMemory.Of(bytes) : throw new JsonException("onset is not base64");

    public override void Write(Utf8JsonWriter writer, OnsetMemory value, JsonSerializerOptions options) =>
        writer.WriteBase64StringValue(value.ToBytes());
}
