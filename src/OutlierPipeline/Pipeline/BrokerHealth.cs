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
    private string? _refusal;

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
                bool isSilent = _answeredAt is not { } answered || now - answered > Patience;
                // One broker of several that refuses is no outage.
                if (_refusal is not null && (isSilent || _downSince is not null)) return Refused(_refusal);
                if (_downSince is { } since)
                    return $"Kafka at {options.BootstrapServers} cannot be reached for {(now - since).TotalSeconds:0} s ({_reason})";
                return isSilent && _answeredAt is { } last
                    ? $"Kafka at {options.BootstrapServers} has not answered for {(now - last).TotalSeconds:0} s" : null;
            }
        }
    }

    /// <summary>The login or the encryption that a broker refused since the last answer, with its reason; null where none did.</summary>
    public string? Refusal
    {
        get
        {
            lock (_gate) return _refusal is null ? null : Refused(_refusal);
        }
    }

    /// <summary>What the service waits for before it reads; null once it has come.</summary>
    public string? Waiting { get; set; }

    /// <summary>Something was answered.</summary>
    public void NoteAnswer()
    {
        bool isBack;
        lock (_gate)
        {
            isBack = _downSince is not null
                || (_answeredAt is { } answered ? _time.GetUtcNow() - answered > Patience : _refusal is not null);
            _downSince = null;
            _refusal = null;
            _answeredAt = _time.GetUtcNow();
            if (isBack) _told.Clear();
        }
        if (isBack) Logs.Back(Log, options.BootstrapServers);
    }

    /// <summary>A client reports an error that is no answer to a request.</summary>
    public void NoteError(Error error)
    {
        if (BrokerErrors.IsRefusal(error))
        {
            string refusal = BrokerErrors.OneLine(error.Reason);
            lock (_gate) _refusal = refusal;
            if (IsNews("refused")) Logs.Refused(Log, Refused(refusal));
            return;
        }
        switch (error.Code)
        {
            case ErrorCode.Local_AllBrokersDown:
                bool isRefused;
                lock (_gate)
                {
                    isRefused = _refusal is not null;
                    _downSince ??= _time.GetUtcNow();
                    _reason = error.Reason;
                }
                // That all are down says less than why.
                if (!isRefused && IsNews("all")) Logs.Unreachable(Log, options.BootstrapServers, error.Reason);
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

    private string Refused(string reason) => $"Kafka at {options.BootstrapServers} refuses {options.Login}: {reason}";

    [GeneratedRegex(@"[^\s/]+:\d+", RegexOptions.CultureInvariant)]
    private static partial Regex Address();

    private static partial class Logs
    {
        [LoggerMessage(200, LogLevel.Warning, "Kafka at {Servers} cannot be reached ({Reason}); trying again.")]
        public static partial void Unreachable(ILogger log, string servers, string reason);

        [LoggerMessage(204, LogLevel.Error, "{Refusal}. Look at Kafka:Client; trying again.")]
        public static partial void Refused(ILogger log, string refusal);

        [LoggerMessage(202, LogLevel.Information, "Kafka at {Servers} answers again.")]
        public static partial void Back(ILogger log, string servers);

        [LoggerMessage(203, LogLevel.Warning, "The broker {Broker} cannot be reached ({Reason}); others may do its work.")]
        public static partial void BrokerUnreachable(ILogger log, string broker, string reason);

        [LoggerMessage(EventId = 201, Message = "librdkafka {Facility}: {Message}")]
        public static partial void Client(ILogger log, LogLevel level, string facility, string message);
    }
}
