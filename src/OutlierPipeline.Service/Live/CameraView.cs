using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Service.Live;

/// <summary>One point of a camera's history: the strangest frame of a fifth of a second.</summary>
/// <param name="Seconds">Since the Unix epoch, by the frame.</param>
/// <param name="Martingale">Base-10 logarithm of the odds.</param>
/// <param name="Scores">S scores of that frame.</param>
/// <param name="Incident">The incident that was open, or null.</param>
public sealed record CameraPoint(double Seconds, double PValue, double Martingale, float[] Scores, string? Incident);

/// <summary>A camera at its last frame.</summary>
/// <param name="SeenAt">When that frame was scored, by the clock.</param>
/// <param name="Pictures">What is shown of its frames.</param>
/// <param name="ClockFault">What is wrong with its clock.</param>
/// <param name="ClockCorrections">Frames whose time was corrected since the process began.</param>
public record CameraSummary(
    string Camera, ModelPackage Package, FrameRef At, DateTimeOffset SeenAt, double FramesPerSecond, double PValue, double Martingale,
        string? Incident, bool IsShadow, PictureRule Pictures, ClockFault ClockFault, long ClockCorrections);

/// <summary>What a page shows of one camera, taken at once.</summary>
/// <param name="History">In time order, some two minutes; empty for a camera that has been silent for longer.</param>
/// <param name="Latent">The code's way through the latent space, in time order, some ten seconds; each Z values.</param>
public sealed record CameraSnapshot(CameraSummary Summary, IReadOnlyList<CameraPoint> History, IReadOnlyList<float[]> Latent)
    : CameraSummary(Summary);

/// <summary>
/// What is known of one camera on this replica. Written by the detection thread, read by pages. There are as many as ids were ever sent, so
/// one that sends nothing holds its summary and nothing else.
/// </summary>
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
    private ModelPackage? _package;
    private FrameRef _at;
    private DateTimeOffset _seenAt;
    private double _interval;
    private double _pValue;
    private double _martingale;
    private string? _incident;
    private bool _isShadow;
    private ClockFault _clockFault;
    private long _clockCorrections;
    private Trail? _trail;
    private Watch? _watch;

    public string Camera => camera;

    public PictureRule Pictures => pictures;

    public DateTimeOffset SeenAt
    {
        get
        {
            lock (_gate) return _seenAt;
        }
    }

    public void Observe(in FrameObservation frame, in Verdict verdict, CameraDetector detector, DateTimeOffset now,
        Reconstructor reconstructor)
    {
        lock (_gate)
        {
            _package = detector.Package;
            double since = _seenAt == default ? 0
                : UnixNanoseconds.SecondsBetween(_at.TimestampNanoseconds, frame.Frame.TimestampNanoseconds);
            if (since is > 0 and < 60) _interval = _interval == 0 ? since : 0.9 * _interval + 0.1 * since;
            (_at, _seenAt) = (frame.Frame, now);
            (_pValue, _martingale, _incident, _isShadow) = (verdict.PValue, verdict.Martingale, detector.Incident, detector.IsShadow);
            (_clockFault, _clockCorrections) = (detector.ClockFault, detector.ClockCorrections);
            (_trail ??= new Trail()).Add(frame, verdict, detector.Incident);
            if (pictures != PictureRule.None && _watch is { } watch && now < watch.Until)
                Show(watch, frame, detector, now, reconstructor, pictures);
        }
    }

    /// <summary>The latest picture; from now on, for some seconds, pictures are copied. The first comes with the next frame.</summary>
    /// <param name="patience">How long to wait for it.</param>
    public async Task<LivePicture?> WatchAsync(DateTimeOffset now, TimeSpan patience, TimeProvider time, CancellationToken cancellation)
    {
        Task<LivePicture> next;
        Watch watch;
        lock (_gate)
        {
            watch = _watch ??= new Watch();
            bool isStale = now > watch.Until;
            watch.Until = now + Watching;
            if (watch.Picture is { } picture && (!isStale || now - _seenAt > Watching)) return picture;
            next = watch.Next.Task;
        }
        try
        {
            return await next.WaitAsync(patience, time, cancellation);
        }
        catch (TimeoutException)
        {
            return watch.Picture;
        }
    }

    /// <summary>Null before the first frame.</summary>
    public CameraSummary? Summary()
    {
        lock (_gate)
        {
            double framesPerSecond = _interval > 0 ? 1 / _interval : 0;
            return _package is null
                ? null
                : new CameraSummary(camera, _package, _at, _seenAt, framesPerSecond, _pValue, _martingale, _incident, _isShadow, pictures,
                    _clockFault, _clockCorrections);
        }
    }

    /// <summary>Null before the first frame.</summary>
    public CameraSnapshot? Snapshot()
    {
        lock (_gate) return Summary() is { } summary ? new CameraSnapshot(summary, _trail?.History ?? [], _trail?.Latent ?? []) : null;
    }

    /// <summary>Lets go of what nobody looks at any more.</summary>
    /// <param name="before">Of cameras that were seen later, and of pictures that were asked for later, nothing.</param>
    public void Rest(DateTimeOffset before)
    {
        lock (_gate)
        {
            if (_seenAt < before) _trail = null;
            if (_watch is { } watch && watch.Until < before) _watch = null;
        }
    }

    private static void Show(Watch watch, in FrameObservation frame, CameraDetector detector, DateTimeOffset now,
        Reconstructor reconstructor, PictureRule pictures)
    {
        if (now - watch.PictureAt < PictureInterval) return;
        watch.PictureAt = now;
        watch.Picture = new LivePicture(frame, detector, ++watch.Pictures, reconstructor, pictures == PictureRule.Blurred);
        var waiting = watch.Next;
        watch.Next = New();
        waiting.TrySetResult(watch.Picture);
    }

    private static TaskCompletionSource<LivePicture> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Somebody asked for pictures.</summary>
    private sealed class Watch
    {
        public DateTimeOffset Until { get; set; }

        public DateTimeOffset PictureAt { get; set; }

        public long Pictures { get; set; }

        public LivePicture? Picture { get; set; }

        public TaskCompletionSource<LivePicture> Next { get; set; } = New();
    }

    /// <summary>The last two minutes.</summary>
    private sealed class Trail
    {
        private readonly Queue<CameraPoint> _history = new();
        private readonly Queue<float[]> _latent = new();
        private CameraPoint? _point;
        private double _pointFrom;

        public CameraPoint[] History => _point is null ? [.. _history] : [.. _history, _point];

        public float[][] Latent => [.. _latent];

        public void Add(in FrameObservation frame, in Verdict verdict, string? incident)
        {
            double seconds = UnixNanoseconds.ToSeconds(frame.Frame.TimestampNanoseconds);
            if (_point is not null && seconds - _pointFrom < PointSeconds && seconds >= _pointFrom
                && _point.Martingale >= verdict.Martingale) return;
            if (_point is null || seconds - _pointFrom >= PointSeconds || seconds < _pointFrom)
            {
                if (_point is not null) Keep(_history, _point, MaxPoints);
                Keep(_latent, frame.Latent.ToArray(), MaxCodes);
                _pointFrom = seconds;
            }
            _point = new CameraPoint(seconds, verdict.PValue, verdict.Martingale, frame.Scores.ToArray(), incident);
        }

        private static void Keep<T>(Queue<T> queue, T value, int capacity)
        {
            if (queue.Count == capacity) queue.Dequeue();
            queue.Enqueue(value);
        }
    }
}
