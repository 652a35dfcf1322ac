using System.Globalization;
using System.Text.RegularExpressions;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Chaos;

/// <summary>A replica of the service that is started again whenever it ends, as an orchestrator does.</summary>
internal sealed partial class Replica : IAsyncDisposable
{
    private readonly Func<ServiceProcess> _start;
    private readonly Journal _journal;
    private readonly Task _watching;
    private volatile ServiceProcess? _process;
    private TimeSpan _pause;
    private volatile bool _isToEnd;
    private volatile bool _isLast;

    public Replica(string name, Func<ServiceProcess> start, Journal journal)
    {
        (Name, _start, _journal) = (name, start, journal);
        _watching = WatchAsync();
    }

    public string Name { get; }

    /// <summary>How often it ended without being told to.</summary>
    public int OwnEnds { get; private set; }

    /// <summary>What went wrong in it that should not.</summary>
    public List<string> Faults { get; } = [];

    /// <summary>Frames that it said were lost before they were read: from one offset up to another, which is not among them.</summary>
    public List<(int Partition, long From, long To)> Lost { get; } = [];

    /// <summary>Ends it at once, or asks it to end; the next start comes after a pause.</summary>
    /// <returns>Whether it ran.</returns>
    public bool End(int signal, TimeSpan pause)
    {
        if (_isToEnd || _process is not { } process) return false;
        (_pause, _isToEnd) = (pause, true);
        return process.TrySignal(signal);
    }

    /// <summary>Halts it for a while.</summary>
    /// <returns>Whether it ran.</returns>
    public async Task<bool> SleepAsync(TimeSpan time)
    {
        if (_isToEnd || _process is not { } process || !process.TrySignal(Signals.Stop)) return false;
        await Task.Delay(time, TestContext.Current.CancellationToken);
        return process.TrySignal(Signals.Continue);
    }

    /// <summary>Stops it, for good.</summary>
    public async ValueTask DisposeAsync()
    {
        _isLast = true;
        End(Signals.Terminate, TimeSpan.Zero);
        await _watching;
    }

    private async Task WatchAsync()
    {
        while (!_isLast)
        {
            await using var process = _start();
            (_pause, _isToEnd, _process) = (TimeSpan.FromSeconds(1), false, process);
            int code = await process.EndAsync(Timeout.InfiniteTimeSpan);
            _process = null;
            string output = process.Output;
            string last = string.Join(" | ", output.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .TakeLast(4));
            _journal.Keep(Name, output);
            foreach (Match lost in LostBeforeRead().Matches(output))
                Lost.Add(((int)Number(lost, 1), Number(lost, 2), Number(lost, 3)));
            if (output.Contains("Unhandled exception", StringComparison.Ordinal)) Faults.Add($"{Name}: {last}");
            // No topic is, and whoever takes one for it reads it again.
            if (output.Contains("the topic was recreated", StringComparison.Ordinal))
                Faults.Add($"{Name} took a topic for a recreated one");
            // 137 is a kill, and 143 a stop before the service could take one.
            if (_isToEnd && code is not (0 or 137 or 143)) Faults.Add($"{Name} ended with {code}: {last}");
            if (!_isToEnd)
            {
                // For a stated reason it ends with 1; all else is a crash.
                if (code != 1) Faults.Add($"{Name} ended by itself with {code}: {last}");
                OwnEnds++;
                _journal.Add($"{Name} ended by itself with {code}: {last}");
            }
            if (!_isLast) await Task.Delay(_pause, TestContext.Current.CancellationToken);
        }
    }

    private static long Number(Match match, int group) => long.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\[(\d+)\]: offsets (\d+) to (\d+) expired before they were read")]
    private static partial Regex LostBeforeRead();
}
