using System.Collections.Concurrent;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Service.Live;

/// <summary>The cameras of this replica as they are now.</summary>
internal sealed class LiveView : IDisposable
{
    private static readonly TimeSpan RestAfter = TimeSpan.FromMinutes(3);
    private readonly ConcurrentDictionary<string, CameraView> _cameras = new();
    private readonly Reconstructor _reconstructor;
    private readonly PipelineOptions _options;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private int _count;

    public LiveView(Reconstructor reconstructor, PipelineOptions options, TimeProvider time)
    {
        (_reconstructor, _options, _time) = (reconstructor, options, time);
        _timer = time.CreateTimer(_ => Rest(), null, RestAfter / 3, RestAfter / 3);
    }

    /// <summary>Cameras that have sent a frame, by name.</summary>
    public IReadOnlyList<CameraView> Cameras => [.. _cameras.Values.OrderBy(view => view.Camera, StringComparer.Ordinal)];

    /// <summary>Called on the detection thread for each scored frame.</summary>
    public void Observe(in FrameObservation frame, in Verdict verdict, CameraDetector detector)
    {
        if (!_cameras.TryGetValue(detector.Camera, out var view))
        {
            // Whoever sends an id makes a camera: of too many those are forgotten that have been silent the longest.
            if (_count >= _options.Kafka.MaxCameras) ForgetOldest();
            view = _cameras.GetOrAdd(detector.Camera, camera => new CameraView(camera, _options.Pictures.For(camera)));
            Interlocked.Increment(ref _count);
        }
        view.Observe(frame, verdict, detector, _time.GetUtcNow(), _reconstructor);
    }

    public CameraView? Find(string camera) => _cameras.GetValueOrDefault(camera);

    public void Dispose() => _timer.Dispose();

    /// <summary>Those that have long been gone are forgotten, those that are silent keep what is shown of the silent.</summary>
    private void Rest()
    {
        var now = _time.GetUtcNow();
        foreach (var view in _cameras.Values)
        {
            if (view.SeenAt < now - _options.Detection.ForgetAfter) Forget(view);
            else view.Rest(now - RestAfter);
        }
    }

    /// <summary>Some at once, since they must be looked for.</summary>
    private void ForgetOldest()
    {
        foreach (var view in _cameras.Values.OrderBy(view => view.SeenAt).Take(1 + _options.Kafka.MaxCameras / 16).ToArray()) Forget(view);
    }

    private void Forget(CameraView view)
    {
        if (_cameras.TryRemove(view.Camera, out _)) Interlocked.Decrement(ref _count);
    }
}
