using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Subscriptions;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>What earlier versions wrote (Fixtures/README.md), read by this one.</summary>
public sealed class UpgradeTests
{
    private const string Incident = "e7492feb5680e16bf9e464832e1c9137";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("SQLite")]
    [InlineData("PostgreSQL")]
    public async Task A_database_of_an_earlier_version_is_migrated_and_nothing_in_it_is_read_or_sent_twice(string kind)
    {
        using var directory = new TestDirectory();
        string database = kind == "PostgreSQL" ? SharedPostgres.CreateDatabaseOrSkip() : directory.File("alerts.db");
        if (kind == "SQLite") File.Copy(Fixture("alerts.sqlite"), database);
        else await RestoreAsync(database);
        using var cluster = new TestCluster();
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened, picture: [0xFF, 0xD8, 0xFF, 0xD9]));
        cluster.ProduceAlert(AlertFactory.Record("one", 2, AlertType.Escalated, severity: Severity.Critical));
        cluster.ProduceAlert(AlertFactory.Record("one", 3, AlertType.Closed, severity: Severity.Critical));
        cluster.ProduceAlert(AlertFactory.Record("two", 1, AlertType.Opened, "truck-7/rear", kind: AlertKind.Frozen, second: 60), 3);
        cluster.ProduceAlert(AlertFactory.Record("muted", 1, AlertType.Opened, "van-2/left", second: 90), 2);
        cluster.ProduceAlert(AlertFactory.Record("three", 1, AlertType.Opened, "truck-8/rear", second: 120), 3);
        cluster.Flush();
        await using var receiver = await WebhookReceiver.StartAsync();
        await using var service = await RunningService.StartAsync(cluster, database, "Webhooks:AllowedNetworks:0=127.0.0.0/8");
        await service.StoredAsync(6);
        var incidents = (await service.GetAsync("/api/alerts")).GetProperty("incidents").EnumerateArray()
            .ToDictionary(incident => incident.GetProperty("id").GetString()!);
        Assert.Equal(["muted", "one", "three", "two"], incidents.Keys.Order());
        Assert.Equal("critical", incidents["one"].GetProperty("severity").GetString());
        Assert.Equal("local", incidents["one"].GetProperty("acknowledged").GetProperty("by").GetString());
        Assert.Equal("normal", incidents["one"].GetProperty("judgement").GetString());
        Assert.True(incidents["muted"].GetProperty("isMuted").GetBoolean());
        Assert.Equal([0xFF, 0xD8, 0xFF, 0xD9], await service.Http.GetByteArrayAsync("/api/alerts/one/picture.jpg", Cancellation));
        Assert.Equal(3, (await service.GetAsync("/api/alerts/one")).GetProperty("events").GetArrayLength());
        Assert.Equal("van-?/*",
            Assert.Single((await service.GetAsync("/api/mutes")).EnumerateArray().ToArray()).GetProperty("cameras").GetString());
        var subscriptions = (await service.GetAsync("/api/subscriptions")).EnumerateArray().ToArray();
        Assert.Equal(["fleet truck-* warning", "all  info"],
            subscriptions.Select(row => $"{row.GetProperty("name")} {row.GetProperty("cameras")} {row.GetProperty("minSeverity")}"));
        // The one for trucks gets the new one too, the other did already: an event is delivered once, or waits once.
        await using var rows = await service.Services.GetRequiredService<IDbContextFactory<AlertDatabase>>()
            .CreateDbContextAsync(Cancellation);
        var deliveries = await rows.Set<DeliveryRow>().AsNoTracking().OrderBy(row => row.EventId).ThenBy(row => row.Subscription)
            .Select(row => row.EventId).ToListAsync(Cancellation);
        Assert.Equal(["one-1", "one-2", "one-3", "three-1", "three-1", "two-1"], deliveries);
    }

    [Fact]
    public async Task An_incident_in_a_state_record_of_an_earlier_version_is_neither_forgotten_nor_opened_again()
    {
        using var cluster = new TestCluster(1);
        long time = 1_790_000_000_000_000_000;
        foreach (byte[] frame in SmallFrames.FullDrive(1, 20).Concat(SmallFrames.FullDrive(1, 30, Trouble.Fog))
            .Concat(SmallFrames.FullDrive(1, 120)))
        {
            cluster.Produce("car-1/front", frame, 0, ("frame-timestamp", time.ToString(CultureInfo.InvariantCulture)));
            time += 100_000_000;
        }
        cluster.Produce(TestCluster.State, "car-1/front", File.ReadAllBytes(Fixture("state.json")));
        cluster.Flush();
        // All of it is read again: what the record says to have been seen is not counted twice.
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => cluster.Committed()[0] == 170, "everything being committed");
        Assert.All(pipeline.Alerts, alert => Assert.Equal(Incident, alert.Incident));
        Assert.Equal(AlertType.Closed, pipeline.Alerts[^1].Type);
        Assert.DoesNotContain(pipeline.Alerts, alert => alert.Type == AlertType.Opened);
    }

    [Fact]
    public async Task An_alert_record_of_an_earlier_version_is_stored_whole()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        byte[] record = await File.ReadAllBytesAsync(Fixture("alert.json"), Cancellation);
        cluster.ProduceAlert(record);
        cluster.Flush();
        await service.StoredAsync(1);
        var incident = (await service.GetAsync($"/api/alerts/{Incident}")).GetProperty("incident");
        Assert.Equal("statistics", incident.GetProperty("firedScore").GetString());
        Assert.Equal("scene", incident.GetProperty("kind").GetString());
        Assert.Equal("street-demo 1.0.0", incident.GetProperty("model").GetString());
        Assert.Equal(0.55, incident.GetProperty("where").GetProperty("x").GetDouble());
        Assert.Equal("2026-09-21T14:13:22.0000000+00:00",
            incident.GetProperty("opened").GetDateTimeOffset().ToString("O", CultureInfo.InvariantCulture));
        byte[] picture = Convert.FromBase64String(JsonNode.Parse(record)!["data"]!["picture"]!["base64"]!.GetValue<string>());
        Assert.Equal(picture, await service.Http.GetByteArrayAsync($"/api/alerts/{Incident}/picture.jpg", Cancellation));
    }

    [Fact]
    public void A_package_of_an_earlier_version_gives_the_same_p_values()
    {
        using var directory = new TestDirectory();
        foreach (string file in Directory.GetFiles(Fixture("package"))) File.Copy(file, directory.File(Path.GetFileName(file)));
        byte[] graph = File.ReadAllBytes(Path.Combine(Repository.StreetDemo, "model.onnx"));
        File.WriteAllBytes(directory.File("model.onnx"), graph);
        var card = JsonNode.Parse(File.ReadAllText(directory.File("model.json")))!;
        card["files"]!["model.onnx"] = ModelPackage.DigestOf(graph);
        File.WriteAllText(directory.File("model.json"), card.ToJsonString());
        var calibration = ModelPackage.Load(Path.GetDirectoryName(directory.File("model.json"))!).Default.Calibration;
        float[] scores = [.. calibration.Scores.Select((_, k) => (float)(calibration.Location[k] + 0.7 * calibration.Scale[k]))];
        Assert.Equal(30, calibration.Frames);
        Assert.Equal(1.14793982158358, calibration.Combine(scores), 6);
        Assert.Equal(0.12903225806451613, calibration.PValue(calibration.Combine(scores)), 12);
        Assert.Equal(0.12903225806451613, calibration.PValue(2, scores[2]), 12);
        Assert.Equal(4.259541055419459E-05, calibration.TailPValue(8)!.Value, 12);
    }

    private static string Fixture(string name) =>
        Path.Combine(Repository.Root, "tests", "OutlierPipeline.IntegrationTests", "Fixtures", name);

    private static async Task RestoreAsync(string database)
    {
        await using var connection = new NpgsqlConnection(database + ";Pooling=false");
        await connection.OpenAsync(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = await File.ReadAllTextAsync(Fixture("alerts-postgres.sql"), Cancellation);
        await command.ExecuteNonQueryAsync(Cancellation);
    }
}
