using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Keeps what was logged, for tests that promise a log line.</summary>
/// <param name="least">What is below is not kept.</param>
internal sealed class RecordingLogger(LogLevel least = LogLevel.Information) : ILogger, ILoggerProvider
{
    private readonly ConcurrentQueue<(LogLevel Level, string Message)> _entries = new();

    public IEnumerable<string> Messages => _entries.Select(entry => $"{entry.Level}: {entry.Message}");

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= least;

    /// <summary>The same for every category.</summary>
    public ILogger CreateLogger(string categoryName) => this;

    public void Dispose()
    {
        // Nothing is held.
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel)) _entries.Enqueue((logLevel, formatter(state, exception) + (exception is null ? "" : $" {exception}")));
    }
}
