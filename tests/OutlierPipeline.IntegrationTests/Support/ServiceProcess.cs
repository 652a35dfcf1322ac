using System.Diagnostics;
using System.Text;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The service as a process of its own, to be stopped, continued and killed.</summary>
internal sealed class ServiceProcess : IAsyncDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly StringBuilder _output = new();
    private readonly Process _process;

    public ServiceProcess(string bootstrapServers, params string[] settings)
    {
        string[] arguments =
        [
            "exec", Tool.Service, $"--Kafka:BootstrapServers={bootstrapServers}", "--Kafka:CommitInterval=00:00:00.1",
            $"--Model:Path={Repository.StreetDemo}",
            $"--Alerts:Database={_directory.File("alerts.db")}", "--urls=http://127.0.0.1:0", .. settings.Select(setting => $"--{setting}"),
        ];
        _process = Tool.Start("dotnet", arguments);
        _process.OutputDataReceived += (_, line) => Add(line.Data);
        _process.ErrorDataReceived += (_, line) => Add(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    /// <summary>What it has printed so far.</summary>
    public string Output
    {
        get
        {
            lock (_output) return _output.ToString();
        }
    }

    public int? ExitCode => _process.HasExited ? _process.ExitCode : null;

    public void Signal(int signal) => Signals.Send(_process.Id, signal);

    /// <returns>Whether the process was still there.</returns>
    public bool TrySignal(int signal) => Signals.TrySend(_process.Id, signal);

    /// <summary>Waits for a condition while the process runs.</summary>
    public async Task Until(Func<bool> condition, string what)
    {
        var begun = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.False(_process.HasExited, $"the service ended before {what}: {Output}");
            if (begun.Elapsed > TimeSpan.FromSeconds(90)) throw new TimeoutException($"{what} did not happen: {Output}");
            await Task.Delay(50);
        }
    }

    /// <summary>Waits until it has ended.</summary>
    /// <param name="limit">A minute unless it is given.</param>
    /// <returns>Its exit code.</returns>
    public async Task<int> EndAsync(TimeSpan? limit = null)
    {
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(limit ?? TimeSpan.FromSeconds(60));
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }
        _process.Dispose();
        _directory.Dispose();
    }

    private void Add(string? line)
    {
        lock (_output) _output.AppendLine(line);
    }
}
