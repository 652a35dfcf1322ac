namespace OutlierPipeline.Service;

/// <summary>
/// Work beside the frame path that goes on as long as the host: whatever fails, a database that restarts or a receiver that hangs, it is
/// tried again after a while and told meanwhile, and nothing else stops for it.
/// </summary>
/// <param name="what">What does not happen while it fails, such as <c>webhooks wait</c>.</param>
internal abstract partial class Loop(string what, TimeProvider time, ILogger log) : BackgroundService
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(30);
    private TimeSpan _delay = FirstDelay;

    protected TimeProvider Time { get; } = time;

    /// <summary>What does not happen and why, in one line; null while all is well.</summary>
    public string? Fault { get; private set; }

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Some rounds block: not on the host's starting thread.
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await RoundAsync(stoppingToken);
                Succeed();
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Fail(e.GetBaseException().Message);
                await Task.Delay(_delay, Time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                _delay = _delay * 2 < LongestDelay ? _delay * 2 : LongestDelay;
            }
        }
    }

    /// <summary>One round, begun again and again; it may take as long as the host runs. What it throws is logged, told and tried again,
    /// later each time.</summary>
    protected abstract Task RoundAsync(CancellationToken cancellation);

    /// <summary>All is well, also while a round still runs.</summary>
    protected void Succeed()
    {
        _delay = FirstDelay;
        if (Fault is not { } over) return;
        Fault = null;
        Log.Well(log, over);
    }

    /// <summary>Tells a fault that a round goes on with. Said once an outage in the log.</summary>
    protected void Fail(string fault)
    {
        bool isNews = Fault is null;
        Fault = $"{what}: {fault.ReplaceLineEndings(" ")}";
        if (isNews) Log.Failed(log, Fault);
    }

    private static partial class Log
    {
        [LoggerMessage(450, LogLevel.Error, "{Fault}. It is tried again and again; this is said once.")]
        public static partial void Failed(ILogger log, string fault);

        [LoggerMessage(451, LogLevel.Information, "This is over: {Fault}")]
        public static partial void Well(ILogger log, string fault);
    }
}
