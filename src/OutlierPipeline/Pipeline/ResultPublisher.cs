using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Produces what a frame leads to, to the partition number that the frame came from, and tells the frame's ledger when the broker has
/// acknowledged the last of it. A result that cannot be produced rewinds its partition; a dead letter that cannot be produced is tried
/// again
/// while its partition pauses. Thread-safe.
/// </summary>
internal sealed partial class ResultPublisher : IDisposable
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    /// <summary>A result up to this size that is refused says that the topic takes nothing, and not that the frame is at fault.</summary>
    private const int SmallResult = 4096;

    private readonly KafkaOptions _options;
    private readonly PayloadBudget _budget;
    private readonly PartitionTable _partitions;
    private readonly PipelineFailure _failure;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly IResultWriter _writer;
    private readonly CancellationTokenSource _stopping = new();

    /// <param name="writer">Owned by the publisher.</param>
    public ResultPublisher(KafkaOptions options, IResultWriter writer, PayloadBudget budget, PartitionTable partitions,
        PipelineFailure failure, TimeProvider time, ILogger log)
    {
        _options = options;
        _writer = writer;
        _budget = budget;
        _partitions = partitions;
        _failure = failure;
        _time = time;
        _log = log;
        Faults = new WriteFaults(time, log);
    }

    /// <summary>What could not be written the last time, and why.</summary>
    public WriteFaults Faults { get; }

    /// <summary>Produces one result of a frame, with the trace that it belongs to.</summary>
    public void Publish(ConsumedFrame frame, string topic, byte[] json, Headers? headers = null)
    {
        frame.AddPending();
        if (PipelineTelemetry.TraceParent(frame.TraceParent) is { } trace) (headers ??= []).Add("traceparent", trace);
        Write(frame.Assignment, topic, new Message<byte[], byte[]> { Key = frame.CameraBytes, Value = json, Headers = headers }, error =>
        {
            if (IsTooLarge(error) && json.Length > SmallResult && frame.Assignment.IsCurrent)
            {
                // It would be too large again: the frame is put aside with its reason, and the partition goes on.
                Log.ResultTooLarge(_log, topic, frame.Assignment.Partition.Partition.Value, frame.Offset, json.Length);
                DeadLetter(frame, FrameError.ResultTooLarge,
                    $"a record of {json.Length} bytes was refused by {topic}: raise the topic's max.message.bytes");
            }
            else if (error.IsError)
            {
                frame.IsFailed = true;
                OnFailed(frame.Assignment, topic, error);
            }
            Complete(frame);
        });
    }

    /// <summary>
    /// Produces an alert that belongs to no frame: of a camera that sends none, or of the fleet. It is part of the partition's next commit.
    /// </summary>
    public void PublishAlone(PartitionAssignment assignment, string topic, byte[] key, byte[] json, Headers headers)
    {
        var acknowledged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        assignment.Alone = Task.WhenAll(assignment.Alone, acknowledged.Task);
        Write(assignment, topic, new Message<byte[], byte[]> { Key = key, Value = json, Headers = headers }, error =>
        {
            if (error.IsError) OnFailed(assignment, topic, error);
            // A failure has ended the assignment: nothing of it is committed any more.
            acknowledged.TrySetResult();
        });
    }

    /// <summary>Sends the record as received to the dead-letter topic, with its reason.</summary>
    public void DeadLetter(ConsumedFrame frame) => DeadLetter(frame, frame.Error, frame.ErrorMessage);

    private void DeadLetter(ConsumedFrame frame, FrameError reason, string? text)
    {
        frame.AddPending();
        PipelineTelemetry.CountDeadLetter(reason);
        Log.DeadLetter(_log, frame.Assignment.Partition.Topic, frame.Assignment.Partition.Partition.Value, frame.Offset, frame.Camera,
            reason, text);
        SendDeadLetter(frame, new DeadLetter(frame, reason, text), blocked: false);
    }

    /// <summary>Produces a state record, or a tombstone for an empty one; completes when it is acknowledged.</summary>
    /// <exception cref="KafkaException">It could not be produced.</exception>
    public Task PublishStateAsync(PartitionAssignment assignment, string camera, byte[]? state)
    {
        var acknowledged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var message = new Message<byte[], byte[]> { Key = Encoding.UTF8.GetBytes(camera), Value = state! };
        Write(assignment, _options.StateTopic, message, error =>
        {
            if (error.IsError) acknowledged.TrySetException(new KafkaException(error));
            else acknowledged.TrySetResult();
        });
        return acknowledged.Task;
    }

    /// <summary>The detector has let go of the frame: it is done as soon as its results are acknowledged.</summary>
    public void Complete(ConsumedFrame frame)
    {
        if (!frame.RemovePending()) return;
        _budget.Return(frame.Payload);
        frame.Payload = default;
        if (frame.IsFailed) return;
        if (frame.Assignment.IsCurrent) frame.Assignment.Ledger.MarkAcknowledged(frame.Offset);
        if (frame.Kind != FrameKind.Picture || frame.ProducedMilliseconds == 0) return;
        PipelineTelemetry.RecordLatency(Math.Max(0, (_time.GetUtcNow().ToUnixTimeMilliseconds() - frame.ProducedMilliseconds) / 1e3));
    }

    /// <summary>The frame belongs to an assignment that has ended: its memory goes back and nothing is said about it.</summary>
    public void Discard(ConsumedFrame frame)
    {
        _budget.Return(frame.Payload);
        frame.Payload = default;
    }

    /// <summary>
    /// Nothing more is waited for: whoever waits for room in the producer's queue goes on, and what is refused is not tried again.
    /// </summary>
    public void Abandon()
    {
        _stopping.Cancel();
        _writer.Abandon();
    }

    public void Dispose()
    {
        Abandon();
        _writer.Dispose();
        _stopping.Dispose();
    }

    private void Write(PartitionAssignment assignment, string topic, Message<byte[], byte[]> message, Action<Error> delivered) =>
        _writer.Write(assignment, new OutgoingRecord(new TopicPartition(topic, assignment.Partition.Partition), message, delivered));

    private void SendDeadLetter(ConsumedFrame frame, DeadLetter letter, bool blocked)
    {
        // No detector has seen these, so no state tells that they are done: only the partition's offset does.
        long after = frame.Error is FrameError.MissingCamera or FrameError.TooManyCameras ? frame.Offset : -1;
        _writer.Write(frame.Assignment, new OutgoingRecord(new TopicPartition(_options.DeadLetterTopic, Partition.Any), letter.ToMessage(),
            error => OnDeadLetter(frame, letter, error, blocked), after));
    }

    private void OnDeadLetter(ConsumedFrame frame, DeadLetter letter, Error error, bool blocked)
    {
        if (!error.IsError)
        {
            if (blocked) _partitions.Post(frame.Assignment, PartitionAction.Resume, PauseReason.DeadLetter);
            Complete(frame);
            return;
        }
        if (!frame.Assignment.IsCurrent || _stopping.IsCancellationRequested)
        {
            frame.IsFailed = true;
            Complete(frame);
            return;
        }
        if (IsTooLarge(error) && letter.TryShorten())
        {
            SendDeadLetter(frame, letter, blocked);
            return;
        }
        if (!blocked)
        {
            Log.DeadLetterBlocked(_log, _options.DeadLetterTopic, frame.Assignment.Partition.Partition.Value, error.Reason);
            _partitions.Post(frame.Assignment, PartitionAction.Pause, PauseReason.DeadLetter);
        }
        frame.Assignment.Outbox.Withhold();
        _ = RetryDeadLetterAsync(frame, letter);
    }

    private async Task RetryDeadLetterAsync(ConsumedFrame frame, DeadLetter letter)
    {
        try
        {
            await Task.Delay(RetryAfter, _time, _stopping.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return;
        }
        SendDeadLetter(frame, letter, blocked: true);
        frame.Assignment.Outbox.Release();
    }

    private static bool IsTooLarge(Error error) => error.Code is ErrorCode.MsgSizeTooLarge or ErrorCode.RecordListTooLarge
        or ErrorCode.InvalidMsgSize;

    /// <summary>A record could not be written: its partition is read again from the last commit.</summary>
    internal void OnFailed(PartitionAssignment assignment, string topic, Error error)
    {
        if (!assignment.IsCurrent || _stopping.IsCancellationRequested) return;
        if (error.IsFatal)
        {
            _failure.Report(new KafkaException(error));
            return;
        }
        assignment.Outbox.Withhold();
        Faults.Add(assignment.Partition, topic, error);
        _partitions.Post(assignment, PartitionAction.Rewind);
    }

    private static partial class Log
    {
        [LoggerMessage(210, LogLevel.Debug,
            "{Topic}[{Partition}]@{Offset} of camera {Camera} goes to the dead letters: {Reason} {Message}")]
        public static partial void DeadLetter(ILogger log, string topic, int partition, long offset, string? camera, FrameError reason,
            string? message);

        [LoggerMessage(211, LogLevel.Error,
            "{Topic} cannot be written ({Reason}); partition {Partition} pauses and tries again until it can.")]
        public static partial void DeadLetterBlocked(ILogger log, string topic, int partition, string reason);

        [LoggerMessage(213, LogLevel.Error,
            "A result of {Topic}[{Partition}]@{Offset} has {Bytes} bytes, more than the topic takes; the frame goes to the dead letters.")]
        public static partial void ResultTooLarge(ILogger log, string topic, int partition, long offset, int bytes);
    }
}
