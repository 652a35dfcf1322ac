using System.Globalization;
using System.Runtime.CompilerServices;
using OutlierPipeline.Frames;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Footage;

/// <summary>What a frames topic received in its last seconds; each camera is a drive.</summary>
/// <param name="camera">Only this camera's frames, or null for all.</param>
internal sealed class TopicFootage(string address, string? camera) : FootageSource
{
    private readonly TopicTail _topic = new(address);

    public override async IAsyncEnumerable<EncodedFrame> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        // Everything here blocks; the caller's thread is a tool's and may.
        await Task.CompletedTask;
        var reader = new FrameReader(new FramesOptions(), new CameraKeys(), TimeProvider.System);
        int others = 0;
        int found = 0;
        foreach (var record in _topic.Read(cancellation))
        {
            others++;
            var frame = reader.Read(record, new PartitionAssignment(record.TopicPartition, 0, record.Offset));
            if (frame.Camera is null || frame.IsDriveEnd || camera is not null && frame.Camera != camera) continue;
            found++;
            string name = string.Create(CultureInfo.InvariantCulture, $"{_topic.Topic}/{record.Partition.Value}@{record.Offset.Value}");
            yield return new EncodedFrame(frame.Camera, name, frame.Error == FrameError.None
                ? frame.Encoded.ToArray()
                : frame.Payload.Span.ToArray())
            {
                Taken = frame.TimestampNanoseconds > 0
                    ? DateTimeOffset.UnixEpoch + UnixNanoseconds.ToDuration(frame.TimestampNanoseconds) : null,
            };
        }
        if (found == 0)
            throw new FootageException(
                $"{address}: no frame{(camera is null ? "" : $" of camera {camera}")} among the {others} records of that time");
    }
}
