using System.Globalization;
using System.Net;
using System.Text;
using OutlierPipeline.Detection;

namespace OutlierPipeline.Service;

/// <summary>The page at <c>/</c>: whether the service is ready, and its latest alerts.</summary>
internal static class StatusPage
{
    private const string Style = """
        :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
        body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
        table { border-collapse: collapse; width: 100%; }
        th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
        td:not(:last-child) { white-space: nowrap; }
        .state { font-weight: 600; }
        """;

    public static IResult Render(PipelineService pipeline, AlertHistory history, PipelineOptions options)
    {
        var reasons = pipeline.NotReady;
        var alerts = history.Snapshot();
        var page = new StringBuilder();
        page.Append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"5\"><title>OutlierPipeline</title><style>")
            .Append(Style).Append("</style></head><body><main><h1>OutlierPipeline</h1>");
        page.Append(CultureInfo.InvariantCulture, $"<p class=\"state\">{(reasons.Count == 0 ? "Ready" : "Not ready: " + WebUtility.HtmlEncode(string.Join("; ", reasons)))}</p>");
        page.Append(CultureInfo.InvariantCulture, $"<p>Scores {WebUtility.HtmlEncode(options.Kafka.FramesTopic)} at {WebUtility.HtmlEncode(options.Kafka.BootstrapServers)}. <a href=\"/metrics\">Metrics</a> · <a href=\"/healthz/ready\">Health</a></p><h2>Latest alerts</h2>");
        if (alerts.Length == 0) page.Append("<p>None since this process started.</p>");
        else AppendTable(page, alerts);
        page.Append("</main></body></html>");
        return Results.Content(page.ToString(), "text/html; charset=utf-8");
    }

    private static void AppendTable(StringBuilder page, AlertStep[] alerts)
    {
        page.Append("<table><thead><tr><th scope=\"col\">Time (UTC)</th><th scope=\"col\">Camera</th><th scope=\"col\">Step</th><th scope=\"col\">Kind</th><th scope=\"col\">Severity</th><th scope=\"col\">Reason</th></tr></thead><tbody>");
        foreach (var alert in alerts)
        {
            var time = DateTimeOffset.FromUnixTimeMilliseconds(alert.Last.TimestampNanoseconds / 1_000_000);
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{time:yyyy-MM-dd HH:mm:ss.f}</td><td>{WebUtility.HtmlEncode(alert.Camera)}</td><td>{alert.Type}</td><td>{alert.Kind}</td><td>{alert.Severity}</td><td>{WebUtility.HtmlEncode(alert.Reason)}</td></tr>");
        }
        page.Append("</tbody></table>");
    }
}
