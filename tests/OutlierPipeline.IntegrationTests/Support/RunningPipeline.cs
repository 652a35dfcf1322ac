using OutlierPipeline.Alerts;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>A pipeline that runs, its alerts and its log.</summary>
internal sealed class RunningPipeline : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly FramePipeline _pipeline;
    private bool _isStopped;

    public RunningPipeline(PipelineOptions options, TimeProvider? time = null)
    {
        _pipeline = new FramePipeline(options, Log, time) { Alerted = alert => { lock (Alerts) Alerts.Add(alert); } };
        Completion = _pipeline.RunAsync(_stop.Token);
    }

    public RecordingLogger Log { get; } = new();

    public List<AlertStep> Alerts { get; } = [];

    public Task Completion { get; }

    /// <summary>How many partitions it reads now.</summary>
    public int Partitions => _pipeline.AssignedPartitions;

    /// <summary>What its metric says, over all partitions.</summary>
    public long Lag => _pipeline.Lag;

    public IReadOnlyList<string> NotReady => _pipeline.NotReady;

    public IReadOnlyList<string> Warnings => _pipeline.Warnings;

    /// <summary>Waits for a condition, and fails with what was logged if it does not come.</summary>
    public async Task Until(Func<bool> condition, string what)
    {
        var begun = DateTime.UtcNow;
        while (!condition())
        {
            if (Completion.IsFaulted) await Completion;
            if (DateTime.UtcNow - begun > TimeSpan.FromSeconds(60))
                throw new TimeoutException(
                    $"{what} did not happen; the log:{Environment.NewLine}{string.Join(Environment.NewLine, Log.Messages.TakeLast(30))}");
            await Task.Delay(20);
        }
    }

    /// <summary>Stops as on SIGTERM: drain, commit, leave.</summary>
    /// <param name="forGood">As on SIGUSR1: a static member leaves too.</param>
    public async Task StopAsync(bool forGood = false)
    {
        if (_isStopped) return;
        _isStopped = true;
        _pipeline.LeavesForGood = forGood;
        await _stop.CancelAsync();
        await Completion;
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await StopAsync();
        }
        finally
        {
            _pipeline.Dispose();
            _stop.Dispose();
        }
    }
}
