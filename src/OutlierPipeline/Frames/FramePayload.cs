using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>
/// Finds the encoded picture in a record's value: the value itself, or the <c>data</c> of a <c>foxglove.CompressedImage</c>.
/// </summary>
public static class FramePayload
{
    private const string CompressedImage = "foxglove.CompressedImage";

    /// <summary>A schema registry's mark: a zero and the schema's number.</summary>
    private const int RegistryBytes = 5;

    /// <summary>The value's first bytes decide what it is; the headers are hints for what they leave open.</summary>
    /// <param name="value">The record's value, not empty.</param>
    /// <param name="contentType">The header <c>content-type</c>, if there is one.</param>
    /// <param name="schema">The header <c>schema</c>, if there is one.</param>
    public static FrameContent Unwrap(ReadOnlySpan<byte> value, string? contentType, string? schema)
    {
        string type = Normalised(contentType);
        if (ImageHeader.FormatOf(value) is { } format)
            return new FrameContent { Image = Range.All, IsMislabelled = Contradicts(type, format) };
        if (IsFramedByRegistry(value))
            return new FrameContent
            {
                Error = FrameError.UnsupportedFormat,
                Message = "the message has the five bytes of a schema registry in front; send the foxglove.CompressedImage alone"
            };
        bool saysMessage = schema == CompressedImage || schema is null && type is "application/x-protobuf" or "application/protobuf"
            or "application/vnd.google.protobuf";
        var message = ReadMessage(value);
        // Without a hint it counts as a message only if there is a picture in it.
        if (saysMessage || message.Error == FrameError.None && ImageHeader.FormatOf(value[message.Image]) is not null) return message;
        // What is no picture is told by the decoder, from the same bytes; but a type that is meant for others names the misunderstanding.
        bool saysPicture = type.Length == 0 || type.StartsWith("image/", StringComparison.Ordinal) || type is "application/octet-stream"
            or "binary/octet-stream" or "jpeg" or "jpg" or "png" or "webp";
        if (saysPicture || ImageHeader.IsKnownOther(value)) return new FrameContent { Image = Range.All };
        string named = schema is null ? $"{contentType}" : $"{contentType}, schema {schema}";
        return new FrameContent
        {
            Error = FrameError.UnsupportedFormat,
            Message = $"content-type {named}, and the value does not begin like a picture",
        };
    }

    private static string Normalised(string? contentType)
    {
        if (contentType is null or "image/jpeg") return contentType ?? "";
        var type = contentType.AsSpan();
        int parameters = type.IndexOf(';');
        if (parameters >= 0) type = type[..parameters];
        return type.Trim(" \t\"'").ToString().ToLowerInvariant();
    }

    /// <summary>Whether a type names another kind of picture than the bytes are.</summary>
    private static bool Contradicts(string type, ImageFormat format)
    {
        if (!type.StartsWith("image/", StringComparison.Ordinal)) return false;
        string named = type["image/".Length..];
        return !(format switch
        {
            ImageFormat.Jpeg => named is "jpeg" or "jpg" or "pjpeg" or "*" or "",
            ImageFormat.Png => named is "png" or "x-png" or "apng" or "*" or "",
            _ => named is "webp" or "*" or "",
        });
    }

    /// <summary>
    /// A zero, four bytes of the schema's number, the message's index (0, or a length and numbers), and a message behind them.
    /// </summary>
    private static bool IsFramedByRegistry(ReadOnlySpan<byte> value)
    {
        if (value.Length <= RegistryBytes || value[0] != 0 || BinaryPrimitives.ReadInt32BigEndian(value[1..]) < 0) return false;
        var rest = value[RegistryBytes..];
        int position = 0;
        if (!TryVarint(rest, ref position, out ulong count)) return false;
        // The index is in zigzag, and a zero alone stands for the first message.
        for (ulong i = 0; i < count >> 1 && i < 16; i++)
        {
            if (!TryVarint(rest, ref position, out _)) return false;
        }
        return ReadMessage(rest[position..]).Error is FrameError.None or FrameError.InvalidHeader
            || ReadMessage(rest).Error == FrameError.None;
    }

    /// <summary>
    /// The wire format of <c>foxglove.CompressedImage</c>: 1 timestamp, 2 data, 3 format, 4 frame id. Read in place: a generated class
    /// would copy the picture.
    /// </summary>
    private static FrameContent ReadMessage(ReadOnlySpan<byte> message)
    {
        Range? image = null;
        long? timestamp = null;
        bool isTimeValid = true;
        bool isVideo = false;
        int position = 0;
        while (position < message.Length)
        {
            if (!TryVarint(message, ref position, out ulong tag)) return Cut();
            switch (tag & 7)
            {
                case 0:
                    if (!TryVarint(message, ref position, out _)) return Cut();
                    break;
                case 1:
                    position += 8;
                    break;
                case 2:
                    if (!TryVarint(message, ref position, out ulong length) || length > (ulong)(message.Length - position)) return Cut();
                    var field = position..(position + (int)length);
                    position += (int)length;
                    if (tag >> 3 == 1) isTimeValid = TryTimestamp(message[field], out timestamp);
                    else if (tag >> 3 == 2) image = field;
                    else if (tag >> 3 == 3) isVideo = message[field].StartsWith("h26"u8);
                    break;
                case 5:
                    position += 4;
                    break;
                default:
                    return new FrameContent { Error = FrameError.Corrupt, Message = "the value is not a foxglove.CompressedImage" };
            }
            if (position > message.Length) return Cut();
        }
        if (image is not { } found || message[found].IsEmpty)
            return new FrameContent { Error = FrameError.Empty, Message = "the message holds no picture" };
        if (isVideo && ImageHeader.FormatOf(message[found]) is null)
            return new FrameContent { Error = FrameError.UnsupportedFormat, Message = "the message holds video, not a picture" };
        if (!isTimeValid)
            return new FrameContent
            {
                Error = FrameError.InvalidHeader,
                Message = "the message's own timestamp is not valid: seconds from 0 on and nanoseconds from 0 to 999999999 are expected"
            };
        return new FrameContent { Image = found, TimestampNanoseconds = timestamp };

        static FrameContent Cut() => new() { Error = FrameError.Truncated, Message = "the message is cut off" };
    }

    private static bool TryTimestamp(ReadOnlySpan<byte> message, out long? nanoseconds)
    {
        nanoseconds = null;
        ulong seconds = 0;
        ulong rest = 0;
        int position = 0;
        while (position < message.Length)
        {
            if (!TryVarint(message, ref position, out ulong tag) || (tag & 7) != 0 || !TryVarint(message, ref position, out ulong value))
                return false;
            // Of a field that is there twice the last one counts.
            if (tag >> 3 == 1) seconds = value;
            else if (tag >> 3 == 2) rest = value;
        }
        // Negative numbers are varints of ten bytes: larger than any that is meant.
        if (seconds > long.MaxValue / UnixNanoseconds.PerSecond - 1 || rest > 999_999_999) return false;
        nanoseconds = (long)seconds * UnixNanoseconds.PerSecond + (long)rest;
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
