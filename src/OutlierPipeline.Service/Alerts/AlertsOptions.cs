using System.Text.RegularExpressions;
using OutlierPipeline.Alerts;

namespace OutlierPipeline.Service.Alerts;

/// <summary>Configuration section <c>Alerts</c>.</summary>
internal sealed record AlertsOptions
{
    /// <summary>
    /// A file of SQLite, or a connection string of PostgreSQL (<c>Host=…;Database=…</c>), which more than one replica needs.
    /// </summary>
    public string Database { get; init; } = "outlier-alerts.db";

    /// <summary>Name of the Kafka cluster, under which positions in it are stored.</summary>
    public string? Cluster { get; init; }

    /// <summary>After this time an incident loses its picture and keeps its figures. Frames are pictures of people.</summary>
    public TimeSpan KeepPictures { get; init; } = TimeSpan.FromDays(30);

    /// <summary>
    /// What is shown of the frames of cameras whose id fits the pattern. The longest pattern that fits decides. Without one the frame is
    /// shown.
    /// </summary>
    public Dictionary<string, PictureRule> Pictures { get; init; } = [];

    /// <summary>How long closed incidents are kept.</summary>
    public TimeSpan KeepHistory { get; init; } = TimeSpan.FromDays(400);

    /// <summary>A regular expression that takes the vehicle from the camera's id: its first group, or the whole match.</summary>
    public string VehiclePattern { get; init; } = "^[^/]+";

    /// <summary>Base addresses of Alertmanagers, such as <c>http://alertmanager:9093</c>; each gets every open incident.</summary>
    public Uri[] Alertmanagers { get; init; } = [];

    /// <summary>How often open incidents are sent again to the Alertmanagers.</summary>
    public TimeSpan ResendInterval { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Where people reach this service, such as <c>https://outlier.example.com</c>: the links in alerts begin with it. Relative links
    /// without.
    /// </summary>
    public Uri? PublicUrl { get; init; }

    public bool IsPostgreSql => Database.Contains("Host=", StringComparison.OrdinalIgnoreCase);

    /// <summary>The vehicle of a camera; empty where the pattern does not match, or takes too long for it.</summary>
    public string VehicleOf(string camera)
    {
        try
        {
            var match = Regex.Match(camera, VehiclePattern, RegexOptions.CultureInvariant, TimeSpan.FromMilliseconds(20));
            return match.Groups.Count > 1 ? match.Groups[1].Value : match.Value;
        }
        catch (RegexMatchTimeoutException)
        {
            return "";
        }
    }

    /// <summary>Not the values: the database's may hold a password, and an Alertmanager's too.</summary>
    public override string ToString() => nameof(AlertsOptions);

    /// <summary>Messages for what is missing or out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (string.IsNullOrWhiteSpace(Database))
            yield return "Alerts:Database is empty; expected a file for SQLite, or Host=…;Database=… for PostgreSQL";
        foreach (var (pattern, rule) in Pictures.Where(entry => !Enum.IsDefined(entry.Value)))
            yield return $"Alerts:Pictures:{pattern} is {rule}; expected Full, Blurred or None";
        if (KeepPictures < TimeSpan.Zero || KeepPictures > TimeSpan.FromDays(3650))
            yield return $"Alerts:KeepPictures is {KeepPictures}; expected 00:00:00 to 3650 days";
        if (KeepHistory < TimeSpan.FromHours(1) || KeepHistory > TimeSpan.FromDays(3650))
            yield return $"Alerts:KeepHistory is {KeepHistory}; expected 01:00:00 to 3650 days";
        if (ResendInterval < TimeSpan.FromSeconds(1) || ResendInterval > TimeSpan.FromHours(1))
            yield return $"Alerts:ResendInterval is {ResendInterval}; expected 00:00:01 to 01:00:00";
        foreach (var uri in Alertmanagers.Append(PublicUrl).Where(uri =>
            uri is not null && (!uri.IsAbsoluteUri || uri.Scheme is not ("http" or "https"))))
            // With a user's name there is a password in it.
            yield return $"Alerts:Alertmanagers or Alerts:PublicUrl is {(uri!.OriginalString.Contains('@') ? "another address" : uri)}; " +
                "expected http://HOST:PORT or https://HOST";
        string? fault = null;
        try
        {
            _ = new Regex(VehiclePattern, RegexOptions.CultureInvariant);
        }
        catch (ArgumentException e)
        {
            fault = $"Alerts:VehiclePattern is not a regular expression: {e.Message}";
        }
        if (fault is not null) yield return fault;
    }
}
