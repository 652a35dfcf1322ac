using System.Net.Http.Json;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Service.Alerts;
using Microsoft.Extensions.DependencyInjection;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>What is secret is in no log, at whatever level, in no error, no answer, and not in the settings' own text.</summary>
[Collection(KafkaWithListeners.Name)]
public sealed class SecretTests(KafkaWithListeners kafka) : IDisposable
{
    private const string Database = "db-pass-31fe";
    private const string Alertmanager = "am-pass-9c9c";
    private static readonly string WebhookKey = Convert.ToBase64String("webhook-key-of-24-bytes!"u8);
    private static readonly string[] All = [.. KafkaWithListeners.Secrets.All, Database, Alertmanager, WebhookKey];
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>With everything logged that the service, .NET and librdkafka can log.</summary>
    [Theory]
    [InlineData("MUTUAL", "")]
    [InlineData("PLAIN", "postgres")]
    [InlineData("SCRAM", "")]
    [InlineData("OAUTH", "absent postgres")]
    public async Task No_secret_is_in_a_log_at_any_level_an_answer_or_a_metric(string listener, string database)
    {
        LongTests.AskUnless(listener is "SCRAM" or "OAUTH");
        using var cluster = new TestCluster(await kafka.WithTopicsAsync(1), 1);
        cluster.ProduceDrive("car-1", SmallFrames.IntoFog);
        await using var receiver = await WebhookReceiver.StartAsync();
        receiver.Answer = (_, _) => Task.FromResult(500);
        string store = database switch
        {
            "" => _directory.File("alerts.db"),
            "postgres" => SharedPostgres.CreateDatabaseOrSkip() + $";Password={Database}",
            _ => $"Host=127.0.0.1;Port={Ports.Free()};Database=alerts;Username=outlier;Password={Database}",
        };
        await using var service = await RunningService.BeginAsync(cluster, store,
            ["Logging:LogLevel:Default=Trace", "Logging:LogLevel:Microsoft.AspNetCore=Trace",
            "Logging:LogLevel:Microsoft.EntityFrameworkCore=Trace", "Logging:LogLevel:Microsoft.Extensions.Diagnostics.HealthChecks=Trace",
            "Kafka:Client:debug=all", $"Kafka:BootstrapServers={kafka.Address(listener)}",
            $"Alerts:Alertmanagers:0=http://outlier:{Alertmanager}@127.0.0.1:{Ports.Free()}", "Webhooks:AllowedNetworks:0=127.0.0.0/8",
            .. kafka.Login(listener).Select(pair => $"Kafka:Client:{pair.Key}={pair.Value}")]);
        var answers = new List<string>();
        bool isStored = !database.StartsWith("absent", StringComparison.Ordinal);
        using (var made = await service.Http.PostAsJsonAsync("/api/subscriptions",
            new { name = "n", url = receiver.Address, secret = $"whsec_{WebhookKey}" }, TestContext.Current.CancellationToken))
        {
            // The answer to whoever made it has the secret, and is the only one that has.
            if (!isStored) answers.Add(await made.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
        cluster.Read(records => records.Count == SmallFrames.IntoFog.Length, TestCluster.Scores);
        if (isStored) await service.UntilAsync(() => Task.FromResult(!receiver.Received.IsEmpty), "a webhook being tried");
        foreach (string path in new[] { "/metrics", "/healthz/live", "/healthz/ready", "/api/subscriptions", "/api/alerts", "/api/cameras",
            "/openapi/v1.json", "/" })
        {
            using var answer = await service.Http.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
            answers.Add(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
        answers.Add($"{service.Services.GetRequiredService<PipelineOptions>()}");
        answers.Add($"{service.Services.GetRequiredService<PipelineOptions>().Kafka}");
        answers.Add($"{service.Services.GetRequiredService<AlertsOptions>()}");
        string[] log = [.. service.Log.Messages];
        // There is much, or nothing is shown: librdkafka's own lines, the frameworks', and ours.
        Assert.Contains(log, line => line.Contains("librdkafka", StringComparison.Ordinal)
            && line.Contains("security.protocol", StringComparison.Ordinal));
        Assert.Contains(log, line => line.StartsWith("Trace", StringComparison.Ordinal));
        foreach (string secret in All)
        {
            Assert.DoesNotContain(answers, answer => answer.Contains(secret, StringComparison.Ordinal));
            Assert.Equal([], log.Where(line => line.Contains(secret, StringComparison.Ordinal)).Select(line => Around(line, secret)));
        }
    }

    private static string Around(string line, string secret)
    {
        int at = line.IndexOf(secret, StringComparison.Ordinal);
        return line[Math.Max(0, at - 150)..Math.Min(line.Length, at + 20)];
    }
}
