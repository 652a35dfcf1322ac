using System.Globalization;
using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// A record for the dead-letter topic: as received, with its reason. What makes it too large for the topic is left out, first the value,
/// then a large key and all headers, each with its
/// size and digest instead, so that no record can hold up its partition.
/// </summary>
internal sealed class DeadLetter
{
    /// <summary>A key up to this size stays: it is wanted to find the camera.</summary>
    private const int SmallKey = 1024;

    private readonly Dictionary<string, string> _reasons = [];
    private byte[]? _key;
    private byte[] _value;
    private Headers? _received;

    public DeadLetter(ConsumedFrame frame, FrameError reason, string? text)
    {
        // Copied: the frame's memory may be used again before the broker has taken it.
        _value = frame.Payload.Span.ToArray();
        _key = frame.Key.Bytes;
        _received = frame.Headers;
        _reasons["error.reason"] = reason.ToString();
        _reasons["error.message"] = text ?? FrameErrors.Describe(reason);
        _reasons["source.topic"] = frame.Assignment.Partition.Topic;
        _reasons["source.partition"] = frame.Assignment.Partition.Partition.Value.ToString(CultureInfo.InvariantCulture);
        _reasons["source.offset"] = frame.Offset.ToString(CultureInfo.InvariantCulture);
        _reasons["source.timestamp"] = frame.ProducedMilliseconds.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Leaves out what is largest; false if there is nothing left to leave out.</summary>
    public bool TryShorten()
    {
        if (_value.Length > 0)
        {
            Omit("payload", _value);
            _value = [];
            return true;
        }
        if (_received is null && _key is null or { Length: <= SmallKey }) return false;
        if (_key is { Length: > SmallKey })
        {
            Omit("key", _key);
            _key = null;
        }
        if (_received is not null) _reasons["error.headers"] = "omitted";
        _received = null;
        return true;
    }

    public Message<byte[], byte[]> ToMessage()
    {
        var headers = new Headers();
        foreach (var header in _received ?? [])
        {
            // A dead letter that was read from a dead-letter topic and failed again says where it failed last.
            if (!_reasons.ContainsKey(header.Key)) headers.Add(header.Key, header.GetValueBytes());
        }
        foreach (var (name, value) in _reasons) headers.Add(name, Encoding.UTF8.GetBytes(value));
        return new Message<byte[], byte[]> { Key = _key!, Value = _value, Headers = headers };
    }

    private void Omit(string what, byte[] bytes)
    {
        _reasons[$"error.{what}"] = "omitted";
        _reasons[$"error.{what}.digest"] = ModelPackage.DigestOf(bytes);
        _reasons[$"error.{what}.bytes"] = bytes.Length.ToString(CultureInfo.InvariantCulture);
    }
}
