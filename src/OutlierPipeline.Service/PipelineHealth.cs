using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace OutlierPipeline.Service;

/// <summary><c>/healthz/ready</c>: whether frames are being scored and alerts are being read, and if not, why.</summary>
internal sealed class PipelineHealth(PipelineService pipeline, Alerts.AlertReader alerts) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        string[] reasons = Reasons();
        return Task.FromResult(reasons.Length == 0 ? HealthCheckResult.Healthy("ready") : HealthCheckResult.Unhealthy(string.Join("; ", reasons)));
    }

    /// <summary>Why the service is not ready, one line each.</summary>
    public string[] Reasons() => [.. pipeline.NotReady, .. alerts.Fault is { } fault ? new[] { fault } : []];

    /// <summary>The reasons as plain text.</summary>
    public static Task WriteAsync(HttpContext context, HealthReport report)
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(string.Join('\n', report.Entries.Values.Select(entry => entry.Description)) + "\n", context.RequestAborted);
    }
}
