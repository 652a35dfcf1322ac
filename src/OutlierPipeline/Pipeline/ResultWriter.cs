using Confluent.Kafka;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>A record on its way to the broker.</summary>
internal sealed class OutgoingRecord(TopicPartition target, Message<byte[], byte[]> message, Action<Error> delivered, long after = -1)
{
    public TopicPartition Target { get; } = target;

    public Message<byte[], byte[]> Message { get; } = message;

    /// <summary>Told once: when the record counts (no error), or that it does not. On any thread.</summary>
    public Action<Error> Delivered { get; } = delivered;

    /// <summary>
    /// It may count only together with the frame of this offset, and all before it; -1 where a camera's state tells that it was written.
    /// </summary>
    public long After { get; } = after;
}

/// <summary>Where the publisher's records go. Thread-safe.</summary>
internal interface IResultWriter : IDisposable
{
    /// <param name="assignment">The partition that the record is a result of.</param>
    void Write(PartitionAssignment assignment, OutgoingRecord record);

    /// <summary>Nothing is waited for any more.</summary>
    void Abandon();
}

/// <summary>Sends each record at once, and it counts when the broker has acknowledged it.</summary>
internal sealed class DirectWriter(KafkaOptions options, BrokerHealth health) : IResultWriter
{
    /// <summary>Whoever still produces is about to see that it is in vain.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly IProducer<byte[], byte[]> _producer = KafkaClients.Producer(options, health);
    private readonly ClientUse _use = new();
    private volatile bool _isAbandoned;

    public void Write(PartitionAssignment assignment, OutgoingRecord record)
    {
        ObjectDisposedException.ThrowIf(!_use.TryEnter(), this);
        try
        {
            Produce(record);
        }
        finally
        {
            _use.Exit();
        }
    }

    public void Abandon() => _isAbandoned = true;

    public void Dispose()
    {
        Abandon();
        // What is still queued is repeated after the next start, with the same ids: waiting for an absent broker would only hold up the
        // stop.
        _producer.Flush(TimeSpan.FromMilliseconds(300));
        if (_use.HasEnded(Patience)) _producer.Dispose();
    }

    private void Produce(OutgoingRecord record)
    {
        while (true)
        {
            try
            {
                _producer.Produce(record.Target, record.Message, report => record.Delivered(report.Error));
                PipelineTelemetry.CountSent(record.Target.Topic);
                return;
            }
            catch (ProduceException<byte[], byte[]> e) when (e.Error.Code == ErrorCode.Local_QueueFull && !_isAbandoned)
            {
                // librdkafka's queue is the bound: whoever produces waits, and with it the stages before.
                Thread.Sleep(5);
            }
            catch (ProduceException<byte[], byte[]> e)
            {
                // Known at once to be undeliverable (too large, not authorized): the same as if the broker had said so.
                record.Delivered(e.Error);
                return;
            }
        }
    }
}
