using System.Net.Http.Json;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>Open incidents at Alertmanagers: grouped, ended, and each told by itself.</summary>
public sealed class AlertmanagerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Fog_over_a_city_is_one_notification()
    {
        const int Cameras = 800;
        Assert.SkipUnless(File.Exists("/usr/bin/prometheus-alertmanager"),
            "Alertmanager is not on this machine (Debian: prometheus-alertmanager)");
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var receiver = await WebhookReceiver.StartAsync();
        int port = Ports.Free();
        await File.WriteAllTextAsync(directory.File("alertmanager.yml"), $"""
            route:
              receiver: on-call
              group_by: [kind]
              group_wait: 8s
              group_interval: 1m
            receivers:
              - name: on-call
                webhook_configs:
                  - url: {receiver.Address}
            """, Cancellation);
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"),
            // What is not sent again within three of these has ended for Alertmanager: a machine that is slow for a while must keep up.
            $"Alerts:Alertmanagers:0=http://127.0.0.1:{port}", "Alerts:ResendInterval=00:00:05");
        for (int i = 0; i < Cameras; i++)
            cluster.ProduceAlert(AlertFactory.Record($"i{i}", 1, AlertType.Opened, $"car-{i}/front", second: i), i % 4);
        cluster.Flush();
        // It starts when all have been read, and were sent in vain for as long as that took, maybe longer than it waits for others.
        await service.StoredAsync(Cameras);
        using var alertmanager = Tool.Start("/usr/bin/prometheus-alertmanager", [$"--config.file={directory.File("alertmanager.yml")}",
            $"--storage.path={directory.File("data")}", $"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]);
        _ = alertmanager.StandardError.ReadToEndAsync(Cancellation);
        try
        {
            await service.UntilAsync(() => Task.FromResult(!receiver.Received.IsEmpty), "the notification");
            var notification = Assert.Single(receiver.Received).Json;
            Assert.Equal(Cameras, notification.GetProperty("alerts").GetArrayLength());
            var labels = notification.GetProperty("alerts")[0].GetProperty("labels");
            Assert.Equal("scene", labels.GetProperty("kind").GetString());
            Assert.Matches("^car-[0-9]+$", labels.GetProperty("vehicle").GetString()!);
            // One that closes ends there too.
            cluster.ProduceAlert(AlertFactory.Record("i7", 2, AlertType.Closed, "car-7/front", second: 7), 7 % 4);
            cluster.Flush();
            using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            await service.UntilAsync(async () =>
                (await http.GetFromJsonAsync<JsonElement>("/api/v2/alerts", Cancellation)).GetArrayLength() == Cameras - 1,
                "the end of one");
        }
        finally
        {
            alertmanager.Kill(entireProcessTree: true);
        }
    }

    [Fact]
    public async Task What_no_Alertmanager_took_starts_for_it_when_one_takes_it_so_that_it_still_waits_for_others()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var receiver = await WebhookReceiver.StartAsync();
        receiver.Answer = (_, _) => Task.FromResult(503);
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"),
            $"Alerts:Alertmanagers:0={receiver.Address}", "Alerts:ResendInterval=00:00:01");
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened));
        cluster.Flush();
        await service.UntilAsync(() => Task.FromResult(receiver.Received.Count >= 2), "two that are refused");
        receiver.Answer = (_, _) => Task.FromResult(200);
        int refused = receiver.Received.Count;
        await service.UntilAsync(() => Task.FromResult(receiver.Received.Count >= refused + 3), "some that are taken");
        var starts = receiver.Received.Select(received => received.Json[0].GetProperty("startsAt").GetDateTimeOffset()).ToList();
        Assert.True(starts[^1] > starts[1], $"it started at {starts[1]:O}, when nobody took it");
        // From then on it is the same alert.
        Assert.Equal(starts[^2], starts[^1]);
    }

    [Fact]
    public async Task An_incident_that_opens_as_one_with_its_labels_closes_stays_open_at_an_Alertmanager_below_a_path()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var receiver = await WebhookReceiver.StartAsync();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"),
            $"Alerts:Alertmanagers:0={receiver.Address}alertmanager", "Alerts:ResendInterval=00:00:01");
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened));
        cluster.Flush();
        await service.UntilAsync(() => Task.FromResult(!receiver.Received.IsEmpty), "the first");
        // Nobody answers while the one closes and the other opens, so that both are in the next post that is taken.
        receiver.Answer = (_, _) => Task.FromResult(503);
        cluster.ProduceAlert(AlertFactory.Record("one", 2, AlertType.Closed));
        cluster.ProduceAlert(AlertFactory.Record("other", 1, AlertType.Opened, second: 60));
        cluster.Flush();
        await service.UntilAsync(() => Task.FromResult(Incidents().Any(incidents => incidents.Contains("other"))), "the second");
        receiver.Answer = (_, _) => Task.FromResult(200);
        int refused = receiver.Received.Count;
        await service.UntilAsync(() => Task.FromResult(receiver.Received.Count >= refused + 2), "some that are taken");
        Assert.All(Incidents().Where(incidents => incidents.Contains("other")), incidents => Assert.Equal(["other"], incidents));
        Assert.All(receiver.Received, received => Assert.Equal("/alertmanager/api/v2/alerts", received.Path));

        List<string[]> Incidents() =>
            [.. receiver.Received.Select(received =>
            received.Json.EnumerateArray().Select(alert => alert.GetProperty("annotations").GetProperty("incident").GetString()!)
            .ToArray())];
    }

    [Fact]
    public async Task An_Alertmanager_that_is_away_leaves_nothing_behind_at_the_other()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var receiver = await WebhookReceiver.StartAsync();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"),
            "Alerts:Alertmanagers:0=http://127.0.0.1:1", $"Alerts:Alertmanagers:1={receiver.Address}", "Alerts:ResendInterval=00:00:01");
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened, "car-1/front"));
        cluster.Flush();
        await service.UntilAsync(() => Task.FromResult(Posts("one").Count > 0), "the one");
        cluster.ProduceAlert(AlertFactory.Record("one", 2, AlertType.Closed, "car-1/front"));
        cluster.Flush();
        await service.UntilAsync(() => Task.FromResult(Posts("one").Any(one => one.GetProperty("endsAt").GetDateTimeOffset()
            <= DateTimeOffset.UtcNow)), "its end");
        int ended = Posts("one").Count;
        cluster.ProduceAlert(AlertFactory.Record("other", 1, AlertType.Opened, "car-2/front", second: 60));
        cluster.Flush();
        await service.UntilAsync(() => Task.FromResult(Posts("other").Count > 1), "the other, twice");
        Assert.Equal(ended, Posts("one").Count);

        List<JsonElement> Posts(string incident) => [.. receiver.Received.SelectMany(received => received.Json.EnumerateArray())
            .Where(alert => alert.GetProperty("annotations").GetProperty("incident").GetString() == incident)];
    }
}
