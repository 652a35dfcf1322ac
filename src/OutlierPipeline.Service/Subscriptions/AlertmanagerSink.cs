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
/// Tells Alertmanagers of every open incident, again and again, as they expect it: they group, silence and notify. Every replica does; the same labels are the same alert.
/// An alert starts when it is first sent: Alertmanager waits for a group's others only while alerts are young.
/// </summary>
internal sealed partial class AlertmanagerSink(IncidentBook book, AlertBroadcast broadcast, AlertsOptions options, IHttpClientFactory clients, TimeProvider time, ILogger<AlertmanagerSink> log) : BackgroundService
{
    private static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(200);
    private readonly SemaphoreSlim _news = new(0);
    private readonly HashSet<Uri> _failing = [];
    private Dictionary<string, PostedAlert> _posted = [];

    public override void Dispose()
    {
        base.Dispose();
        _news.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Alertmanagers.Length == 0) return;
        broadcast.Published += Wake;
        try
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                await PostAsync(stoppingToken);
                await _news.WaitAsync(options.ResendInterval, stoppingToken);
                // An incident seldom comes alone.
                await Task.Delay(Debounce, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service goes; what is open ends by itself after three intervals, unless another replica goes on.
        }
        finally
        {
            broadcast.Published -= Wake;
        }
    }

    private void Wake(AlertRow alert)
    {
        if (_news.CurrentCount == 0) _news.Release();
    }

    private async Task PostAsync(CancellationToken cancellation)
    {
        try
        {
            var now = time.GetUtcNow();
            var open = (await book.OpenAsync(cancellation)).Select(incident => Of(incident, now)).ToDictionary(Key, alert => _posted.TryGetValue(Key(alert), out var posted) ? alert with { StartsAt = posted.StartsAt } : alert);
            // What was sent and is open no more, or has another severity now, ends; unless another incident with the same labels is open, since to
            // Alertmanager they are one alert.
            var labels = open.Values.Select(Labels).ToHashSet();
            PostedAlert[] alerts = [.. open.Values, .. _posted.Where(posted => !open.ContainsKey(posted.Key) && !labels.Contains(Labels(posted.Value))).Select(posted => posted.Value with { EndsAt = now })];
            bool isPosted = true;
            foreach (var alertmanager in options.Alertmanagers) isPosted &= await PostAsync(alertmanager, alerts, cancellation);
            // What could not be ended is ended the next time.
            if (isPosted) _posted = open;
            else foreach (var (key, alert) in open) _posted[key] = alert;
        }
        catch (System.Data.Common.DbException e)
        {
            Log.Failed(log, "the database", e.Message);
        }
    }

    private async Task<bool> PostAsync(Uri alertmanager, PostedAlert[] alerts, CancellationToken cancellation)
    {
        if (alerts.Length == 0) return true;
        try
        {
            using var http = clients.CreateClient(nameof(AlertmanagerSink));
            using var response = await http.PostAsJsonAsync(new Uri($"{alertmanager.ToString().TrimEnd('/')}/api/v2/alerts"), alerts, cancellation);
            if (response.IsSuccessStatusCode)
            {
                _failing.Remove(alertmanager);
                return true;
            }
            Complain(alertmanager, $"it answered {(int)response.StatusCode}");
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !cancellation.IsCancellationRequested)
        {
            Complain(alertmanager, e.Message);
        }
        return false;
    }

    /// <summary>Once an outage.</summary>
    private void Complain(Uri alertmanager, string fault)
    {
        if (_failing.Add(alertmanager)) Log.Failed(log, alertmanager.ToString(), fault);
    }

    private PostedAlert Of(Incident incident, DateTimeOffset now)
    {
        string? link = options.PublicUrl is { } url ? $"{url.ToString().TrimEnd('/')}/incidents/{incident.Id}" : null;
        return new PostedAlert(
            new() { ["alertname"] = "OutlierIncident", ["camera"] = incident.Camera, ["vehicle"] = incident.Vehicle, ["kind"] = incident.Kind.ToString().ToLowerInvariant(), ["severity"] = incident.Severity.ToString().ToLowerInvariant() },
            new() { ["summary"] = $"{incident.Camera}: {incident.Reason}", ["incident"] = incident.Id },
            now, now + 3 * options.ResendInterval, link);
    }

    private static string Key(PostedAlert alert) => $"{alert.Annotations["incident"]} {alert.Labels["severity"]}";

    private static string Labels(PostedAlert alert) => string.Join('\n', alert.Labels.Values);

    private static partial class Log
    {
        [LoggerMessage(530, LogLevel.Warning, "Incidents do not reach {Alertmanager}: {Fault}. They are sent again and again; this is said once.")]
        public static partial void Failed(ILogger log, string alertmanager, string fault);
    }
}
