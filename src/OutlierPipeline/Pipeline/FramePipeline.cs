using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Alerts;
using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// The whole way of a frame: consume, decode, batch, infer, detect, publish. One consumer, one detection thread, and a lane for each model
/// package. Where to start reading.
/// </summary>
public sealed partial class FramePipeline : IDisposable
{
    /// <summary>For leaving the group, beyond what is drained.</summary>
    private static readonly TimeSpan Farewell = TimeSpan.FromMilliseconds(300);

    private readonly PipelineOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Dictionary<string, ModelLane> _lanes = [];
    private readonly Channel<FrameBatch> _scored = Channel.CreateUnbounded<FrameBatch>(new UnboundedChannelOptions
    {
        SingleReader = true,
        AllowSynchronousContinuations = true
    });
    private readonly PipelineFailure _failure = new();
    private readonly PartitionTable _partitions = new();
    private readonly ResultPublisher _publisher;
    private readonly FrameConsumer _consumer;
    private readonly ICommitter _committer;
    private readonly PartitionEnds _ends;
    private readonly BrokerHealth _health;
    private readonly TopicIdentity _identity;
    private readonly AlertPublisher _alerts;
    private readonly DetectionWorker _detection;
    private readonly FrameRouter _router;
    private readonly Readiness _readiness;
    private readonly IDisposable _gauges;
    private bool _isDisposed;

    /// <summary>Loads the model packages and builds the stages; nothing is read yet.</summary>
    /// <exception cref="PipelineException">The configuration is not valid.</exception>
    /// <exception cref="ModelPackageException">A model package was refused.</exception>
    /// <exception cref="AcceleratorException">The accelerator named is not there.</exception>
    public FramePipeline(PipelineOptions options, ILogger log, TimeProvider? time = null)
        : this(options, package => new InferenceEngine(package, options.Inference, log), log, time)
    {
    }

    /// <summary>The same with engines of another making.</summary>
    internal FramePipeline(PipelineOptions options, Func<ModelPackage, InferenceEngine> createEngine, ILogger log,
        TimeProvider? time = null)
    {
        if (options.Validate().FirstOrDefault() is { } fault) throw new PipelineException(fault);
        _options = options;
        _time = time ?? TimeProvider.System;
        _log = log;
        foreach (var (path, package) in options.Model.Load())
            _lanes[path] = new ModelLane(createEngine(package), options, _scored.Writer, _failure, _time);
        _router = new FrameRouter(camera => _lanes[options.Model.PathFor(camera)].Frames, [.. _lanes.Values.Select(lane => lane.Frames)],
            _lanes.Values.First().QueueCapacity);
        _health = new BrokerHealth(options.Kafka, log, _time);
        _identity = new TopicIdentity(options.Kafka, _health);
        var budget = new PayloadBudget(options.Frames.MaxBufferedBytes);
        IResultWriter writer = options.Kafka.Delivery == Delivery.ExactlyOnce ? new OutboxWriter()
            : new DirectWriter(options.Kafka, _health);
        _publisher = new ResultPublisher(options.Kafka, writer, budget, _partitions, _failure, _time, log);
        _committer = writer is OutboxWriter outboxes
            ? new TransactionCommitter(options.Kafka, new TransactionProducer(options.Kafka, _health, log), outboxes, _publisher,
                options.Detection.ForgetAfter, _failure, _time, _health, log)
            : new OffsetCommitter(options.Kafka, _publisher, options.Detection.ForgetAfter, _time, _health, log);
        var added = new AddedPartitions(options.Kafka, log);
        _ends = new PartitionEnds(options.Kafka, _partitions, _health, _identity, added, _time);
        _consumer = new FrameConsumer(options.Kafka, options.Frames, options.Overload, _router, budget, _partitions,
            new StateRestorer(options.Kafka, _health, _identity, _publisher.Faults, _time, log), _committer, _publisher, _failure, _health,
            _time, log);
        _alerts = new AlertPublisher(_publisher, options, log);
        var clocks = new WrongClocks(_time, log);
        var drift = new FleetDrift([.. _lanes.Values.Select(lane => lane.Package)], options, _time);
        _detection = new DetectionWorker(_scored.Reader, _partitions, _publisher, _alerts, drift, clocks,
            camera => _lanes[options.Model.PathFor(camera)].Package, options, _time, log);
        _readiness = new Readiness(options.Kafka, _partitions, _consumer, _committer, _publisher, _health, clocks, added);
        foreach (var lane in _lanes.Values) WarnOfDelay(lane.Package);
        _gauges = PipelineTelemetry.Observe(
            () => _partitions.Current.Sum(assignment => (long)assignment.Ledger.InFlight),
            () => Enum.GetValues<PauseReason>().Where(reason => reason != PauseReason.None).Select(reason =>
                new Measurement<long>(_partitions.Paused(reason),
                new KeyValuePair<string, object?>("reason", reason.ToString().ToLowerInvariant()))),
            () => _partitions.Current.Select(assignment =>
                new Measurement<long>(assignment.Lag,
                new KeyValuePair<string, object?>("partition", assignment.Partition.Partition.Value))),
            CountOpenIncidents);
    }

    /// <summary>An alert was produced; called on the detection thread, so it must be quick.</summary>
    public Action<AlertStep> Alerted
    {
        set => _alerts.Alerted = value;
    }

    /// <summary>What became of each scored frame; called on the detection thread, so it must be quick.</summary>
    public FrameObserver Observed
    {
        set => _detection.Observed = value;
    }

    /// <summary>How many partitions this process reads now.</summary>
    public int AssignedPartitions => _partitions.Current.Count + _partitions.Awaited;

    /// <summary>Records not yet read, over all partitions.</summary>
    internal long Lag => _partitions.Current.Sum(assignment => assignment.Lag);

    /// <summary>What computes, and in batches of how many frames at most, one entry a model package.</summary>
    public IEnumerable<(ModelPackage Package, Accelerator Accelerator, int MaxBatchSize)> Models =>
        _lanes.Values.Select(lane => (lane.Package, lane.Engine.Accelerator, lane.BatchCapacity));

    /// <summary>Why the pipeline is not ready to do its work, one line each; empty when it is.</summary>
    public IReadOnlyList<string> NotReady => _readiness.Reasons;

    /// <summary>What people should look at although frames are scored, one line each: cameras whose clocks are wrong, and
    /// partitions that nobody reads yet.</summary>
    public IReadOnlyList<string> Warnings => _readiness.Warnings;

    /// <summary>
    /// Whether a static member (<c>Kafka:InstanceId</c>) leaves its group when it is stopped, so that the others get its partitions. It
    /// stays otherwise, and they wait for its next start.
    /// </summary>
    public bool LeavesForGood
    {
        get => _consumer.LeavesForGood;
        set => _consumer.LeavesForGood = value;
    }

    /// <summary>Runs until cancelled, then drains, commits and leaves the group.</summary>
    /// <exception cref="PipelineException">Topics are missing or do not fit.</exception>
    /// <exception cref="Exception">A stage failed; the process should end and be started again: it goes on at the last commit.</exception>
    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            await TopicCheck.RunAsync(_options.Kafka, _health, _time, _log, cancellation);
            await _committer.BeginAsync(cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return;
        }
        _identity.Begin();
        foreach (var lane in _lanes.Values) lane.Start();
        var detection = new Thread(RunDetection) { Name = "detect", IsBackground = true };
        detection.Start();
        _consumer.Start();
        _readiness.IsRunning = true;
        using var committing = new CancellationTokenSource();
        var commits = _committer.RunAsync(_partitions, _consumer, committing.Token);
        var ends = _ends.RunAsync(committing.Token);
        var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (cancellation.Register(() => stop.TrySetResult()))
        {
            var first = await Task.WhenAny(stop.Task, _failure.Task, _consumer.Completion, commits);
            _readiness.IsRunning = false;
            _consumer.Stop(drain: !_failure.HasHappened);
            // The consumer drains first: the stages behind it must still run, and commits must not stand in its way. One of them may fail
            // only now.
            _ = _failure.Task.ContinueWith(_ => _consumer.Abandon(), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted,
                TaskScheduler.Default);
            bool hasLeft = await EndsAsync(_consumer.Completion, _options.Kafka.DrainTimeout + Farewell
                + (LeavesForGood ? StaticMember.Patience : TimeSpan.Zero));
            if (!hasLeft) Log.LeftWithoutFarewell(_log, _options.Kafka.BootstrapServers);
            _consumer.Abandon();
            await committing.CancelAsync();
            await EndsAsync(Task.WhenAll(commits, ends), Farewell);
            _publisher.Abandon();
            _router.Complete();
            foreach (var lane in _lanes.Values) lane.Stop(abort: () => _failure.HasHappened);
            _scored.Writer.TryComplete();
            detection.Join();
            if (_failure.HasHappened) await _failure.Task;
            await first;
            if (hasLeft) await _consumer.Completion;
            if (commits.IsCompleted) await commits;
        }
    }

    /// <summary>Whether a task ends in time, be it with an error.</summary>
    private static async Task<bool> EndsAsync(Task task, TimeSpan timeout)
    {
        await Task.WhenAny(task, Task.Delay(timeout));
        return task.IsCompleted;
    }

    public void Dispose()
    {
        if (_isDisposed) return;
        _isDisposed = true;
        _gauges.Dispose();
        _consumer.Dispose();
        _committer.Dispose();
        _publisher.Dispose();
        foreach (var lane in _lanes.Values) lane.Dispose();
    }

    private void WarnOfDelay(ModelPackage package)
    {
        var delay = _options.Detection.ShortestDelay(package.Default.Calibration);
        if (delay < TimeSpan.Zero) Log.NeverGuaranteed(_log, package.Card.Name, package.Default.Calibration.EffectiveFrames);
        else if (delay > _options.Detection.MaxDelay)
            Log.Slow(_log, package.Card.Name, package.Default.Calibration.EffectiveFrames, delay.TotalSeconds, _options.Detection.MaxDelay);
    }

    private void RunDetection()
    {
        try
        {
            _detection.Run();
        }
        catch (Exception e)
        {
            _failure.Report(e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(110, LogLevel.Warning, "The calibration of {Model} counts as {Frames:0} independent frames: with " +
            "Detection:FalseAlarmsPerCameraDay as it is, an incident takes {Seconds:0.0} s by guaranteed evidence, longer than " +
            "Detection:MaxDelay ({MaxDelay}). Calibrate on more footage, or allow more false alarms. Large " +
            "deviations are found sooner, by extrapolation.")]
        public static partial void Slow(ILogger log, string model, double frames, double seconds, TimeSpan maxDelay);

        [LoggerMessage(112, LogLevel.Warning,
            "Kafka at {Servers} did not answer while the service stopped. What was not committed is read again at the next start.")]
        public static partial void LeftWithoutFarewell(ILogger log, string servers);

        [LoggerMessage(111, LogLevel.Warning, "The calibration of {Model} counts as {Frames:0} independent frames: too few for " +
            "guaranteed evidence of any incident, so all rest on extrapolation. Calibrate on more footage.")]
        public static partial void NeverGuaranteed(ILogger log, string model, double frames);
    }

    private long CountOpenIncidents() => _partitions.Current.Sum(assignment =>
    {
        lock (assignment.Gate) return (long)assignment.Detectors.Values.Count(detector => detector.HasOpenIncident);
    });
}
