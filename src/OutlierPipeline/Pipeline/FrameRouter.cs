using System.Threading.Channels;
using OutlierPipeline.Batching;

namespace OutlierPipeline.Pipeline;

/// <summary>Sends a camera's frames to the lane of the model that scores them.</summary>
internal sealed class FrameRouter(Func<string, Channel<Frame>> laneOf, IReadOnlyList<Channel<Frame>> lanes, int capacity)
{
    private const int MaxRemembered = 100_000;
    private readonly Dictionary<string, Channel<Frame>> _lanes = [];

    /// <summary>
    /// Whether every lane has at least half of its queue free: reading resumes only then, so that it does not stop again at once.
    /// </summary>
    public bool HasRoom => lanes.All(lane => lane.Reader.Count <= capacity / 2);

    /// <summary>False if the lane's queue is full.</summary>
    public bool TryWrite(Frame frame)
    {
        if (!_lanes.TryGetValue(frame.Camera!, out var lane))
        {
            lane = laneOf(frame.Camera!);
            if (_lanes.Count < MaxRemembered) _lanes[frame.Camera!] = lane;
        }
        return lane.Writer.TryWrite(frame);
    }

    public void Complete()
    {
        foreach (var lane in lanes) lane.Writer.TryComplete();
    }
}
