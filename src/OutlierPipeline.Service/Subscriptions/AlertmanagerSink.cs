using System.Collections.Concurrent;
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
    /// <summary>For so long an answer is waited for.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(200);
    private readonly SemaphoreSlim _news = new(0);

    /// <summary>What each Alertmanager took last.</summary>
    private readonly ConcurrentDictionary<Uri, Dictionary<string, PostedAlert>> _taken =
        new(options.Alertmanagers.Distinct().ToDictionary(alertmanager => alertmanager, _ => new Dictionary<string, PostedAlert>()));

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Alertmanagers.Length == 0) return;
        broadcast.Published += Wake;
        await base.StartAsync(cancellationToken);
    }

    /// <summary>What is open ends by itself after three intervals and what is waited for answers, unless another replica goes on.</summary>
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
        PostedAlert[] open = [.. (await book.OpenAsync(cancellation)).Select(incident => Of(incident, now))];
        // One that hangs keeps no other waiting.
        string?[] faults = await Task.WhenAll(options.Alertmanagers.Distinct().Select(alertmanager =>
            TellAsync(alertmanager, open, now, cancellation)));
        if (faults.All(fault => fault is null)) Succeed();
        else Fail(string.Join("; ", faults.OfType<string>()));
    }

    /// <returns>What is wrong, or null.</returns>
    private async Task<string?> TellAsync(Uri alertmanager, PostedAlert[] incidents, DateTimeOffset now, CancellationToken cancellation)
    {
        var taken = _taken[alertmanager];
        var open = incidents.Select(alert => taken.TryGetValue(Key(alert), out var earlier) ? alert with { StartsAt = earlier.StartsAt }
            : alert).ToDictionary(Key);
        // What it took and is open no more, or has another severity now, ends; unless another incident with the same labels is open, since
        // to Alertmanager they are one alert.
        var labels = open.Values.Select(Labels).ToHashSet();
        var ended = taken.Where(alert => !open.ContainsKey(alert.Key) && !labels.Contains(Labels(alert.Value)));
        PostedAlert[] alerts = [.. open.Values, .. ended.Select(alert => alert.Value with { EndsAt = now })];
        // Without a user's name and password, which may stand in it.
        if (await PostAsync(alertmanager, alerts, cancellation) is { } fault) return $"{alertmanager.Authority}: {fault}";
        _taken[alertmanager] = open;
        return null;
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
            annotations, now, now + 3 * options.ResendInterval + Patience, link);
    }

    private static string Key(PostedAlert alert) => $"{alert.Annotations["incident"]} {alert.Labels["severity"]}";

    private static string Labels(PostedAlert alert) => string.Join('\n', alert.Labels.Values);
}
