using Microsoft.Extensions.Diagnostics.HealthChecks;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Level;
using OutlierPipeline.Service.Subscriptions;

namespace OutlierPipeline.Service;

/// <summary>
/// <c>/healthz/ready</c>: whether frames are being scored and alerts are being read, and if not, why. That webhooks or Alertmanagers cannot
/// be reached, or that a camera's clock is wrong, is told too, and makes nobody unready: another replica would do no better.
/// </summary>
internal sealed class PipelineHealth(PipelineService pipeline, AlertReader alerts, WebhookSender webhooks, AlertmanagerSink alertmanagers,
    SelfCalibration level) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        string[] reasons = Reasons();
        string[] details = [.. reasons, .. pipeline.Warnings, .. new[] { webhooks.Fault, alertmanagers.Fault, level.Fault }
            .OfType<string>()];
        // Nothing is wrong with what is ready to be taken over.
        string[] told = [.. details, .. level.Proposals];
        string text = string.Join("; ", told);
        return Task.FromResult(
            reasons.Length > 0 ? HealthCheckResult.Unhealthy(text)
            : details.Length > 0 ? HealthCheckResult.Degraded($"ready; {text}")
            : HealthCheckResult.Healthy(told.Length > 0 ? $"ready; {text}" : "ready"));
    }

    /// <summary>Why the service is not ready, one line each.</summary>
    public string[] Reasons() =>
        [.. pipeline.NotReady, .. new[] { alerts.Fault ?? (alerts.HasBegun ? null : "alerts are not being read yet") }.OfType<string>()];

    /// <summary>The reasons as plain text.</summary>
    public static Task WriteAsync(HttpContext context, HealthReport report)
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(string.Join('\n', report.Entries.Values.Select(entry => entry.Description)) + "\n",
            context.RequestAborted);
    }
}
