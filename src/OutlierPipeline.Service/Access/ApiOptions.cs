using System.Net;

namespace OutlierPipeline.Service.Access;

/// <summary>What a caller may do.</summary>
internal enum Scope
{
    /// <summary>See alerts, cameras and pictures.</summary>
    Read,

    /// <summary>Acknowledge, annotate, judge and mute.</summary>
    Acknowledge,

    /// <summary>Make and remove subscriptions.</summary>
    Subscribe,

    /// <summary>Take a calibration over.</summary>
    Calibrate,
}

/// <summary>A caller's key: <c>Api:Keys:NAME</c>.</summary>
internal sealed record ApiKeyOptions
{
    /// <summary>
    /// <c>sha256:</c> and 64 hexadecimal digits, as the command <c>key</c> prints them. A key is 256 drawn bits, so a plain digest cannot
    /// be guessed back.
    /// </summary>
    public string Hash { get; init; } = "";

    /// <summary>What the holder of the key may do.</summary>
    public Scope[] Scopes { get; init; } = [];
}

/// <summary>An authenticating proxy whose headers are believed: <c>Api:Proxy</c>.</summary>
internal sealed record ProxyOptions
{
    /// <summary>Header in which an authenticating proxy names the user, such as <c>X-Forwarded-User</c>.</summary>
    public string? UserHeader { get; init; }

    /// <summary>Networks that the proxy connects from, such as <c>10.0.3.0/24</c>; from elsewhere the header is not looked at.</summary>
    public string[] Networks { get; init; } = [];

    /// <summary>What users of the proxy may do.</summary>
    public Scope[] Scopes { get; init; } = [Scope.Read, Scope.Acknowledge];
}

/// <summary>Configuration section <c>Api</c>.</summary>
internal sealed record ApiOptions
{
    public Dictionary<string, ApiKeyOptions> Keys { get; init; } = [];

    public ProxyOptions Proxy { get; init; } = new();

    /// <summary>
    /// Whether everybody who reaches the service may do everything. Without it, and without keys or a proxy, only this machine may.
    /// </summary>
    public bool AllowAnonymousFromAnywhere { get; init; }

    /// <summary>Requests per second that one caller may make over a long time. Four times as many are allowed at once.</summary>
    public int RequestsPerSecond { get; init; } = 500;

    /// <summary>Streams that one caller may have open at once.</summary>
    public int StreamsPerCaller { get; init; } = 100;

    public bool HasAuthentication => Keys.Count > 0 || Proxy.UserHeader is not null;

    /// <summary>Messages for what is missing or out of range.</summary>
    public IEnumerable<string> Validate()
    {
        foreach (var (name, key) in Keys)
        {
            if (!key.Hash.StartsWith("sha256:", StringComparison.Ordinal) || key.Hash.Length != 7 + 64
                || !key.Hash.AsSpan(7).ToString().All(char.IsAsciiHexDigit))
            {
                yield return $"Api:Keys:{name}:Hash is not a hash; the command 'key {name}' makes a key and its hash";
            }
            if (key.Scopes.Length == 0)
                yield return $"Api:Keys:{name}:Scopes is empty; expected some of Read, Acknowledge, Subscribe, Calibrate";
        }
        if (Proxy.UserHeader is not null && Proxy.Networks.Length == 0)
            yield return "Api:Proxy:Networks is empty: name the networks that the proxy connects from, or anybody could send its header";
        foreach (string network in Proxy.Networks.Where(network => !IPNetwork.TryParse(network, out _)))
            yield return $"Api:Proxy:Networks has {network}; expected a network such as 10.0.3.0/24";
        if (AllowAnonymousFromAnywhere && HasAuthentication)
            yield return "Api:AllowAnonymousFromAnywhere is set together with Api:Keys or Api:Proxy; choose one";
        if (RequestsPerSecond is < 1 or > 1_000_000) yield return $"Api:RequestsPerSecond is {RequestsPerSecond}; expected 1 to 1000000";
        if (StreamsPerCaller is < 1 or > 1_000_000) yield return $"Api:StreamsPerCaller is {StreamsPerCaller}; expected 1 to 1000000";
    }
}
