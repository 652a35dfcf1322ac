using OutlierPipeline.Alerting;
using OutlierPipeline.Detection;
using OutlierPipeline.Inference;

namespace OutlierPipeline.Service.Live;

/// <summary>One point of a camera's history: the strangest frame of a fifth of a second.</summary>
/// <param name="Seconds">Since the Unix epoch, by the frame.</param>
/// <param name="Martingale">Base-10 logarithm of the odds.</param>
/// <param name="Scores">S scores of that frame.</param>
/// <param name="Incident">The incident that was open, or null.</param>
public sealed record CameraPoint(double Seconds, double PValue, double Martingale, float[] Scores, string? Incident);

/// <summary>What a page shows of one camera, taken at once.</summary>
/// <param name="History">In time order, some two minutes.</param>
/// <param name="Latent">The code's way through the latent space, in time order, some ten seconds; each Z values.</param>
/// <param name="SeenAt">When its last frame was scored, by the clock.</param>
public sealed record CameraSnapshot(
    string Camera, ModelPackage Package, FrameRef At, DateTimeOffset SeenAt, double FramesPerSecond, double PValue, double Martingale, string? Incident, bool IsShadow, PictureRule Pictures,
    IReadOnlyList<CameraPoint> History, IReadOnlyList<float[]> Latent);

/// <summary>What is known of one camera on this replica. Written by the detection thread, read by pages.</summary>
/// <param name="pictures">What is shown of its frames.</param>
internal sealed class CameraView(string camera, PictureRule pictures)
{
    private const double PointSeconds = 0.2;
    private const int MaxPoints = 600;
    private const int MaxCodes = 50;

    /// <summary>How long somebody who asked for a picture counts as watching.</summary>
    private static readonly TimeSpan Watching = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan PictureInterval = TimeSpan.FromMilliseconds(200);
    private readonly Lock _gate = new();
    private readonly Queue<CameraPoint> _history = new(MaxPoints);
    private readonly Queue<float[]> _latent = new(MaxCodes);
    private ModelPackage? _package;
    private FrameRef _at;
    private DateTimeOffset _seenAt;
    private DateTimeOffset _watchedUntil;
    private DateTimeOffset _pictureAt;
    private double _interval;
    private double _pValue;
    private double _martingale;
    private string? _incident;
    private bool _isShadow;
    private long _pictures;
    private CameraPoint? _point;
    private double _pointFrom;
    private TaskCompletionSource<LivePicture> _nextPicture = New();

    public string Camera => camera;

    public PictureRule Pictures => pictures;

    public LivePicture? Picture { get; private set; }

    public DateTimeOffset SeenAt
    {
        get
        {
            lock (_gate) return _seenAt;
        }
    }

    public void Observe(in ObservedFrame frame, DateTimeOffset now, Reconstructor reconstructor)
    {
        lock (_gate)
        {
            _package = frame.Package;
            double since = _seenAt == default ? 0 : (frame.At.TimestampNanoseconds - _at.TimestampNanoseconds) / 1e9;
            if (since is > 0 and < 60) _interval = _interval == 0 ? since : 0.9 * _interval + 0.1 * since;
            (_at, _seenAt) = (frame.At, now);
            (_pValue, _martingale, _incident, _isShadow) = (frame.Verdict.PValue, frame.Verdict.Martingale, frame.Incident, frame.IsShadow);
            Remember(frame);
            if (pictures != PictureRule.None && now < _watchedUntil) Show(frame, now, reconstructor);
        }
    }

    /// <summary>The latest picture; from now on, for some seconds, pictures are copied. The first comes with the next frame.</summary>
    /// <param name="patience">How long to wait for it.</param>
    public async Task<LivePicture?> WatchAsync(DateTimeOffset now, TimeSpan patience, TimeProvider time, CancellationToken cancellation)
    {
        Task<LivePicture> next;
        lock (_gate)
        {
            bool isStale = now > _watchedUntil;
            _watchedUntil = now + Watching;
            if (Picture is { } picture && (!isStale || now - _seenAt > Watching)) return picture;
            next = _nextPicture.Task;
        }
        try
        {
            return await next.WaitAsync(patience, time, cancellation);
        }
        catch (TimeoutException)
        {
            return Picture;
        }
    }

    /// <summary>Null before the first frame.</summary>
    public CameraSnapshot? Snapshot()
    {
        lock (_gate)
        {
            if (_package is null) return null;
            CameraPoint[] history = _point is null ? [.. _history] : [.. _history, _point];
            return new CameraSnapshot(camera, _package, _at, _seenAt, _interval > 0 ? 1 / _interval : 0, _pValue, _martingale, _incident, _isShadow, pictures, history, [.. _latent]);
        }
    }

    private void Remember(in ObservedFrame frame)
    {
        double seconds = frame.At.TimestampNanoseconds / 1e9;
        if (_point is not null && seconds - _pointFrom < PointSeconds && seconds >= _pointFrom && _point.Martingale >= frame.Verdict.Martingale) return;
        if (_point is null || seconds - _pointFrom >= PointSeconds || seconds < _pointFrom)
        {
            if (_point is not null) Add(_history, _point, MaxPoints);
            Add(_latent, frame.Latent.ToArray(), MaxCodes);
            _pointFrom = seconds;
        }
        _point = new CameraPoint(seconds, frame.Verdict.PValue, frame.Verdict.Martingale, frame.Scores.ToArray(), frame.Incident);
    }

    private void Show(in ObservedFrame frame, DateTimeOffset now, Reconstructor reconstructor)
    {
        if (now - _pictureAt < PictureInterval) return;
        _pictureAt = now;
        Picture = new LivePicture(frame, ++_pictures, reconstructor, pictures == PictureRule.Blurred);
        var waiting = _nextPicture;
        _nextPicture = New();
        waiting.TrySetResult(Picture);
    }

    private static void Add<T>(Queue<T> queue, T value, int capacity)
    {
        if (queue.Count == capacity) queue.Dequeue();
        queue.Enqueue(value);
    }

    private static TaskCompletionSource<LivePicture> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
