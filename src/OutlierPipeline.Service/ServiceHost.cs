using System.Reflection;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Service;

/// <summary>Puts the service together: configuration, pipeline, health, metrics and traces, HTTP.</summary>
internal static class ServiceHost
{
    public const string Help = """
        OutlierPipeline: camera frames from Kafka in, out-of-distribution alerts out.

        Usage:
          OutlierPipeline.Service [--SECTION:KEY=VALUE …]      run the service
          OutlierPipeline.Service demo [--duration HH:MM:SS]   run a broker, simulated cameras and the service in one process

        Settings come from appsettings.json, from environment variables (Kafka__BootstrapServers) and from the command line, the last one winning.
        Needed are Kafka:BootstrapServers and Model:Path; README.md of the project lists them all.
        """;

    /// <summary>The host, its model packages loaded and its configuration checked; nothing is read yet.</summary>
    /// <param name="args">Command line, of the form <c>--Kafka:BootstrapServers=host:port</c>.</param>
    /// <param name="configure">Further settings of the builder.</param>
    /// <exception cref="PipelineException">A setting is missing, unknown or out of range.</exception>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder> configure)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
        configure(builder);
        var options = BindOptions(builder.Configuration);
        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton<AlertHistory>();
        builder.Services.AddSingleton<PipelineService>();
        builder.Services.AddHostedService(services => services.GetRequiredService<PipelineService>());
        builder.Services.AddHealthChecks().AddCheck<PipelineHealth>("pipeline");
        // The drain of what is in flight comes before the end, and an orchestrator's kill after it.
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.Kafka.DrainTimeout + TimeSpan.FromSeconds(10));
        AddTelemetry(builder);
        var app = builder.Build();
        app.MapHealthChecks("/healthz/live", new() { Predicate = _ => false });
        app.MapHealthChecks("/healthz/ready", new() { ResponseWriter = PipelineHealth.WriteAsync });
        app.MapPrometheusScrapingEndpoint("/metrics");
        app.MapGet("/", StatusPage.Render);
        // Loads the model packages: what is wrong with them is said now, and not after the first frame.
        app.Services.GetRequiredService<PipelineService>();
        return app;
    }

    /// <summary>The service's own settings of the builder: single-line log entries on the console.</summary>
    public static void Configure(WebApplicationBuilder builder) =>
        builder.Logging.ClearProviders().AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
            console.UseUtcTimestamp = true;
        });

    /// <exception cref="PipelineException">A setting is missing, unknown or out of range.</exception>
    internal static PipelineOptions BindOptions(IConfiguration configuration)
    {
        var options = new PipelineOptions
        {
            Kafka = Bind<Streaming.KafkaOptions>("Kafka"),
            Frames = Bind<Streaming.FramesOptions>("Frames"),
            Model = Bind<Inference.ModelOptions>("Model"),
            Inference = Bind<Inference.InferenceOptions>("Inference"),
            Batching = Bind<Batching.BatchingOptions>("Batching"),
            Detection = Bind<Detection.DetectionOptions>("Detection"),
            Overload = Bind<OverloadOptions>("Overload"),
        };
        string[] faults = [.. options.Validate()];
        return faults.Length == 0 ? options : throw new PipelineException(string.Join("; ", faults));

        T Bind<T>(string section) where T : new()
        {
            try
            {
                // A key that nobody knows is most often a typing error, and its default the wrong value.
                return configuration.GetSection(section).Get<T>(binder => binder.ErrorOnUnknownConfiguration = true) ?? new T();
            }
            catch (InvalidOperationException e)
            {
                string inner = e.InnerException is { } cause ? $" ({cause.Message})" : "";
                throw new PipelineException($"configuration section {section}: {e.Message}{inner}");
            }
        }
    }

    private static void AddTelemetry(WebApplicationBuilder builder)
    {
        bool exports = !string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        string version = typeof(ServiceHost).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("outlier-pipeline", serviceVersion: version))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(PipelineTelemetry.Name).AddRuntimeInstrumentation().AddAspNetCoreInstrumentation().AddPrometheusExporter();
                if (exports) metrics.AddOtlpExporter();
            });
        // Spans cost something for every frame: only where somebody receives them.
        if (exports) telemetry.WithTracing(traces => traces.AddSource(PipelineTelemetry.Name).AddAspNetCoreInstrumentation().AddOtlpExporter());
    }
}
