using System.Globalization;
using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Cli;

/// <summary>Sends encoded frames to a topic as one camera's, and remembers what was not delivered and why.</summary>
internal sealed class FrameSender : IDisposable
{
    /// <summary>Of the client, so that what the topic takes is the limit: four times what the service reads by default.</summary>
    private const int MaxMessageBytes = 64 * 1024 * 1024;

    private readonly string _topic;
    private readonly string _camera;
    private readonly IProducer<string, byte[]> _producer;
    private readonly HashSet<string> _failures = [];
    private long _sent;
    private long _failed;

    /// <param name="client">librdkafka's properties.</param>
    public FrameSender(Dictionary<string, string> client, string topic, string camera)
    {
        _topic = topic;
        _camera = camera;
        // A batch of frames that is too large for the topic would be refused as a whole: each frame is a batch of its own.
        var config = new ProducerConfig(client) { EnableIdempotence = true, LingerMs = 0, BatchNumMessages = 1 };
        // A frame that cannot be delivered in ten seconds says that something is wrong: the default of five minutes looks like hanging.
        if (!client.ContainsKey("message.timeout.ms")) config.MessageTimeoutMs = 10_000;
        if (!client.ContainsKey("message.max.bytes")) config.MessageMaxBytes = MaxMessageBytes;
        _producer = new ProducerBuilder<string, byte[]>(config).SetLogHandler((_, _) => { })
            .SetErrorHandler((_, error) => Say(error.Reason)).Build();
    }

    public long Sent => Interlocked.Read(ref _sent);

    public long Failed => Interlocked.Read(ref _failed);

    /// <summary>What went wrong, each reason once.</summary>
    public IReadOnlyCollection<string> Failures
    {
        get
        {
            lock (_failures) return [.. _failures];
        }
    }

    /// <summary>Queues one frame, now being when it was taken; what becomes of it is counted.</summary>
    public async Task SendAsync(EncodedFrame frame, CancellationToken cancellation)
    {
        byte[] encoded = frame.Encoded.ToArray();
        long nanoseconds = UnixNanoseconds.Of(DateTimeOffset.UtcNow);
        var headers = new Headers { { "frame-timestamp", Encoding.ASCII.GetBytes(nanoseconds.ToString(CultureInfo.InvariantCulture)) } };
        if (FootageSource.ContentType(encoded) is { } type) headers.Add("content-type", Encoding.ASCII.GetBytes(type));
        var message = new Message<string, byte[]> { Key = _camera, Value = encoded, Headers = headers };
        while (true)
        {
            try
            {
                _producer.Produce(_topic, message, report =>
                {
                    if (report.Error.IsError) Fail(frame.Name, encoded.Length, report.Error, "the topic's max.message.bytes");
                    else Interlocked.Increment(ref _sent);
                });
                return;
            }
            catch (ProduceException<string, byte[]> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
            {
                await Task.Delay(10, cancellation);
            }
            catch (ProduceException<string, byte[]> e) when (e.Error.Code is ErrorCode.MsgSizeTooLarge or ErrorCode.Local_MsgTimedOut)
            {
                Fail(frame.Name, encoded.Length, e.Error, "--client message.max.bytes");
                return;
            }
        }
    }

    public void Flush() => _producer.Flush(TimeSpan.FromSeconds(15));

    public void Dispose() => _producer.Dispose();

    private void Fail(string frame, int bytes, Error error, string setting)
    {
        Interlocked.Increment(ref _failed);
        if (error.Code != ErrorCode.MsgSizeTooLarge)
        {
            Say(error.Reason);
            return;
        }
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{frame}: its {bytes} bytes are more than {_topic} takes: raise {setting}, or send a smaller picture"));
        lock (_failures) _failures.Add($"larger than {setting}");
    }

    private void Say(string reason)
    {
        lock (_failures)
        {
            if (_failures.Add(reason)) Console.Error.WriteLine(reason);
        }
    }
}
