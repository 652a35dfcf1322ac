using System.Runtime.InteropServices;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Service.Live;

namespace OutlierPipeline.Service;

/// <summary>Runs the pipeline as long as the host runs, and ends the host when the pipeline cannot go on.</summary>
internal sealed partial class PipelineService : BackgroundService
{
    /// <summary>SIGUSR1, by Linux's number: SIGTERM comes with every restart, this from whoever needs the replica no more.</summary>
    private const PosixSignal LeaveForGood = (PosixSignal)10;

    private readonly FramePipeline _pipeline;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly ILogger<PipelineService> _log;

    public PipelineService(PipelineOptions options, LiveView live, IHostApplicationLifetime lifetime, ILogger<PipelineService> log,
        TimeProvider? time = null)
    {
        _pipeline = new FramePipeline(options, log, time) { Alerted = alert => Alerted?.Invoke(alert), Observed = Tell };
        Observed += live.Observe;
        _lifetime = lifetime;
        _log = log;
    }

    /// <summary>
    /// Called for each alert as it is produced, on the pipeline's thread. What is stored and sent on is read from the topic.
    /// </summary>
    public event Action<AlertStep>? Alerted;

    /// <summary>Called for each scored frame, on the detection thread.</summary>
    public event FrameObserver? Observed;

    /// <summary>How many partitions of the frames' topic this process reads.</summary>
    public int AssignedPartitions => _pipeline.AssignedPartitions;

    /// <inheritdoc cref="FramePipeline.Models"/>
    public IEnumerable<(ModelPackage Package, Accelerator Accelerator, int MaxBatchSize)> Models => _pipeline.Models;

    /// <summary>Whether the pipeline could not go on, for which the process ends.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Why no frames are being scored, one line each.</summary>
    public IReadOnlyList<string> NotReady => _pipeline.NotReady;

    /// <inheritdoc cref="FramePipeline.Warnings"/>
    public IReadOnlyList<string> Warnings => _pipeline.Warnings;

    private void Tell(in FrameObservation frame, in Verdict verdict, CameraDetector detector) => Observed?.Invoke(frame, verdict, detector);

    public override void Dispose()
    {
        base.Dispose();
        _pipeline.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var leaving = OperatingSystem.IsLinux() ? PosixSignalRegistration.Create(LeaveForGood, OnLeaveForGood) : null;
        try
        {
            await _pipeline.RunAsync(stoppingToken);
        }
        catch (Exception e)
        {
            // Started again, it goes on at the last commit: that is simpler and surer than repairing itself.
            if (e is PipelineException) Log.Refused(_log, e.Message);
            else Log.Failed(_log, e);
            HasFailed = true;
            // A host that is stopped while it starts calls that a fault of its own, with a stack trace.
            var started = new TaskCompletionSource();
            await using var waiting = _lifetime.ApplicationStarted.Register(started.SetResult);
            await started.Task.WaitAsync(stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _lifetime.StopApplication();
        }
    }

    private void OnLeaveForGood(PosixSignalContext context)
    {
        context.Cancel = true;
        _pipeline.LeavesForGood = true;
        _lifetime.StopApplication();
    }

    private static partial class Log
    {
        [LoggerMessage(400, LogLevel.Critical, "{Fault}")]
        public static partial void Refused(ILogger log, string fault);

        [LoggerMessage(401, LogLevel.Critical,
            "The pipeline cannot go on; the process ends, and its next start goes on at the last commit.")]
        public static partial void Failed(ILogger log, Exception e);
    }
}
