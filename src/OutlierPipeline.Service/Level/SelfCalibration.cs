using System.Globalization;
using System.Threading.Channels;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Subscriptions;

namespace OutlierPipeline.Service.Level;

/// <summary>A calibration of the level that may be taken over.</summary>
/// <param name="From">When the first of its drives began.</param>
/// <param name="To">When the last of them ended.</param>
internal sealed record LevelProposal(int Drives, int Frames, DateTimeOffset From, DateTimeOffset To);

/// <summary>How the level of a package is calibrated now.</summary>
/// <param name="Calibration"><c>bootstrap</c> or <c>deployment</c>; null where the package does not say.</param>
/// <param name="Drives">Of the deployment's own that calibrate it.</param>
/// <param name="Gathered">Normal drives that all replicas have gathered.</param>
/// <param name="Needed">Drives that a calibration needs.</param>
/// <param name="Strange">Drives that this replica left out since it began, for more than a tenth of strange frames.</param>
/// <param name="Short">The same, for too few frames.</param>
internal sealed record LevelState(string Model, string? Calibration, int? Drives, int Gathered, int Needed, int Strange, int Short,
    LevelProposal? Proposal);

/// <summary>
/// The level calibrates itself: normal drives of this replica's cameras go to the database, whichever replica holds the lease makes a
/// calibration of them, and all take over the one that is to be taken over.
/// </summary>
internal sealed partial class SelfCalibration : Loop
{
    private const string Itself = "Detection:CalibrateItself";

    /// <summary>Between the first drive and the last, before it is taken over by itself: light and traffic of a whole day.</summary>
    private static readonly TimeSpan Day = TimeSpan.FromHours(24);

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>So many more drives make another calibration.</summary>
    private const double Growth = 1.5;

    private readonly PipelineService _pipeline;
    private readonly PipelineOptions _options;
    private readonly AlertStore _store;
    private readonly LevelBook _book;
    private readonly Lease _lease;
    private readonly ILogger _log;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, NormalDrives> _gathering = [];
    private readonly Channel<(string Package, NormalDrive Drive)> _ended = Channel.CreateBounded<(string, NormalDrive)>(
        new BoundedChannelOptions(64) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Dictionary<string, Calibration> _loaded = [];
    private readonly Dictionary<string, int> _taken = [];

    public SelfCalibration(PipelineService pipeline, PipelineOptions options, AlertStore store, LevelBook book,
        Microsoft.EntityFrameworkCore.IDbContextFactory<AlertDatabase> databases, TimeProvider time, ILogger<SelfCalibration> log)
        : base("the level does not calibrate itself", time, log)
    {
        (_pipeline, _options, _store, _book, _log) = (pipeline, options, store, book, log);
        _lease = new Lease("level", databases, time);
        foreach (var (package, _, _) in pipeline.Models)
        {
            _loaded[package.LoadedDigest] = package.Default.Calibration;
            _gathering[package.LoadedDigest] = new NormalDrives(package.Default.Calibration, options.Detection.DriveGap);
        }
        pipeline.Observed += Observe;
    }

    /// <summary>One entry a package, as of the last round.</summary>
    public IReadOnlyList<LevelState> States { get; private set; } = [];

    /// <summary>What people may take over, one line each.</summary>
    public IReadOnlyList<string> Proposals =>
        [.. States.Where(state => state.Proposal is not null).Select(state => string.Create(CultureInfo.InvariantCulture,
            $"a calibration of {state.Proposal!.Drives} drives, {state.Proposal.Frames} frames is ready for {state.Model}: ")
            + (_options.Detection.CalibrateItself ? "it is taken over once its drives lie a day apart"
                : "take it over with POST /api/level/take-over, or outlier calibrate --scores"))];

    public override void Dispose()
    {
        _pipeline.Observed -= Observe;
        _lease.Dispose();
        base.Dispose();
    }

    /// <summary>Takes over what was taken over before, so that no frame is judged otherwise first.</summary>
    public async Task RestoreAsync(CancellationToken cancellation)
    {
        try
        {
            foreach (var (package, _, _) in _pipeline.Models) await FollowAsync(package, cancellation);
        }
        catch (Exception e) when (DatabaseFault.Of(e) is not null || DatabaseFault.IsOutage(e))
        {
            // The rounds try again.
            Fail(e.GetBaseException().Message);
        }
    }

    /// <summary>Somebody takes over what is proposed.</summary>
    /// <returns>False where nothing is.</returns>
    public async Task<bool> TakeOverAsync(string who, CancellationToken cancellation)
    {
        bool isAny = false;
        foreach (var (package, _, _) in _pipeline.Models)
        {
            if (await _book.LatestAsync(package.LoadedDigest, isTaken: false, cancellation) is not { TakenMilliseconds: null } row
                || !await _book.TakeOverAsync(package.LoadedDigest, row.Drives, who, cancellation)) continue;
            await FollowAsync(package, cancellation);
            isAny = true;
        }
        if (isAny) await TellAsync(cancellation);
        return isAny;
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        // A drive that a restart cuts short is one all the same.
        CloseDrives(long.MaxValue);
        await StoreAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _lease.ReleaseAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    protected override async Task RoundAsync(CancellationToken cancellation)
    {
        await _store.MigrateAsync(cancellation);
        while (!cancellation.IsCancellationRequested)
        {
            CloseDrives(Time.GetUtcNow().Subtract(_options.Detection.DriveGap).ToUnixTimeMilliseconds());
            await StoreAsync(cancellation);
            foreach (var (package, _, _) in _pipeline.Models)
            {
                if (await _lease.HoldAsync(cancellation)) await ProposeAsync(package, cancellation);
                await FollowAsync(package, cancellation);
            }
            await TellAsync(cancellation);
            Succeed();
            using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            await Task.WhenAny(_ended.Reader.WaitToReadAsync(waiting.Token).AsTask(), Task.Delay(Interval, Time, waiting.Token));
            await waiting.CancelAsync();
        }
    }

    /// <summary>Called on the detection thread for each scored frame.</summary>
    private void Observe(in FrameObservation frame, in Verdict verdict, CameraDetector detector)
    {
        var package = detector.Package;
        // Who has a calibration of its own, or of its tag, says nothing of the others.
        if (detector.IsShadow || detector.ClockFault != ClockFault.None || package.For(detector.Camera) != package.Default) return;
        lock (_gate)
        {
            if (_gathering[package.LoadedDigest].Add(detector.Camera, frame.Frame.TimestampNanoseconds, frame.Scores,
                detector.HasOpenIncident, Time.GetUtcNow().ToUnixTimeMilliseconds()) is { } ended)
                _ended.Writer.TryWrite((package.LoadedDigest, ended));
        }
    }

    private void CloseDrives(long before)
    {
        lock (_gate)
        {
            foreach (var (package, drives) in _gathering)
            {
                foreach (var drive in drives.Close(before)) _ended.Writer.TryWrite((package, drive));
            }
        }
    }

    private async Task StoreAsync(CancellationToken cancellation)
    {
        while (_ended.Reader.TryPeek(out var ended))
        {
            await _book.AddAsync(ended.Package, ended.Drive, cancellation);
            _ended.Reader.TryRead(out _);
        }
    }

    /// <summary>Makes a calibration where there are enough drives, or enough more.</summary>
    private async Task ProposeAsync(ModelPackage package, CancellationToken cancellation)
    {
        string digest = package.LoadedDigest;
        int count = await _book.CountAsync(digest, cancellation);
        if (count < DeploymentFit.MinDrives) return;
        int known = (await _book.LatestAsync(digest, isTaken: false, cancellation))?.Drives ?? 0;
        if (count < Math.Min(DeploymentFit.MaxDrives, Growth * known)) return;
        if (count == known) return;
        var drives = await _book.DrivesAsync(digest, cancellation);
        // What came with the package, whatever was taken over since: location and spread must not wander off.
        var calibration = DeploymentFit.Fit(_loaded[digest], drives, _options.Detection.FalseAlarmProbability);
        await _book.ProposeAsync(new LevelCalibrationRow
        {
            Package = digest,
            Drives = drives.Count,
            Frames = drives.Sum(drive => drive.Rows.Length),
            FromNanoseconds = drives.Min(drive => drive.FromNanoseconds),
            ToNanoseconds = drives.Max(drive => drive.ToNanoseconds),
            Json = calibration.ToJson(),
            MadeMilliseconds = Time.GetUtcNow().ToUnixTimeMilliseconds(),
        }, cancellation);
        Log.Ready(_log, drives.Count, package.Card.Name);
    }

    /// <summary>Takes over what is to be.</summary>
    private async Task FollowAsync(ModelPackage package, CancellationToken cancellation)
    {
        string digest = package.LoadedDigest;
        if (_options.Detection.CalibrateItself && await _book.LatestAsync(digest, isTaken: false, cancellation) is
            { TakenMilliseconds: null } ready && UnixNanoseconds.ToDuration(ready.ToNanoseconds - ready.FromNanoseconds) >= Day)
            await _book.TakeOverAsync(digest, ready.Drives, Itself, cancellation);
        if (await _book.LatestAsync(digest, isTaken: true, cancellation) is not { } row || _taken.GetValueOrDefault(digest) == row.Drives)
            return;
        package.TakeOver(Calibration.Parse(row.Json));
        _taken[digest] = row.Drives;
        Log.TakenOver(_log, row.Drives, package.Card.Name, row.TakenBy ?? "");
    }

    private async Task TellAsync(CancellationToken cancellation)
    {
        var states = new List<LevelState>();
        foreach (var (package, _, _) in _pipeline.Models)
        {
            var latest = await _book.LatestAsync(package.LoadedDigest, isTaken: false, cancellation);
            int gathered = await _book.CountAsync(package.LoadedDigest, cancellation);
            var now = package.Default.Calibration;
            lock (_gate)
            {
                var drives = _gathering[package.LoadedDigest];
                states.Add(new LevelState(package.Card.Name, now.Origin, now.DeploymentDrives, gathered, DeploymentFit.MinDrives,
                    drives.StrangeDrives, drives.ShortDrives, latest is not { TakenMilliseconds: null } row ? null
                        : new LevelProposal(row.Drives, row.Frames, UnixNanoseconds.ToTime(row.FromNanoseconds),
                            UnixNanoseconds.ToTime(row.ToNanoseconds))));
            }
        }
        States = states;
    }

    private static partial class Log
    {
        [LoggerMessage(530, LogLevel.Information, "A calibration of the level of {Model} by {Drives} normal drives is ready.")]
        public static partial void Ready(ILogger log, int drives, string model);

        [LoggerMessage(531, LogLevel.Warning, "The level of {Model} is calibrated by {Drives} normal drives from now on, taken over by " +
            "{Who}.")]
        public static partial void TakenOver(ILogger log, int drives, string model, string who);
    }
}
