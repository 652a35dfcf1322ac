using System.Net;
using System.Net.Http.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Streams;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>Server-sent events.</summary>
public sealed class StreamTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_client_that_reconnects_50_times_on_either_replica_sees_every_event_exactly_once_and_in_order()
    {
        const int Incidents = 300;
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        // Each has a database of its own: the position is Kafka's.
        await using var one = await RunningService.StartAsync(cluster, directory.File("one.db"));
        await using var other = await RunningService.StartAsync(cluster, directory.File("other.db"));
        var random = new Random(7);
        string? position;
        using (var first = await StreamClient.OpenAsync(one.Http)) position = first.LastEventId;
        var producing = Task.Run(async () =>
        {
            for (int i = 0; i < Incidents; i++)
            {
                cluster.ProduceAlert(AlertFactory.Record($"i{i}", 1, AlertType.Opened, second: i), i % 4);
                cluster.ProduceAlert(AlertFactory.Record($"i{i}", 2, AlertType.Closed, second: i), i % 4);
                if (i % 8 == 0) await Task.Delay(15, Cancellation);
            }
            cluster.Flush();
        }, Cancellation);
        var heard = new List<string>();
        int connections = 0;
        while (heard.Count < 2 * Incidents || connections < 50)
        {
            using var stream = await StreamClient.OpenAsync(connections++ % 2 == 0 ? one.Http : other.Http, position);
            // Broken off after some events, or in the middle of waiting.
            using var end = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            end.CancelAfter(connections > 50 ? TimeSpan.FromSeconds(5) : TimeSpan.FromMilliseconds(random.Next(10, 60)));
            int most = connections > 50 ? int.MaxValue : random.Next(1, 30);
            try
            {
                for (int i = 0; i < most && heard.Count < 2 * Incidents && await stream.NextAsync(end.Token) is { } alert; i++)
                    heard.Add(alert.GetProperty("id").GetString()!);
            }
            catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
            {
                // As meant.
            }
            position = stream.LastEventId;
            Assert.True(connections < 200, $"only {heard.Count} events came");
        }
        await producing;
        Assert.Equal(2 * Incidents, heard.Distinct().Count());
        Assert.Equal(2 * Incidents, heard.Count);
        for (int i = 0; i < Incidents; i++)
            Assert.True(heard.IndexOf($"i{i}-1") < heard.IndexOf($"i{i}-2"), $"incident {i} closed before it opened");
    }

    [Fact]
    public async Task Patterns_of_dozens_of_stars_hold_up_no_other_listener()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        string stars = string.Concat(Enumerable.Repeat("*a", 40)) + "!";
        var slow = new List<StreamClient>();
        for (int i = 0; i < 5; i++) slow.Add(await StreamClient.OpenAsync(service.Http, query: $"?camera={stars}"));
        using var made = await service.Http.PostAsJsonAsync("/api/subscriptions", new { name = "slow", url = "http://h/", cameras = stars },
            Cancellation);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        using var stream = await StreamClient.OpenAsync(service.Http);
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened, new string('a', 120)));
        cluster.Flush();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(20));
        Assert.Equal("one", (await stream.NextAsync(limit.Token))!.Value.GetProperty("subject").GetString());
        slow.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task A_stream_gives_what_its_filter_asks_for_and_refuses_positions_that_are_none()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        using var stream = await StreamClient.OpenAsync(service.Http, query: "?camera=car-2/*&severity=warning&kind=dark,frozen");
        cluster.ProduceAlert(AlertFactory.Record("a", 1, AlertType.Opened, "car-1/front", Severity.Critical, AlertKind.Dark));
        cluster.ProduceAlert(AlertFactory.Record("b", 1, AlertType.Opened, "car-2/front", Severity.Info, AlertKind.Dark));
        cluster.ProduceAlert(AlertFactory.Record("c", 1, AlertType.Opened, "car-2/front", Severity.Warning, AlertKind.Scene));
        cluster.ProduceAlert(AlertFactory.Record("d", 1, AlertType.Opened, "car-2/front", Severity.Warning, AlertKind.Frozen));
        cluster.Flush();
        Assert.Equal("d", (await stream.NextAsync(Cancellation))!.Value.GetProperty("subject").GetString());
        foreach (string wrong in new[] { "17", "00000000~0:1", "zzzzzzzz~0:1", stream.LastEventId + ",x" })
            Assert.Equal(HttpStatusCode.BadRequest,
                (await Assert.ThrowsAsync<HttpRequestException>(() => StreamClient.OpenAsync(service.Http, wrong))).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest,
            (await Assert.ThrowsAsync<HttpRequestException>(() => StreamClient.OpenAsync(service.Http, query: "?kind=ufo"))).StatusCode);
        // What was stored comes first, whoever listens first.
        using var late = await StreamClient.OpenAsync(service.Http, stream.LastEventId!.Split('~')[0] + "~");
        Assert.Equal("a", (await late.NextAsync(Cancellation))!.Value.GetProperty("subject").GetString());
    }

    [Fact]
    public void A_reader_that_does_not_read_is_dropped_and_the_others_hear_everything()
    {
        using var broadcast = new AlertBroadcast(TimeProvider.System);
        broadcast.Begin("test", "ood.alerts", new Dictionary<int, long>());
        using var slow = broadcast.Listen(AlertFilter.All)!;
        using var fast = broadcast.Listen(AlertFilter.All)!;
        int heard = 0;
        for (int i = 0; i <= AlertBroadcast.Capacity; i++)
        {
            broadcast.Publish(0, i + 1, [Row(i)]);
            while (fast.Events.TryRead(out _)) heard++;
        }
        Assert.True(slow.IsDropped);
        Assert.False(fast.IsDropped);
        Assert.Equal(AlertBroadcast.Capacity + 1, heard);
        Assert.Equal(1, broadcast.Listeners);
    }

    private static AlertRow Row(long offset) => new()
    {
        Cluster = "test",
        Topic = "ood.alerts",
        Partition = 0,
        Offset = offset,
        EventId = $"{offset}",
        Incident = "i",
        Type = "outlier.alert.opened",
        Camera = "c",
        Kind = AlertKind.Scene,
        Severity = Severity.Warning,
        RecordedMilliseconds = 0,
        IsMuted = false,
        Json = "{}",
    };
}
