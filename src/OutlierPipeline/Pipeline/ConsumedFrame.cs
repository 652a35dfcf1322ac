using Confluent.Kafka;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Pipeline;

/// <summary>A record of <c>camera.frames</c> on its way through the stages.</summary>
public sealed class ConsumedFrame : Frame
{
    private int _pending = 1;

    /// <summary>The partition and the assignment epoch that the record was read in.</summary>
    public required PartitionAssignment Assignment { get; init; }

    public required long Offset { get; init; }

    /// <summary>The key as received.</summary>
    public required CameraKey Key { get; init; }

    /// <summary>The camera's id as the key of the results.</summary>
    public byte[] CameraBytes { get; init; } = [];

    public Headers? Headers { get; init; }

    /// <summary>
    /// When the picture was taken, Unix nanoseconds: the header <c>frame-timestamp</c>, else the payload's own, else the record's
    /// timestamp.
    /// </summary>
    public long TimestampNanoseconds { get; init; }

    /// <summary>When the record was produced, Unix milliseconds by the record's timestamp; 0 where that cannot be a time.</summary>
    public long ProducedMilliseconds { get; init; }

    /// <summary>Whether the broker wrote that time when it appended the record, and not the producer.</summary>
    public bool IsAppendTime { get; init; }

    /// <summary>What was wrong with the camera's stamp on its own.</summary>
    public ClockFault ClockFault { get; init; }

    /// <summary>Whether the camera stated a time at all.</summary>
    public bool IsStamped { get; init; }

    /// <summary>When it was read, in ticks of <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public long ReadAt { get; init; }

    /// <summary>The record's value as received, in rented memory.</summary>
    public RentedPayload Payload { get; set; }

    /// <summary>Where in the value the encoded picture lies.</summary>
    public Range Image { get; init; }

    /// <summary>The header <c>traceparent</c> as received, to be handed on where no span of our own takes its place.</summary>
    public byte[]? TraceParent { get; init; }

    public override ulong Lot
    {
        get
        {
            // Cameras take turns in a partition: every n-th offset would be the same camera's again and again.
            ulong mixed = ((ulong)Offset + ((ulong)Assignment.Partition.Partition.Value << 48)) * 0x9E37_79B9_7F4A_7C15;
            mixed = (mixed ^ (mixed >> 32)) * 0xD6E8_FEB8_6659_FD93;
            return mixed ^ (mixed >> 32);
        }
    }

    public override bool IsCurrent => Assignment.IsCurrent;

    public override ArraySegment<byte> Encoded
    {
        get
        {
            if (Payload.Array is null) return ArraySegment<byte>.Empty;
            var (offset, length) = Image.GetOffsetAndLength(Payload.Length);
            return new ArraySegment<byte>(Payload.Array, offset, length);
        }
    }

    /// <summary>One more result has to be acknowledged before the frame is done.</summary>
    internal void AddPending() => Interlocked.Increment(ref _pending);

    /// <summary>A result could not be produced: the frame will be read again.</summary>
    internal bool IsFailed { get; set; }

    /// <summary>One result is acknowledged, or the detector has let go. True for the last.</summary>
    internal bool RemovePending() => Interlocked.Decrement(ref _pending) == 0;
}
