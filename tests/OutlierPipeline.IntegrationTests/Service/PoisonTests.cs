using System.Text;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using OutlierPipeline.Alerts;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Dashboard;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>What others write to <c>ood.alerts</c>.</summary>
public sealed class PoisonTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("SQLite")]
    [InlineData("PostgreSQL")]
    public async Task A_record_that_is_no_alert_is_passed_over_counted_and_what_follows_it_is_stored(string kind)
    {
        using var directory = new TestDirectory();
        string database = kind == "PostgreSQL" ? SharedPostgres.CreateDatabaseOrSkip() : directory.File("alerts.db");
        using var cluster = new TestCluster(1);
        using var metrics = new MetricRecorder();
        await using var service = await RunningService.StartAsync(cluster, database);
        byte[][] poison = [.. Poison()];
        for (int i = 0; i < poison.Length; i++)
        {
            cluster.ProduceAlert(poison[i]);
            cluster.ProduceAlert(AlertFactory.Record($"good{i}", 1, AlertType.Opened, second: i));
        }
        cluster.ProduceAlert(null);
        cluster.Flush();
        await service.StoredAsync(poison.Length);
        await service.UntilAsync(() =>
            Task.FromResult(metrics.Sum("outlier.alerts.unreadable") == poison.Length + 1),
            $"{poison.Length + 1} unreadable records, not {metrics.Sum("outlier.alerts.unreadable")}");
        var incidents = (await service.GetAsync("/api/alerts?limit=500")).GetProperty("incidents").EnumerateArray()
            .Select(incident => incident.GetProperty("id").GetString()!).ToArray();
        Assert.Equal(Enumerable.Range(0, poison.Length).Select(i => $"good{i}").Order(StringComparer.Ordinal),
            incidents.Order(StringComparer.Ordinal));
        await service.UntilAsync(async () =>
            await (await service.Http.GetAsync("/healthz/ready", Cancellation)).Content.ReadAsStringAsync(Cancellation) == "ready\n",
            "being ready");
    }

    [Theory]
    [InlineData("SQLite",
        "CREATE TRIGGER odd BEFORE INSERT ON \"Alerts\" WHEN new.\"Camera\" = 'odd' BEGIN SELECT RAISE(ABORT, 'odd'); END")]
    [InlineData("PostgreSQL", "ALTER TABLE \"Alerts\" ADD CHECK (\"Camera\" <> 'odd')")]
    public async Task A_record_that_the_database_takes_by_no_means_is_passed_over_alone(string kind, string rule)
    {
        using var directory = new TestDirectory();
        string alerts = kind == "PostgreSQL" ? SharedPostgres.CreateDatabaseOrSkip() : directory.File("alerts.db");
        using var cluster = new TestCluster(1);
        using var metrics = new MetricRecorder();
        await using var service = await RunningService.StartAsync(cluster, alerts);
        await using (var database = await service.Services.GetRequiredService<IDbContextFactory<AlertDatabase>>()
            .CreateDbContextAsync(Cancellation)) await database.Database.ExecuteSqlRawAsync(rule, Cancellation);
        for (int i = 0; i < 20; i++) cluster.ProduceAlert(AlertFactory.Record($"i{i}", 1, AlertType.Opened, i % 5 == 3 ? "odd"
            : "even", second: i));
        cluster.Flush();
        await service.StoredAsync(16);
        Assert.Equal(4, metrics.Sum("outlier.alerts.unreadable"));
        Assert.Equal(16, (await service.GetAsync("/api/alerts?limit=500")).GetProperty("incidents").GetArrayLength());
    }

    [Theory]
    [InlineData("12:00")]
    [InlineData("soon")]
    [InlineData("")]
    public async Task An_alert_with_a_short_time_does_not_break_its_page(string time)
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster(1);
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        cluster.ProduceAlert(Changed(alert => alert["time"] = time));
        cluster.Flush();
        await service.StoredAsync(1);
        var page = typeof(DashboardFeed).Assembly.GetType("OutlierPipeline.Service.Dashboard.Pages.IncidentDetail")!;
        await using var shown = await PageRenderer.ShowAsync(service, page, "bad", AccessHandler.Principal("reader", [Scope.Read]));
        Assert.Contains("opened", await service.Http.GetStringAsync("/incidents/bad", Cancellation), StringComparison.Ordinal);
    }

    private static IEnumerable<byte[]> Poison()
    {
        yield return [];
        yield return "null"u8.ToArray();
        yield return "[]"u8.ToArray();
        yield return "{"u8.ToArray();
        yield return [0xFF, 0xFE, 0x00];
        yield return Encoding.UTF8.GetBytes(new string('[', 5000));
        string good = Encoding.UTF8.GetString(Changed(_ => { }));
        // A property that is there twice, at each depth.
        yield return Encoding.UTF8.GetBytes(good.Replace("\"specversion\":\"1.0\"",
            "\"specversion\":\"1.0\",\"subject\":\"bad\",\"subject\":\"bad\"", StringComparison.Ordinal));
        yield return Encoding.UTF8.GetBytes(good.Replace("\"camera\":", "\"camera\":\"x\",\"camera\":", StringComparison.Ordinal));
        yield return Encoding.UTF8.GetBytes(good.Replace("\"data\":{", "\"data\":{\"unknown\":{\"a\":1,\"a\":2},",
            StringComparison.Ordinal));
        // Half a character.
        yield return Encoding.UTF8.GetBytes(good.Replace("\"camera\":\"", "\"camera\":\"\\ud800", StringComparison.Ordinal));
        foreach (var wrong in new JsonNode?[] { 7, true, new JsonArray(1), new JsonObject { ["x"] = 1 }, "\0", new string('x', 100_000) })
        {
            foreach (string field in new[] { "id", "subject", "type" }) yield return Changed(alert => alert[field] = wrong?.DeepClone());
            foreach (string field in new[] { "camera", "kind", "severity", "reason", "firedScore", "closed" }) yield return Changed(alert =>
                alert["data"]![field] = wrong?.DeepClone());
        }
        yield return Changed(alert => alert["time"] = 12);
        foreach (string field in new[] { "camera", "kind", "severity", "reason", "firstFrame", "lastFrame" }) yield return Changed(alert =>
            alert["data"]!.AsObject().Remove(field));
        foreach (string field in new[] { "strangeness", "martingale", "where", "model", "picture", "extrapolated",
            "firstFrame" }) yield return Changed(alert => alert["data"]![field] = "seven");
        foreach (string field in new[] { "strangeness",
            "martingale" }) yield return Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(Changed(alert => alert["data"]![field] = 12345))
            .Replace("12345", "1e999", StringComparison.Ordinal));
        yield return Changed(alert => alert["data"]!["where"]!["x"] = "left");
        yield return Changed(alert => alert["data"]!["cause"] = "fog");
        yield return Changed(alert => alert["data"]!["along"] = "fog");
        yield return Changed(alert => alert["data"]!["along"] = new JsonArray("fog"));
        yield return Changed(alert => alert["data"]!["along"] = new JsonArray(new JsonObject { ["name"] = "fog" }));
        yield return Changed(alert => alert["data"]!["along"] = new JsonArray(new JsonObject { ["name"] = "fog", ["sigma"] = "6" }));
        yield return Changed(alert => alert["data"]!["along"] = new JsonArray([.. Enumerable.Repeat(0, 17).Select(_ => new JsonObject())]));
        yield return Changed(alert => alert["data"]!["cause"] = new JsonObject { ["probability"] = 0.9 });
        yield return Changed(alert => alert["data"]!["cause"] = new JsonObject { ["name"] = 7, ["probability"] = 0.9 });
        yield return Changed(alert => alert["data"]!["cause"] = new JsonObject { ["name"] = "fog", ["probability"] = "high" });
        yield return Changed(alert => alert["data"]!["model"]!["name"] = new JsonArray());
        yield return Changed(alert => alert["data"]!["picture"] = new JsonObject { ["base64"] = "no base64!" });
        yield return Changed(alert => alert["data"]!["picture"] = new JsonObject { ["base64"] = 7 });
        yield return Changed(alert => alert["data"]!["kind"] = "7");
        yield return Changed(alert => alert["subject"] = "two words");
        foreach (string time in new[] { "yesterday", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
            "2026-01-01T00:00:00.0000000001Z" }) yield return Changed(alert => alert["data"]!["lastFrame"]!["timestamp"] = time);
    }

    /// <summary>An alert with the incident <c>bad</c>, changed.</summary>
    private static byte[] Changed(Action<JsonNode> change)
    {
        var alert = JsonNode.Parse(AlertFactory.Record("bad", 1, AlertType.Opened))!;
        change(alert);
        return Encoding.UTF8.GetBytes(alert.ToJsonString());
    }
}
