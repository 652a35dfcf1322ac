using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>What librdkafka says while a client waits: a request that times out does not know that the broker refused the login.</summary>
internal sealed class BrokerErrors
{
    private const int Longest = 400;
    private readonly Lock _lock = new();
    private Error? _refusal;
    private Error? _last;

    /// <summary>The client's error handler.</summary>
    public void Add(Error error)
    {
        lock (_lock)
        {
            if (IsRefusal(error)) _refusal ??= error;
            // That all are down says less than why one is.
            if (error.Code != ErrorCode.Local_AllBrokersDown) _last = error;
        }
    }

    /// <summary>
    /// Whether an error says that a broker refused the login, or either side the encryption. That the broker does not take a certificate is
    /// told only by how it ends the connection.
    /// </summary>
    public static bool IsRefusal(Error error) =>
        error.Code is ErrorCode.Local_Authentication or ErrorCode.SaslAuthenticationFailed or ErrorCode.Local_Ssl
        || error.Code == ErrorCode.Local_Transport && error.Reason.Contains("SSL alert", StringComparison.Ordinal);

    /// <summary>A reason in one line: an identity provider's answer may be a whole page.</summary>
    public static string OneLine(string reason)
    {
        string line = string.Join(' ', reason.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return line.Length <= Longest ? line : line[..Longest] + "…";
    }

    /// <summary>Whether a broker answered and refused the login, or the encryption.</summary>
    public bool IsRefused
    {
        get
        {
            lock (_lock) return _refusal is not null;
        }
    }

    /// <summary>The reason of a request that failed: the broker's, where it gave one.</summary>
    public string Explain(Error failed)
    {
        bool isVague = failed.Code is ErrorCode.Local_Transport or ErrorCode.Local_TimedOut;
        lock (_lock) return OneLine((_refusal ?? (isVague ? _last : null) ?? failed).Reason);
    }
}
