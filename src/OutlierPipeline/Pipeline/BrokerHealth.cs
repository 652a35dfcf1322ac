using System.Text.RegularExpressions;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// What all clients of the process know of the brokers together: whether they answer, and since when not. Each change is told once; a
/// cluster that is away for a minute would otherwise
/// fill the log from a dozen clients. Thread-safe.
/// </summary>
internal sealed partial class BrokerHealth(KafkaOptions options, ILogger log, TimeProvider? time = null)
{
    /// <summary>Brokers that say nothing for so long are taken to be away.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(7);

    /// <summary>What lasts is told again after so long.</summary>
    private static readonly TimeSpan Reminder = TimeSpan.FromMinutes(1);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _told = [];
    private DateTimeOffset? _answeredAt;
    private DateTimeOffset? _downSince;
    private string _reason = "";

    /// <summary>For messages of the clients themselves.</summary>
    public ILogger Log { get; } = log;

    /// <summary>Why the brokers cannot be worked with, or null while they answer.</summary>
    public string? Fault
    {
        get
        {
            lock (_gate)
            {
                var now = _time.GetUtcNow();
                if (_downSince is { } since)
                    return $"Kafka at {options.BootstrapServers} cannot be reached for {(now - since).TotalSeconds:0} s ({_reason})";
                return _answeredAt is { } answered && now - answered > Patience
                    ? $"Kafka at {options.BootstrapServers} has not answered for {(now - answered).TotalSeconds:0} s" : null;
            }
        }
    }

    /// <summary>Something was answered.</summary>
    public void NoteAnswer()
    {
        bool isBack;
        lock (_gate)
        {
            isBack = _downSince is not null || _answeredAt is { } answered && _time.GetUtcNow() - answered > Patience;
            _downSince = null;
            _answeredAt = _time.GetUtcNow();
            if (isBack) _told.Clear();
        }
        if (isBack) Logs.Back(Log, options.BootstrapServers);
    }

    /// <summary>A client reports an error that is no answer to a request.</summary>
    public void NoteError(Error error)
    {
        switch (error.Code)
        {
            case ErrorCode.Local_AllBrokersDown:
                lock (_gate)
                {
                    _downSince ??= _time.GetUtcNow();
                    _reason = error.Reason;
                }
                if (IsNews("all")) Logs.Unreachable(Log, options.BootstrapServers, error.Reason);
                break;
            case ErrorCode.Local_Resolve or ErrorCode.Local_Transport or ErrorCode.Local_TimedOut:
                // One broker of several. It has several names: "host:port/id", "host:port/bootstrap", "GroupCoordinator: host:port".
                string broker = Address().Match(error.Reason) is { Success: true } found ? found.Value : error.Reason;
                if (IsNews(broker)) Logs.BrokerUnreachable(Log, broker, error.Reason);
                break;
            default:
                if (IsNews(error.Code.ToString()))
                    Logs.Client(Log, error.IsFatal ? LogLevel.Error : LogLevel.Warning, error.Code.ToString(), error.Reason);
                break;
        }
    }

    /// <summary>Whether something has not been told for a while; counts as told from now on.</summary>
    public bool IsNews(string what)
    {
        lock (_gate)
        {
            if (_told.TryGetValue(what, out long at) && _time.GetElapsedTime(at) < Reminder) return false;
            _told[what] = _time.GetTimestamp();
            return true;
        }
    }

    [GeneratedRegex(@"[^\s/]+:\d+", RegexOptions.CultureInvariant)]
    private static partial Regex Address();

    private static partial class Logs
    {
        [LoggerMessage(200, LogLevel.Warning, "Kafka at {Servers} cannot be reached ({Reason}); trying again.")]
        public static partial void Unreachable(ILogger log, string servers, string reason);

        [LoggerMessage(202, LogLevel.Information, "Kafka at {Servers} answers again.")]
        public static partial void Back(ILogger log, string servers);

        [LoggerMessage(203, LogLevel.Warning, "The broker {Broker} cannot be reached ({Reason}); others may do its work.")]
        public static partial void BrokerUnreachable(ILogger log, string broker, string reason);

        [LoggerMessage(EventId = 201, Message = "librdkafka {Facility}: {Message}")]
        public static partial void Client(ILogger log, LogLevel level, string facility, string message);
    }
}
