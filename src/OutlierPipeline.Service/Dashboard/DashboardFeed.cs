using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Live;
using OutlierPipeline.Service.Streams;

namespace OutlierPipeline.Service.Dashboard;

/// <summary>A camera as the wall shows it.</summary>
/// <param name="Now">Null for a camera that another replica reads.</param>
/// <param name="Incident">Its gravest open incident, or null.</param>
/// <param name="SilentSeconds">Since its last frame was scored.</param>
public sealed record CameraTile(string Camera, CameraSummary? Now, Incident? Incident, double SilentSeconds)
{
    private const double Silent = 5;

    public bool IsSilent => Now is not null && SilentSeconds > Silent;

    /// <summary>Grave ones first.</summary>
    public int Rank => Incident is { } incident ? 10 + (int)incident.Severity : IsSilent ? 5 : 0;
}

/// <summary>What all pages show, taken at once.</summary>
/// <param name="Tick">Counts on with each state: a picture's address with it is a new one.</param>
/// <param name="NotReady">Why the service is not ready; empty when it is.</param>
internal sealed record DashboardState(long Tick, DateTimeOffset At, IReadOnlyList<CameraTile> Cameras, IReadOnlyList<Incident> Open,
    IReadOnlyList<string> NotReady, LiveFigures Figures);

/// <summary>Takes the state once a second for all viewers, and only while there are any.</summary>
internal sealed partial class DashboardFeed : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly string[] Away = ["the incidents shown may be old: the database of alerts does not answer"];
    private readonly LiveView _live;
    private readonly LiveMetrics _metrics;
    private readonly IncidentBook _book;
    private readonly PipelineHealth _health;
    private readonly TimeProvider _time;
    private readonly ILogger<DashboardFeed> _log;
    private readonly SemaphoreSlim _taking = new(1);
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly List<Func<DashboardState, Task>> _viewers = [];
    private DashboardState? _state;
    private IReadOnlyList<Incident> _open = [];
    private DateTimeOffset _openAt;
    private volatile bool _isOpenStale = true;
    private bool _isAway;
    private long _tick;

    public DashboardFeed(LiveView live, LiveMetrics metrics, IncidentBook book, AlertBroadcast broadcast, PipelineHealth health,
        TimeProvider time, ILogger<DashboardFeed> log)
    {
        (_live, _metrics, _book, _health, _time, _log) = (live, metrics, book, health, time, log);
        // Over the clock, so that an address of a picture from before a restart is not used again.
        _tick = time.GetUtcNow().ToUnixTimeSeconds();
        broadcast.Published += _ => _isOpenStale = true;
        book.Changed += _ => _isOpenStale = true;
        _timer = time.CreateTimer(_ => _ = TickAsync(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Tells a viewer each new state, until the result is disposed.</summary>
    public IDisposable View(Func<DashboardState, Task> viewer)
    {
        lock (_gate)
        {
            _viewers.Add(viewer);
            if (_viewers.Count == 1) _timer.Change(Interval, Interval);
        }
        return new Viewing(this, viewer);
    }

    /// <summary>The latest state, not older than a second or two.</summary>
    public async Task<DashboardState> CurrentAsync() => _state is { } state && _time.GetUtcNow() - state.At < 2 * Interval
        ? state
        : await TakeAsync();

    public void Dispose()
    {
        _timer.Dispose();
        _taking.Dispose();
    }

    private async Task TickAsync()
    {
        try
        {
            var state = await TakeAsync();
            Func<DashboardState, Task>[] viewers;
            lock (_gate) viewers = [.. _viewers];
            foreach (var viewer in viewers) await ShowAsync(viewer, state);
        }
        catch (Exception e)
        {
            // The next second tries again; pages keep what they show.
            Log.Failed(_log, e.GetBaseException().Message);
        }
    }

    private async Task ShowAsync(Func<DashboardState, Task> viewer, DashboardState state)
    {
        try
        {
            await viewer(state);
        }
        catch (Exception e)
        {
            // A page that goes, or that is wrong, is no other's business.
            Log.NotShown(_log, e.GetBaseException().Message);
        }
    }

    private async Task<DashboardState> TakeAsync()
    {
        await _taking.WaitAsync();
        try
        {
            var now = _time.GetUtcNow();
            if (_state is { } known && now - known.At < Interval / 2) return known;
            if (_isAway || _isOpenStale || now - _openAt > 10 * Interval)
            {
                _isOpenStale = false;
                await AskForOpenAsync(now);
            }
            var gravest = _open.GroupBy(incident => incident.Camera).ToDictionary(group => group.Key, group =>
                group.MaxBy(incident => incident.Severity)!);
            var tiles = new List<CameraTile>();
            foreach (var view in _live.Cameras)
            {
                if (view.Summary() is not { } summary) continue;
                gravest.Remove(view.Camera, out var incident);
                tiles.Add(new CameraTile(view.Camera, summary, incident, Math.Max(0, (now - summary.SeenAt).TotalSeconds)));
            }
            tiles.AddRange(gravest.Values.Select(incident => new CameraTile(incident.Camera, null, incident, 0)));
            return _state = new DashboardState(++_tick, now,
                [.. tiles.OrderByDescending(tile => tile.Rank).ThenBy(tile => tile.Camera, StringComparer.Ordinal)], _open,
                [.. _health.Reasons(), .. _isAway ? Away : []], _metrics.Figures());
        }
        finally
        {
            _taking.Release();
        }
    }

    private async Task AskForOpenAsync(DateTimeOffset now)
    {
        try
        {
            _open = [.. (await _book.ListAsync(AlertFilter.All, null, null, openOnly: true, null, IncidentBook.MaxPage,
                CancellationToken.None)).Incidents];
            _openAt = now;
            _isAway = false;
        }
        catch (Exception e) when (DatabaseFault.Of(e) is not null)
        {
            // Cameras and figures are shown without it.
            _isAway = true;
        }
    }

    private void Leave(Func<DashboardState, Task> viewer)
    {
        lock (_gate)
        {
            _viewers.Remove(viewer);
            if (_viewers.Count == 0) _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    private sealed class Viewing(DashboardFeed feed, Func<DashboardState, Task> viewer) : IDisposable
    {
        public void Dispose() => feed.Leave(viewer);
    }

    private static partial class Log
    {
        [LoggerMessage(540, LogLevel.Warning, "The dashboard could not be brought up to date: {Fault}")]
        public static partial void Failed(ILogger log, string fault);

        [LoggerMessage(541, LogLevel.Debug, "A page could not be brought up to date: {Fault}")]
        public static partial void NotShown(ILogger log, string fault);
    }
}
