using System.Collections.Concurrent;
using OutlierPipeline.Alerting;
using OutlierPipeline.Detection;

namespace OutlierPipeline.Service.Live;

/// <summary>The cameras of this replica as they are now.</summary>
internal sealed class LiveView(Reconstructor reconstructor, PipelineOptions options, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, CameraView> _cameras = new();

    /// <summary>Called on the detection thread for each scored frame.</summary>
    public void Observe(in ObservedFrame frame)
    {
        if (!_cameras.TryGetValue(frame.Camera, out var view)) view = _cameras.GetOrAdd(frame.Camera, camera => new CameraView(camera, options.Pictures.For(camera)));
        view.Observe(frame, time.GetUtcNow(), reconstructor);
    }

    /// <summary>Cameras that have sent a frame, by name; those that have long been gone are forgotten.</summary>
    public IReadOnlyList<CameraView> Cameras
    {
        get
        {
            var before = time.GetUtcNow() - options.Detection.ForgetAfter;
            foreach (var view in _cameras.Values.Where(view => view.SeenAt != default && view.SeenAt < before)) _cameras.TryRemove(view.Camera, out _);
            return [.. _cameras.Values.OrderBy(view => view.Camera, StringComparer.Ordinal)];
        }
    }

    public CameraView? Find(string camera) => _cameras.GetValueOrDefault(camera);
}
