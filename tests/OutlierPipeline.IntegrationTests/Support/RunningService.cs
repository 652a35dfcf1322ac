using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Service;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The whole service in this process, and a client of it.</summary>
internal sealed class RunningService : IAsyncDisposable
{
    private readonly WebApplication _app;

    private RunningService(WebApplication app, RecordingLogger log)
    {
        (_app, Log) = (app, log);
        Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        Http = new HttpClient { BaseAddress = Address };
    }

    public Uri Address { get; }

    /// <summary>What it has logged, as far as <c>Logging:LogLevel</c> lets it.</summary>
    public RecordingLogger Log { get; }

    public HttpClient Http { get; }

    public IServiceProvider Services => _app.Services;

    /// <param name="settings">Further settings, <c>Section:Key=value</c>; they win.</param>
    public static async Task<RunningService> StartAsync(TestCluster cluster, string database, params string[] settings)
    {
        var service = await BeginAsync(cluster, database, settings);
        var reader = service.Services.GetRequiredService<AlertReader>();
        await service.UntilAsync(() => Task.FromResult(reader.HasBegun), "reading alerts");
        return service;
    }

    /// <summary>The same without waiting for its database.</summary>
    /// <inheritdoc cref="StartAsync"/>
    public static async Task<RunningService> BeginAsync(TestCluster cluster, string database, params string[] settings)
    {
        string[] arguments =
        [
            $"--Kafka:BootstrapServers={cluster.BootstrapServers}", "--Kafka:Client:fetch.wait.max.ms=5",
            $"--Kafka:GroupId={Guid.NewGuid()}", $"--Model:Path={Repository.StreetDemo}",
            $"--Alerts:Database={database}", "--Alerts:Cluster=test", "--urls=http://127.0.0.1:0", .. settings.Select(setting =>
                $"--{setting}"),
        ];
        var log = new RecordingLogger(LogLevel.Trace);
        var app = await ServiceHost.BuildAsync(arguments, builder => builder.Logging.ClearProviders().AddProvider(log));
        await app.StartAsync();
        return new RunningService(app, log);
    }

    /// <summary>What <c>/healthz/ready</c> says.</summary>
    public async Task<string> ReadyAsync()
    {
        using var answer = await Http.GetAsync(new Uri("/healthz/ready", UriKind.Relative), TestContext.Current.CancellationToken);
        return await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    public async Task<JsonElement> GetAsync(string path) =>
        await Http.GetFromJsonAsync<JsonElement>(path, TestContext.Current.CancellationToken);

    /// <summary>Waits for a condition.</summary>
    public Task UntilAsync(Func<Task<bool>> condition, string what) => UntilAsync(condition, () => what);

    /// <summary>The same, with more to say when it does not happen.</summary>
    public async Task UntilAsync(Func<Task<bool>> condition, Func<string> what)
    {
        var begun = DateTime.UtcNow;
        while (!await condition())
        {
            if (DateTime.UtcNow - begun > TimeSpan.FromSeconds(120))
                throw new TimeoutException($"{what()} did not happen; {_app.Services.GetRequiredService<AlertReader>().Fault}");
            await Task.Delay(20);
        }
    }

    /// <summary>Waits until so many alerts are stored.</summary>
    public Task StoredAsync(int alerts) => UntilAsync(async () =>
    {
        await using var database = await Services.GetRequiredService<Microsoft.EntityFrameworkCore.IDbContextFactory<AlertDatabase>>()
            .CreateDbContextAsync();
        return database.Alerts.Count() >= alerts;
    }, $"storing {alerts} alerts");

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
