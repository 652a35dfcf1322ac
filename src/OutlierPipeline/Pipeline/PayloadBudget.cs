using System.Buffers;
using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>A record's value in rented memory. Its one owner gives it back with <see cref="PayloadBudget.Return"/>.</summary>
public readonly record struct RentedPayload(byte[]? Array, int Length)
{
    public ReadOnlySpan<byte> Span => Array.AsSpan(0, Length);
}

/// <summary>
/// Copies values from librdkafka's memory into rented memory, without a managed allocation a message, and counts what is out:
/// beyond <see cref="Limit"/> bytes the consumer pauses.
/// </summary>
internal sealed class PayloadBudget(long limit) : IDeserializer<RentedPayload>
{
    private long _bytes;

    public long Limit { get; } = limit;

    /// <summary>Bytes of payload that stages hold at present.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    public bool IsExceeded => Bytes > Limit;

    public RentedPayload Deserialize(ReadOnlySpan<byte> data, bool isNull, SerializationContext context)
    {
        if (isNull || data.IsEmpty) return default;
        byte[] array = ArrayPool<byte>.Shared.Rent(data.Length);
        data.CopyTo(array);
        Interlocked.Add(ref _bytes, data.Length);
        return new RentedPayload(array, data.Length);
    }

    public void Return(RentedPayload payload)
    {
        if (payload.Array is null) return;
        Interlocked.Add(ref _bytes, -payload.Length);
        ArrayPool<byte>.Shared.Return(payload.Array);
    }
}
