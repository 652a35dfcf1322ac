using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Dashboard;
using OutlierPipeline.Service.Level;
using OutlierPipeline.Service.Live;
using OutlierPipeline.Service.Streams;
using OutlierPipeline.Service.Subscriptions;
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
          OutlierPipeline.Service key NAME [--scopes …]        make an API key, and what to configure for it

        Settings come from appsettings.json, from environment variables (Kafka__BootstrapServers) and from the command line. The last
        one wins.
        Needed are Kafka:BootstrapServers and Model:Path; docs/configuration.md of the project lists them all.
        """;

    /// <summary>The host, its database migrated, its model packages loaded and its configuration checked; nothing is read yet.</summary>
    /// <param name="args">Command line, of the form <c>--Kafka:BootstrapServers=host:port</c>.</param>
    /// <param name="configure">Further settings of the builder.</param>
    /// <exception cref="PipelineException">A setting or a section is missing, unknown or out of range.</exception>
    public static async Task<WebApplication> BuildAsync(string[] args, Action<WebApplicationBuilder> configure)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = args,
            ApplicationName = typeof(ServiceHost).Assembly.GetName().Name,
            ContentRootPath = AppContext.BaseDirectory
        });
        configure(builder);
        UnknownSettings.Refuse(builder.Configuration);
        var options = BindOptions(builder.Configuration);
        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<Reconstructor>();
        builder.Services.AddSingleton<LiveView>();
        builder.Services.AddSingleton<LiveMetrics>();
        builder.Services.AddSingleton<PipelineService>();
        builder.Services.AddHostedService(services => services.GetRequiredService<PipelineService>());
        AddAlerts(builder);
        builder.Services.AddSingleton<LevelBook>();
        builder.Services.AddSingleton<SelfCalibration>();
        builder.Services.AddHostedService(services => services.GetRequiredService<SelfCalibration>());
        builder.AddAccess(Checked<ApiOptions>(builder.Configuration, "Api", api => api.Validate()));
        builder.Services.AddSingleton<PipelineHealth>();
        builder.Services.AddHealthChecks().AddCheck<PipelineHealth>("pipeline");
        builder.AddDashboard();
        builder.Services.AddOpenApi();
        builder.Services.AddProblemDetails();
        builder.Services.AddExceptionHandler<DatabaseFault>();
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase));
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            json.SerializerOptions.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        });
        // The drain of what is in flight comes before the end, and an orchestrator's kill after it.
        builder.Services.Configure<HostOptions>(host =>
        {
            host.ShutdownTimeout = options.Kafka.DrainTimeout + TimeSpan.FromSeconds(10);
            // The drain begins at once, whatever a webhook still waits for.
            host.ServicesStopConcurrently = true;
        });
        AddTelemetry(builder);
        var app = builder.Build();
        app.UseExceptionHandler();
        app.UseAccess();
        app.MapHealthChecks("/healthz/live", new() { Predicate = _ => false });
        app.MapHealthChecks("/healthz/ready", new() { ResponseWriter = PipelineHealth.WriteAsync });
        app.MapPrometheusScrapingEndpoint("/metrics");
        app.MapOpenApi().RequireAuthorization(nameof(Scope.Read));
        app.MapAlerts();
        app.MapCameras();
        app.MapSubscriptions();
        app.MapLevel();
        app.MapDashboard();
        try
        {
            await PrepareAsync(app.Services);
            return app;
        }
        catch
        {
            // Clients of Kafka are there already, and go on trying to reach it.
            await app.DisposeAsync();
            throw;
        }
    }

    private static async Task PrepareAsync(IServiceProvider services)
    {
        // Loads the model packages: what is wrong with them is said now, and not after the first frame.
        services.GetRequiredService<PipelineService>();
        services.GetRequiredService<LiveMetrics>();
        await services.GetRequiredService<AlertStore>().PrepareAsync(CancellationToken.None);
        await services.GetRequiredService<SelfCalibration>().RestoreAsync(CancellationToken.None);
    }

    /// <summary>Runs until the service is stopped, or cannot go on.</summary>
    /// <returns>The process's exit code: 1 if it ended for a fault, whosever.</returns>
    public static async Task<int> RunAsync(WebApplication app)
    {
        // Afterwards the host is disposed, and nobody can be asked any more.
        var exitCode = ExitCode(app);
        var stopping = app.Lifetime.ApplicationStopping;
        try
        {
            await app.RunAsync();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Stopped while it was still starting.
        }
        return exitCode();
    }

    /// <returns>Tells the exit code of a service that has ended.</returns>
    public static Func<int> ExitCode(WebApplication app)
    {
        var pipeline = app.Services.GetRequiredService<PipelineService>();
        BackgroundService[] services = [.. app.Services.GetServices<IHostedService>().OfType<BackgroundService>()];
        return () => pipeline.HasFailed || services.Any(service => service.ExecuteTask is { IsFaulted: true }) ? 1 : 0;
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
            Kafka = Bind<KafkaOptions>(configuration, "Kafka"),
            Frames = Bind<FramesOptions>(configuration, "Frames"),
            Model = Bind<ModelOptions>(configuration, "Model"),
            Inference = Bind<InferenceOptions>(configuration, "Inference"),
            Batching = Bind<BatchingOptions>(configuration, "Batching"),
            Detection = Bind<DetectionOptions>(configuration, "Detection"),
            Overload = Bind<OverloadOptions>(configuration, "Overload"),
            Pictures = Bind<AlertsOptions>(configuration, "Alerts").Pictures,
        };
        string[] faults = [.. options.Validate()];
        return faults.Length == 0 ? options : throw new PipelineException(string.Join("; ", faults));
    }

    private static void AddAlerts(WebApplicationBuilder builder)
    {
        var options = Checked<AlertsOptions>(builder.Configuration, "Alerts", alerts => alerts.Validate());
        builder.Services.AddSingleton(options);
        builder.Services.AddDbContextFactory<AlertDatabase>(database => AlertDatabase.Configure(database, options));
        builder.Services.AddSingleton<AlertStore>();
        builder.Services.AddSingleton<IncidentBook>();
        builder.Services.AddSingleton<AlertBroadcast>();
        builder.Services.AddSingleton<AlertReader>();
        builder.Services.AddHostedService(services => services.GetRequiredService<AlertReader>());
        builder.Services.AddSingleton(Checked<WebhookOptions>(builder.Configuration, "Webhooks", webhooks => webhooks.Validate()));
        builder.Services.AddSingleton<WebhookClient>();
        builder.Services.AddSingleton<WebhookSender>();
        builder.Services.AddHostedService(services => services.GetRequiredService<WebhookSender>());
        builder.Services.AddHttpClient(nameof(AlertmanagerSink)).ConfigureHttpClient(http => http.Timeout = AlertmanagerSink.Patience)
            .RemoveAllLoggers();
        builder.Services.AddSingleton<AlertmanagerSink>();
        builder.Services.AddHostedService(services => services.GetRequiredService<AlertmanagerSink>());
    }

    /// <exception cref="PipelineException">A setting of the section is unknown or out of range.</exception>
    internal static T Checked<T>(IConfiguration configuration, string section, Func<T, IEnumerable<string>> validate) where T : new()
    {
        var options = Bind<T>(configuration, section);
        string[] faults = [.. validate(options)];
        return faults.Length == 0 ? options : throw new PipelineException(string.Join("; ", faults));
    }

    private static T Bind<T>(IConfiguration configuration, string section) where T : new()
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

    private static void AddTelemetry(WebApplicationBuilder builder)
    {
        bool exports = !string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        string version = typeof(ServiceHost).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
            ?? "";
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("outlier-pipeline", serviceVersion: version))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(PipelineTelemetry.Name).AddRuntimeInstrumentation().AddAspNetCoreInstrumentation().AddPrometheusExporter();
                if (exports) metrics.AddOtlpExporter();
            });
        // Spans cost something for every frame: only where somebody receives them.
        if (exports)
            telemetry.WithTracing(traces => traces.AddSource(PipelineTelemetry.Name).AddAspNetCoreInstrumentation().AddOtlpExporter());
    }
}
