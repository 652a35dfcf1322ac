using System.Text.Json.Serialization;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Streams;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>An alert as Alertmanager's API v2 takes it.</summary>
internal sealed record PostedAlert(
    [property: JsonPropertyName("labels")] Dictionary<string, string> Labels,
    [property: JsonPropertyName("annotations")] Dictionary<string, string> Annotations,
    [property: JsonPropertyName("startsAt")] DateTimeOffset StartsAt,
    [property: JsonPropertyName("endsAt")] DateTimeOffset EndsAt,
    [property: JsonPropertyName("generatorURL")] string? GeneratorUrl);

/// <summary>
/// Tells Alertmanagers of every open incident, again and again, as they expect it: they group, silence and notify. Every replica does; the
/// same labels are the same alert.
/// An alert starts when an Alertmanager first takes it: it waits for a group's others only while alerts are young.
/// </summary>
internal sealed class AlertmanagerSink(IncidentBook book, AlertBroadcast broadcast, AlertsOptions options, IHttpClientFactory clients,
    TimeProvider time, ILogger<AlertmanagerSink> log)
    : Loop("incidents do not reach every Alertmanager", time, log)
{
    private static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(200);
    private readonly SemaphoreSlim _news = new(0);
    private Dictionary<string, PostedAlert> _posted = [];

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Alertmanagers.Length == 0) return;
        broadcast.Published += Wake;
        await base.StartAsync(cancellationToken);
    }

    /// <summary>What is open ends by itself after three intervals, unless another replica goes on.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        broadcast.Published -= Wake;
        await base.StopAsync(cancellationToken);
    }

    public override void Dispose()
    {
        base.Dispose();
        _news.Dispose();
    }

    protected override async Task RoundAsync(CancellationToken cancellation)
    {
        await PostAsync(cancellation);
        await _news.WaitAsync(options.ResendInterval, cancellation);
        // An incident seldom comes alone.
        await Task.Delay(Debounce, cancellation);
    }

    private void Wake(AlertRow alert)
    {
        if (_news.CurrentCount == 0) _news.Release();
    }

    private async Task PostAsync(CancellationToken cancellation)
    {
        var now = Time.GetUtcNow();
        var open = (await book.OpenAsync(cancellation)).Select(incident => Of(incident, now))
            .Select(alert => _posted.TryGetValue(Key(alert), out var posted) ? alert with { StartsAt = posted.StartsAt } : alert)
            .ToDictionary(Key);
        // What was sent and is open no more, or has another severity now, ends; unless another incident with the same labels is open,
        // since to Alertmanager they are one alert.
        var labels = open.Values.Select(Labels).ToHashSet();
        var ended = _posted.Where(posted => !open.ContainsKey(posted.Key) && !labels.Contains(Labels(posted.Value)));
        PostedAlert[] alerts = [.. open.Values, .. ended.Select(posted => posted.Value with { EndsAt = now })];
        var faults = new List<string>();
        foreach (var alertmanager in options.Alertmanagers)
        {
            // Without a user's name and password, which may stand in it.
            if (await PostAsync(alertmanager, alerts, cancellation) is { } fault) faults.Add($"{alertmanager.Authority}: {fault}");
        }
        // What could not be ended is ended the next time. What nobody took has not started.
        if (faults.Count == 0) _posted = open;
        else if (faults.Count < options.Alertmanagers.Length) foreach (var (key, alert) in open) _posted[key] = alert;
        if (faults.Count == 0) Succeed();
        else Fail(string.Join("; ", faults));
    }

    /// <returns>What is wrong, or null.</returns>
    private async Task<string?> PostAsync(Uri alertmanager, PostedAlert[] alerts, CancellationToken cancellation)
    {
        if (alerts.Length == 0) return null;
        try
        {
            using var http = clients.CreateClient(nameof(AlertmanagerSink));
            using var response = await http.PostAsJsonAsync(new Uri($"{alertmanager.ToString().TrimEnd('/')}/api/v2/alerts"), alerts,
                cancellation);
            return response.IsSuccessStatusCode ? null : $"it answered {(int)response.StatusCode}";
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            return e.GetBaseException().Message;
        }
    }

    private PostedAlert Of(Incident incident, DateTimeOffset now)
    {
        string? link = options.PublicUrl is { } url ? $"{url.ToString().TrimEnd('/')}/incidents/{incident.Id}" : null;
        var annotations = new Dictionary<string, string>
        {
            ["summary"] = $"{incident.Camera}: {incident.Reason}",
            ["incident"] = incident.Id
        };
        if (incident.Cause is { } cause) annotations["cause"] = cause.Name;
        if (incident.Along.Count > 0) annotations["along"] = string.Join("; ", incident.Along);
        return new PostedAlert(
            new()
            {
                ["alertname"] = "OutlierIncident",
                ["camera"] = incident.Camera,
                ["vehicle"] = incident.Vehicle,
                ["kind"] = incident.Kind.ToString().ToLowerInvariant(),
                ["severity"] = incident.Severity.ToString().ToLowerInvariant()
            },
            annotations, now, now + 3 * options.ResendInterval, link);
    }

    private static string Key(PostedAlert alert) => $"{alert.Annotations["incident"]} {alert.Labels["severity"]}";

    private static string Labels(PostedAlert alert) => string.Join('\n', alert.Labels.Values);
}
