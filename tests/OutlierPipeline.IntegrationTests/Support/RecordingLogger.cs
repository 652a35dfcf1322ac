using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Keeps what was logged, for tests that promise a log line.</summary>
internal sealed class RecordingLogger : ILogger
{
    private readonly ConcurrentQueue<(LogLevel Level, string Message)> _entries = new();

    public IEnumerable<string> Messages => _entries.Select(entry => $"{entry.Level}: {entry.Message}");

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel)) _entries.Enqueue((logLevel, formatter(state, exception)));
    }
}
