namespace OutlierPipeline.Frames;

/// <summary>Finds the encoded picture in a record's value: the value itself, or the <c>data</c> of a <c>foxglove.CompressedImage</c>.</summary>
public static class FramePayload
{
    private const string CompressedImage = "foxglove.CompressedImage";

    /// <param name="value">The record's value, not empty.</param>
    /// <param name="contentType">The header <c>content-type</c>, if there is one.</param>
    /// <param name="schema">The header <c>schema</c>, if there is one.</param>
    /// <param name="image">Where the picture lies in the value.</param>
    /// <param name="timestampNanoseconds">The message's own time, Unix nanoseconds, if it has one.</param>
    public static FrameError Unwrap(ReadOnlySpan<byte> value, string? contentType, string? schema, out Range image, out long? timestampNanoseconds)
    {
        image = Range.All;
        timestampNanoseconds = null;
        if (contentType is null) return FrameError.None;
        var type = contentType.AsSpan();
        int parameters = type.IndexOf(';');
        if (parameters >= 0) type = type[..parameters];
        type = type.Trim();
        // Which kind of picture is told from its first bytes: a header that is wrong about that costs no frame.
        if (type.StartsWith("image/", StringComparison.OrdinalIgnoreCase) || type.Equals("application/octet-stream", StringComparison.OrdinalIgnoreCase)) return FrameError.None;
        if (type.Equals("application/x-protobuf", StringComparison.OrdinalIgnoreCase) && schema == CompressedImage) return ReadMessage(value, out image, out timestampNanoseconds);
        return FrameError.UnsupportedFormat;
    }

    /// <summary>The wire format of <c>foxglove.CompressedImage</c>: 1 timestamp, 2 data, 3 format, 4 frame id. Read in place: a generated class would copy the picture.</summary>
    private static FrameError ReadMessage(ReadOnlySpan<byte> message, out Range image, out long? timestampNanoseconds)
    {
        image = default;
        timestampNanoseconds = null;
        bool hasData = false;
        int position = 0;
        while (position < message.Length)
        {
            if (!TryVarint(message, ref position, out ulong tag)) return FrameError.Truncated;
            switch (tag & 7)
            {
                case 0:
                    if (!TryVarint(message, ref position, out _)) return FrameError.Truncated;
                    break;
                case 1:
                    position += 8;
                    break;
                case 2:
                    if (!TryVarint(message, ref position, out ulong length)) return FrameError.Truncated;
                    if (length > (ulong)(message.Length - position)) return FrameError.Truncated;
                    var field = position..(position + (int)length);
                    position += (int)length;
                    switch (tag >> 3)
                    {
                        case 1:
                            if (!TryTimestamp(message[field], out long nanoseconds)) return FrameError.Corrupt;
                            timestampNanoseconds = nanoseconds;
                            break;
                        case 2:
                            image = field;
                            hasData = length > 0;
                            break;
                        case 3 when message[field].StartsWith("h26"u8):
                            return FrameError.UnsupportedFormat;
                    }
                    break;
                case 5:
                    position += 4;
                    break;
                default:
                    return FrameError.Corrupt;
            }
            if (position > message.Length) return FrameError.Truncated;
        }
        return hasData ? FrameError.None : FrameError.Empty;
    }

    private static bool TryTimestamp(ReadOnlySpan<byte> message, out long nanoseconds)
    {
        nanoseconds = 0;
        int position = 0;
        while (position < message.Length)
        {
            if (!TryVarint(message, ref position, out ulong tag) || (tag & 7) != 0 || !TryVarint(message, ref position, out ulong value)) return false;
            if (tag >> 3 == 1)
            {
                if (value > long.MaxValue / 1_000_000_000 - 1) return false;
                nanoseconds += (long)value * 1_000_000_000;
            }
            else if (tag >> 3 == 2)
            {
                if (value > 999_999_999) return false;
                nanoseconds += (long)value;
            }
        }
        return true;
    }

    private static bool TryVarint(ReadOnlySpan<byte> bytes, ref int position, out ulong value)
    {
        value = 0;
        for (int shift = 0; shift < 64 && position < bytes.Length; shift += 7)
        {
            byte next = bytes[position++];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80) return true;
        }
        return false;
    }
}
