using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace OutlierPipeline.Service;

/// <summary><c>/healthz/ready</c>: whether frames are being scored, and if not, why.</summary>
internal sealed class PipelineHealth(PipelineService pipeline) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var reasons = pipeline.NotReady;
        return Task.FromResult(reasons.Count == 0 ? HealthCheckResult.Healthy("ready") : HealthCheckResult.Unhealthy(string.Join("; ", reasons)));
    }

    /// <summary>The reasons as plain text.</summary>
    public static Task WriteAsync(HttpContext context, HealthReport report)
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(string.Join('\n', report.Entries.Values.Select(entry => entry.Description)) + "\n", context.RequestAborted);
    }
}
