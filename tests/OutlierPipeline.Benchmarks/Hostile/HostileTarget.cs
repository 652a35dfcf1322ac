using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Streams;
using OutlierPipeline.Service.Subscriptions;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary>Something that reads what others wrote.</summary>
/// <param name="Read">Not called by two threads at once.</param>
/// <param name="Documented">Whether an exception is one that it may throw.</param>
internal sealed record HostileTarget(string Name, IReadOnlyList<byte[]> Corpus, Action<byte[]> Read, Func<Exception, bool> Documented)
{
    /// <summary>Whether native code reads it, which could end the process: it runs in one of its own.</summary>
    public bool IsNative { get; init; }

    /// <summary>For one input, of three tries the shortest: other work on the machine is no finding.</summary>
    public TimeSpan MaxTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Ends the process at any exclamation mark, so that a test sees what becomes of it.</summary>
    public static HostileTarget Planted { get; } = Of("planted", ["harmless"u8.ToArray()], input =>
    {
        if (input.Contains((byte)'!')) Environment.FailFast("planted");
    }, _ => false) with
    { IsNative = true };

    /// <summary>All of them: <c>picture</c> decodes, <c>package</c> loads packages, the others parse.</summary>
    public static IReadOnlyList<HostileTarget> All() =>
    [
        Of("frame", HostileCorpus.Frames, ReadFrame(), _ => false),
        Of("detector-state", HostileCorpus.States, input => _ = DetectorState.IsOld(input, DateTimeOffset.UnixEpoch), _ => false),
        Of("topic-identity", HostileCorpus.TopicIds, input => _ = TopicIdentity.Read(input), _ => false),
        Of("alert", HostileCorpus.Alerts, input => _ = AlertRecord.Parse(input).Under(PictureRule.Blurred).ToJson("/p"),
            e => e is FormatException),
        Of("query", HostileCorpus.Queries, ReadQuery, _ => false),
        Of("request", HostileCorpus.Requests, ReadRequest, e => e is JsonException),
        Of("model", HostileCorpus.Cards, input => _ = ModelCard.Parse(input), e => e is JsonException),
        Of("calibration", HostileCorpus.Calibrations, input => _ = Calibration.Parse(input).Combining.Length, e => e is JsonException),
        Of("causes", HostileCorpus.Causes, input => _ = CauseModel.Parse(input), e => e is JsonException),
        Of("footage", HostileCorpus.Footage, input => _ = KnownFootage.Parse(input), e => e is JsonException),
        Of("picture", HostileCorpus.Pictures, DecodePicture(), _ => false) with { IsNative = true },
        PackageTarget.Make(),
    ];

    private static HostileTarget Of(string name, IReadOnlyList<byte[]> corpus, Action<byte[]> read, Func<Exception, bool> documented) =>
        new(name, corpus, read, documented);

    /// <summary>Lengths of key and header, the header's number, key, header, value.</summary>
    private static Action<byte[]> ReadFrame()
    {
        var reader = new FrameReader(new FramesOptions { CameraId = "header:camera" }, new CameraKeys(), TimeProvider.System);
        var keys = new CameraKeys();
        string[] names = ["content-type", "schema", "frame-timestamp", "traceparent", "drive-event", "camera"];
        return input =>
        {
            if (input.Length < 3) return;
            var rest = input.AsSpan(3);
            var key = rest[..Math.Min(input[0], rest.Length)];
            rest = rest[key.Length..];
            byte[] header = rest[..Math.Min(input[1], rest.Length)].ToArray();
            byte[] value = rest[header.Length..].ToArray();
            var message = new Message<CameraKey, RentedPayload>
            {
                Key = keys.Deserialize(key, false, SerializationContext.Empty),
                Value = new RentedPayload(value, value.Length),
                Headers = [new Header(names[input[2] % names.Length], header), new Header("camera", key.ToArray())],
                Timestamp = new Timestamp(input.Sum(each => (long)each) * 1_000_000_000, TimestampType.CreateTime),
            };
            var frame = reader.Read(new ConsumeResult<CameraKey, RentedPayload> { Message = message, Offset = 1 }, null!);
            _ = frame.Error == FrameError.None ? value[frame.Image].Length : 0;
        };
    }

    private static void ReadQuery(byte[] input)
    {
        string text = Encoding.UTF8.GetString(input);
        Refusable(() => _ = AlertFilter.Parse(text, null, null).Fits("truck-17/front", Severity.Info, default));
        Refusable(() => _ = AlertFilter.Parse(null, text, text));
        Refusable(() => _ = StreamPosition.Parse(text).ToString());
        Refusable(() => _ = AlertRecord.Nanoseconds(text));
        _ = WebhookSignature.IsSecret(text);
    }

    private static void ReadRequest(byte[] input)
    {
        var request = JsonSerializer.Deserialize<SubscriptionRequest>(input, JsonSerializerOptions.Web);
        if (request?.Secret is { } secret) _ = WebhookSignature.IsSecret(secret);
        Refusable(() => _ = AlertFilter.Parse(request?.Cameras, request?.MinSeverity, string.Join(',', request?.Kinds ?? [])));
        _ = JsonSerializer.Deserialize<NoteRequest>(input, JsonSerializerOptions.Web);
        _ = JsonSerializer.Deserialize<JudgementRequest>(input, JsonSerializerOptions.Web);
        _ = JsonSerializer.Deserialize<MuteRequest>(input, JsonSerializerOptions.Web);
    }

    private static Action<byte[]> DecodePicture()
    {
        var size = new FrameSize(96, 160);
        var limits = new FrameLimits();
        var decoders = new[] { JpegLibrary.Fastest, JpegLibrary.Skia }.Select(library => new FrameDecoder(size, limits, library)).ToArray();
        byte[] rgb = new byte[size.Bytes];
        return input =>
        {
            foreach (var decoder in decoders) _ = decoder.Decode(input, rgb);
        };
    }

    private static void Refusable(Action read)
    {
        try
        {
            read();
        }
        catch (FormatException)
        {
            // Told to the caller as a bad request.
        }
    }
}
