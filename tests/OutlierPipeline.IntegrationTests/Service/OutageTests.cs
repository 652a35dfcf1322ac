using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Service;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>What the service needs beside Kafka is away: frames are scored all the same.</summary>
public sealed class OutageTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_PostgreSQL_is_away_frames_are_scored_and_when_it_is_back_everything_is_stored_and_sent()
    {
        using var postgres = PostgresServer.StartOrSkip();
        using var cluster = new TestCluster(1);
        await using var receiver = await WebhookReceiver.StartAsync();
        await using var service = await RunningService.StartAsync(cluster, postgres.CreateDatabase() + ";Timeout=3",
            "Webhooks:AllowedNetworks:0=127.0.0.0/8", $"Alerts:Alertmanagers:0={receiver.Address}alertmanager",
                "Alerts:ResendInterval=00:00:01");
        using var made = await service.Http.PostAsJsonAsync("/api/subscriptions", new { name = "fleet", url = $"{receiver.Address}hook" },
            Cancellation);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var stopping = service.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        byte[] frame = SmallFrames.Drive(1, 1)[0];
        int sent = 0;
        // Twice, and the second time while it writes.
        for (int round = 0; round < 2; round++)
        {
            if (round == 1) cluster.ProduceAlert(AlertFactory.Record($"writing{round}", 1, AlertType.Opened, second: sent));
            cluster.Flush();
            postgres.Halt();
            await service.UntilAsync(async () =>
            {
                string health = await TextAsync("/healthz/ready");
                return health.Contains("webhooks wait: ", StringComparison.Ordinal)
                    && health.Contains("incidents do not reach every Alertmanager: ", StringComparison.Ordinal);
            }, "the reasons in the health's details");
            cluster.ProduceAlert(AlertFactory.Record($"i{round}", 1, AlertType.Opened, "truck-1/rear", second: 100 + sent));
            for (int i = 0; i < 10; i++, sent++) cluster.Produce("car-1", frame);
            cluster.Flush();
            await service.UntilAsync(() =>
                Task.FromResult(cluster.ReadAll(TestCluster.Scores).Count == sent), "scores while the database is away");
            await service.UntilAsync(async () =>
                (await TextAsync("/healthz/ready")).Contains("alerts are not being read: ", StringComparison.Ordinal),
                "that alerts are not read");
            Assert.Equal(HttpStatusCode.ServiceUnavailable, (await service.Http.GetAsync("/api/alerts", Cancellation)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await service.Http.GetAsync("/", Cancellation)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await service.Http.GetAsync("/incidents", Cancellation)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await service.Http.GetAsync("/api/cameras", Cancellation)).StatusCode);
            postgres.Resume();
            await service.UntilAsync(async () => await TextAsync("/healthz/ready") == "ready\n", "all being well again");
            await service.StoredAsync(round == 0 ? 1 : 3);
            await service.UntilAsync(() =>
                Task.FromResult(receiver.Received.Any(received => received.Path == "/hook" && received.Id == $"i{round}-1")),
                "the webhook");
            await service.UntilAsync(() =>
                Task.FromResult(receiver.Received.Any(received =>
                received.Path != "/hook"
                && System.Text.Encoding.UTF8.GetString(received.Body).Contains($"\"i{round}\"", StringComparison.Ordinal))),
                "the Alertmanager's");
        }
        Assert.False(stopping.IsCancellationRequested);

        async Task<string> TextAsync(string path) =>
            await (await service.Http.GetAsync(path, Cancellation)).Content.ReadAsStringAsync(Cancellation);
    }

    [Fact]
    public async Task A_service_that_starts_while_PostgreSQL_is_away_scores_frames_and_stores_alerts_when_it_is_there()
    {
        using var postgres = PostgresServer.StartOrSkip();
        string database = postgres.CreateDatabase() + ";Timeout=3";
        postgres.Halt();
        using var cluster = new TestCluster(1);
        await using var service = await RunningService.BeginAsync(cluster, database);
        cluster.Produce("car-1", SmallFrames.Drive(1, 1)[0]);
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened));
        cluster.Flush();
        await service.UntilAsync(() => Task.FromResult(cluster.ReadAll(TestCluster.Scores).Count == 1), "the score");
        postgres.Resume();
        await service.UntilAsync(async () =>
            (await service.Http.GetAsync("/healthz/ready", Cancellation)).IsSuccessStatusCode, "the database");
        await service.StoredAsync(1);
    }

    [Theory]
    [InlineData("Host=127.0.0.1;Port=nine", "Alerts:Database cannot be used")]
    [InlineData("Host=127.0.0.1;Colour=red", "Alerts:Database cannot be used")]
    public async Task A_connection_string_that_is_none_is_one_line_and_exit_code_1(string database, string message)
    {
        var service = await Tool.RunAsync("dotnet",
            ["exec", Tool.Service, "--Kafka:BootstrapServers=127.0.0.1:1", $"--Model:Path={Repository.StreetDemo}",
            "--urls=http://127.0.0.1:0", $"--Alerts:Database={database}"]);
        Assert.Equal(1, service.Code);
        Assert.Contains(message, Assert.Single(service.Error.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_ends_for_a_fault_ends_with_1_whatever_failed_and_with_0_when_it_was_stopped()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster(1);
        string[] arguments = [$"--Kafka:BootstrapServers={cluster.BootstrapServers}", $"--Model:Path={Repository.StreetDemo}",
            $"--Alerts:Database={directory.File("alerts.db")}", "--Alerts:Cluster=test", "--urls=http://127.0.0.1:0"];
        await using (var failing = await ServiceHost.BuildAsync(arguments, builder =>
        {
            builder.Logging.ClearProviders();
            builder.Services.AddHostedService<Failing>();
        }))
        {
            Assert.Equal(1, await ServiceHost.RunAsync(failing));
        }
        await using var stopped = await ServiceHost.BuildAsync(arguments, builder => builder.Logging.ClearProviders());
        var code = ServiceHost.RunAsync(stopped);
        stopped.Lifetime.ApplicationStarted.Register(stopped.Lifetime.StopApplication);
        Assert.Equal(0, await code.WaitAsync(TimeSpan.FromMinutes(1), Cancellation));
    }

    [Fact]
    public async Task Topics_that_do_not_fit_end_the_process_with_1_and_not_with_a_core_dump_also_while_it_is_still_starting()
    {
        using var directory = new TestDirectory();
        using var broker = new MockBroker();
        foreach (string topic in new[] { TestCluster.Frames, TestCluster.Alerts, TestCluster.State, TestCluster.DeadLetters })
            broker.CreateTopic(topic, 4);
        broker.CreateTopic(TestCluster.Scores, 2);
        var service = await Tool.RunAsync("dotnet", ["exec", Tool.Service, $"--Kafka:BootstrapServers={broker.BootstrapServers}",
            $"--Model:Path={Repository.StreetDemo}", "--urls=http://127.0.0.1:0", $"--Alerts:Database={directory.File("alerts.db")}"]);
        Assert.Equal(1, service.Code);
        Assert.Contains(TestCluster.Scores, service.Output + service.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("TaskCanceledException", service.Output + service.Error, StringComparison.Ordinal);
    }

    private sealed class Failing : BackgroundService
    {
        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            await Task.Yield();
            throw new NotSupportedException("a fault in the code");
        }
    }
}
