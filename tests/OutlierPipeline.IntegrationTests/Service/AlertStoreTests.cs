using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using OutlierPipeline.Alerts;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>History, on SQLite and on PostgreSQL.</summary>
public sealed class AlertStoreTests
{
    public static TheoryData<string> Databases => new("SQLite", "PostgreSQL");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Databases))]
    public async Task Every_alert_is_stored_once_whatever_is_repeated_and_however_often_the_service_is_started(string kind)
    {
        using var database = new Database(kind);
        using var cluster = new TestCluster();
        await using (var first = await RunningService.StartAsync(cluster, database.ConnectionString))
        {
            cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened, picture: [0xFF, 0xD8, 0xFF]));
            cluster.ProduceAlert(AlertFactory.Record("one", 2, AlertType.Escalated, severity: Severity.Critical));
            // A crash between producing and committing repeats what follows.
            cluster.ProduceAlert(AlertFactory.Record("one", 2, AlertType.Escalated, severity: Severity.Critical));
            cluster.ProduceAlert("not an alert"u8.ToArray());
            cluster.ProduceAlert(AlertFactory.Record("two", 1, AlertType.Opened, "car-2/rear", kind: AlertKind.Frozen, second: 60), 3);
            cluster.Flush();
            await first.StoredAsync(3);
        }
        cluster.ProduceAlert(AlertFactory.Record("one", 3, AlertType.Closed, severity: Severity.Critical));
        cluster.ProduceAlert(AlertFactory.Record("two", 1, AlertType.Opened, "car-2/rear", kind: AlertKind.Frozen, second: 60), 3);
        cluster.Flush();
        await using var second = await RunningService.StartAsync(cluster, database.ConnectionString);
        await second.StoredAsync(4);
        var list = (await second.GetAsync("/api/alerts")).GetProperty("incidents");
        Assert.Equal(["two", "one"], list.EnumerateArray().Select(incident => incident.GetProperty("id").GetString()));
        var life = await second.GetAsync("/api/alerts/one");
        Assert.Equal(["outlier.alert.opened", "outlier.alert.escalated", "outlier.alert.closed"],
            life.GetProperty("events").EnumerateArray().Select(alert => alert.GetProperty("type").GetString()));
        var incident = life.GetProperty("incident");
        Assert.Equal("critical", incident.GetProperty("severity").GetString());
        Assert.False(incident.GetProperty("isOpen").GetBoolean());
        Assert.Equal("calm", incident.GetProperty("closeReason").GetString());
        Assert.Equal("car-1", incident.GetProperty("vehicle").GetString());
        Assert.Equal("fog", incident.GetProperty("cause").GetProperty("name").GetString());
        Assert.Equal(0.9, incident.GetProperty("cause").GetProperty("probability").GetDouble());
        var along = Assert.Single(incident.GetProperty("along").EnumerateArray());
        Assert.Equal(("sun height", -6.25), (along.GetProperty("name").GetString(), along.GetProperty("sigma").GetDouble()));
        // The event as it is sent on has a link instead of the picture.
        var picture = life.GetProperty("events")[0].GetProperty("data").GetProperty("picture");
        Assert.False(picture.TryGetProperty("base64", out _));
        Assert.Equal([0xFF, 0xD8, 0xFF], await second.Http.GetByteArrayAsync(picture.GetProperty("url").GetString(), Cancellation));
        Assert.Equal(HttpStatusCode.NotFound, (await second.Http.GetAsync("/api/alerts/three", Cancellation)).StatusCode);
    }

    [Theory]
    [MemberData(nameof(Databases))]
    public async Task Filters_and_pages_show_each_incident_once_while_new_ones_open(string kind)
    {
        using var database = new Database(kind);
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, database.ConnectionString);
        for (int i = 0; i < 23; i++)
            cluster.ProduceAlert(AlertFactory.Record($"i{i:00}", 1, AlertType.Opened, $"car-{i % 3}/front", i % 2 == 0
                ? Severity.Warning
                : Severity.Info, i % 5 == 0 ? AlertKind.Dark : AlertKind.Scene, second: i / 2), i % 4);
        cluster.ProduceAlert(AlertFactory.Record("i04", 2, AlertType.Closed, "car-1/front", second: 2), 0);
        cluster.Flush();
        await service.StoredAsync(24);
        var seen = new List<string>();
        string cursor = "";
        do
        {
            var page = await service.GetAsync($"/api/alerts?limit=5&cursor={cursor}");
            seen.AddRange(page.GetProperty("incidents").EnumerateArray().Select(incident => incident.GetProperty("id").GetString()!));
            cursor = page.GetProperty("next").GetString() ?? "";
            // New ones come at the front: what follows does not move.
            cluster.ProduceAlert(AlertFactory.Record($"new{seen.Count}", 1, AlertType.Opened, second: 1000 + seen.Count));
            cluster.Flush();
            await service.StoredAsync(24 + seen.Count / 5);
        }
        while (cursor.Length > 0);
        Assert.Equal(Enumerable.Range(0, 23).Select(i => $"i{i:00}").Order(), seen.Order());
        Assert.Equal(12, await Count("/api/alerts?severity=warning&to=2026-09-21T14:29:00Z&limit=100"));
        Assert.Equal(5, await Count("/api/alerts?kind=dark&limit=100"));
        Assert.Equal(8, await Count("/api/alerts?camera=car-1/*&to=2026-09-21T14:29:00Z&limit=100") - 0);
        Assert.Equal(22, await Count("/api/alerts?open=true&to=2026-09-21T14:29:00Z&limit=100"));
        Assert.Equal(2, await Count("/api/alerts?from=2026-09-21T14:13:21Z&to=2026-09-21T14:13:22Z&limit=100"));
        foreach (string wrong in new[] { "severity=grave", "kind=ufo", "cursor=x", "limit=0", "from=yesterday" })
            Assert.Equal(HttpStatusCode.BadRequest, (await service.Http.GetAsync($"/api/alerts?{wrong}", Cancellation)).StatusCode);

        async Task<int> Count(string path) => (await service.GetAsync(path)).GetProperty("incidents").GetArrayLength();
    }

    [Theory]
    [MemberData(nameof(Databases))]
    public async Task What_people_do_is_kept_with_who_and_when_and_muted_cameras_are_recorded_and_not_sent(string kind)
    {
        using var database = new Database(kind);
        using var cluster = new TestCluster();
        await using (var service = await RunningService.StartAsync(cluster, database.ConnectionString))
        {
            using var stream = await StreamClient.OpenAsync(service.Http);
            var mute = await (await service.Http.PostAsJsonAsync("/api/mutes",
                new { cameras = "truck-*", until = DateTimeOffset.UtcNow.AddHours(1), reason = "lens is being changed" },
                Cancellation)).Content.ReadFromJsonAsync<JsonElement>(Cancellation);
            cluster.ProduceAlert(AlertFactory.Record("muted", 1, AlertType.Opened, "truck-1/left"));
            cluster.ProduceAlert(AlertFactory.Record("loud", 1, AlertType.Opened));
            cluster.Flush();
            await service.StoredAsync(2);
            Assert.Equal("loud", (await stream.NextAsync(Cancellation))!.Value.GetProperty("subject").GetString());
            Assert.True((await service.GetAsync("/api/alerts/muted")).GetProperty("incident").GetProperty("isMuted").GetBoolean());
            Assert.Equal(1, (await service.GetAsync("/api/mutes")).GetArrayLength());
            Assert.Equal(HttpStatusCode.NoContent,
                (await service.Http.DeleteAsync($"/api/mutes/{mute.GetProperty("id").GetString()}", Cancellation)).StatusCode);
            // The window is over, but nobody heard of its opening.
            cluster.ProduceAlert(AlertFactory.Record("muted", 2, AlertType.Closed, "truck-1/left"));
            cluster.ProduceAlert(AlertFactory.Record("loud", 2, AlertType.Closed));
            cluster.Flush();
            Assert.Equal("loud", (await stream.NextAsync(Cancellation))!.Value.GetProperty("subject").GetString());
            Assert.Equal(HttpStatusCode.NoContent,
                (await service.Http.PostAsJsonAsync("/api/alerts/loud/acknowledge", new { text = "on my way" }, Cancellation)).StatusCode);
            Assert.Equal(HttpStatusCode.NoContent,
                (await service.Http.PostAsJsonAsync("/api/alerts/loud/note", new { text = "a wet lens" }, Cancellation)).StatusCode);
            Assert.Equal(HttpStatusCode.NoContent,
                (await service.Http.PostAsJsonAsync("/api/alerts/loud/judgement", new { judgement = "normal" }, Cancellation)).StatusCode);
            Assert.Equal(HttpStatusCode.BadRequest,
                (await service.Http.PostAsJsonAsync("/api/alerts/loud/judgement", new { judgement = "odd" }, Cancellation)).StatusCode);
            Assert.Equal(HttpStatusCode.NotFound,
                (await service.Http.PostAsJsonAsync("/api/alerts/none/acknowledge", new { }, Cancellation)).StatusCode);
        }
        await using var again = await RunningService.StartAsync(cluster, database.ConnectionString);
        var life = await again.GetAsync("/api/alerts/loud");
        Assert.Equal("local", life.GetProperty("incident").GetProperty("acknowledged").GetProperty("by").GetString());
        Assert.Equal("normal", life.GetProperty("incident").GetProperty("judgement").GetString());
        Assert.Equal(["acknowledge on my way", "note a wet lens", "normal "], life.GetProperty("actions").EnumerateArray().Select(action =>
            $"{action.GetProperty("action")} {action.GetProperty("text")}"));
    }

    [Theory]
    [MemberData(nameof(Databases))]
    public async Task Pictures_go_after_their_time_and_the_figures_stay(string kind)
    {
        using var database = new Database(kind);
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, database.ConnectionString, "Alerts:KeepPictures=00:00:00");
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened, picture: [1, 2, 3]));
        cluster.Flush();
        await service.StoredAsync(1);
        await service.UntilAsync(async () =>
            (await service.Services.GetRequiredService<AlertStore>().CleanAsync(Cancellation)).Pictures == 1, "the picture's end");
        var incident = (await service.GetAsync("/api/alerts/one")).GetProperty("incident");
        Assert.True(incident.GetProperty("isPictureExpired").GetBoolean());
        Assert.Equal(JsonValueKind.Null, incident.GetProperty("picture").ValueKind);
        Assert.Equal(7, incident.GetProperty("martingale").GetDouble());
        Assert.Equal(HttpStatusCode.NotFound, (await service.Http.GetAsync("/api/alerts/one/picture.jpg", Cancellation)).StatusCode);
    }

    [Theory]
    [MemberData(nameof(Databases))]
    public async Task A_camera_is_found_by_case_and_character_alike_whatever_stands_in_its_id(string kind)
    {
        using var database = new Database(kind);
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, database.ConnectionString);
        string[] cameras = ["Car-1/front", "car-1/front", "*", "a_b", "axb", "a%b", "a[b]", "a\\b", "\u00e4/vorn"];
        for (int i = 0; i < cameras.Length; i++) cluster.ProduceAlert(AlertFactory.Record($"i{i}", 1, AlertType.Opened, cameras[i],
            second: i));
        cluster.Flush();
        await service.StoredAsync(cameras.Length);
        Assert.Equal(["car-1/front"], await CamerasAsync("car-*"));
        Assert.Equal(["Car-1/front", "car-1/front"], await CamerasAsync("?ar-1/*"));
        Assert.Equal(["*"], await CamerasAsync("\\*"));
        Assert.Equal(["a_b"], await CamerasAsync("a_b"));
        Assert.Equal(["a%b"], await CamerasAsync("a%b"));
        Assert.Equal(["a[b]"], await CamerasAsync("a[b]"));
        Assert.Equal(["a\\b"], await CamerasAsync("a\\\\b"));
        Assert.Equal(["\u00e4/vorn"], await CamerasAsync("?/v*"));
        Assert.Equal(cameras.Length, (await CamerasAsync("*")).Length);
        // As slow as the lengths multiplied, in the database too.
        var begun = System.Diagnostics.Stopwatch.StartNew();
        Assert.Empty(await CamerasAsync(string.Concat(Enumerable.Repeat("*r", 60)) + "!"));
        Assert.InRange(begun.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.Equal(HttpStatusCode.BadRequest,
            (await service.Http.GetAsync($"/api/alerts?camera={new string('*', 300)}", Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await service.Http.GetAsync("/api/alerts?camera=%00", Cancellation)).StatusCode);

        async Task<string[]> CamerasAsync(string pattern) =>
            [.. (await service.GetAsync($"/api/alerts?limit=100&camera={Uri.EscapeDataString(pattern)}")).GetProperty("incidents")
                .EnumerateArray().Select(incident => incident.GetProperty("camera").GetString()!).Order(StringComparer.Ordinal)];
    }

    [Fact]
    public async Task Two_replicas_over_one_database_store_each_alert_once_and_both_tell_their_listeners()
    {
        using var database = new Database("PostgreSQL");
        using var cluster = new TestCluster();
        await using var one = await RunningService.StartAsync(cluster, database.ConnectionString);
        await using var other = await RunningService.StartAsync(cluster, database.ConnectionString);
        using var first = await StreamClient.OpenAsync(one.Http);
        using var second = await StreamClient.OpenAsync(other.Http);
        for (int i = 0; i < 200; i++) cluster.ProduceAlert(AlertFactory.Record($"i{i}", 1, AlertType.Opened, second: i), i % 4);
        cluster.Flush();
        foreach (var stream in new[] { first, second })
        {
            var heard = new List<string>();
            while (heard.Count < 200) heard.Add((await stream.NextAsync(Cancellation))!.Value.GetProperty("subject").GetString()!);
            Assert.Equal(200, heard.Distinct().Count());
        }
        Assert.Equal(200, (await one.GetAsync("/api/alerts?limit=500")).GetProperty("incidents").GetArrayLength());
    }

    [Theory]
    [MemberData(nameof(Databases))]
    public async Task The_migrations_are_the_model(string kind)
    {
        using var database = new Database(kind);
        var builder = new DbContextOptionsBuilder<AlertDatabase>();
        AlertDatabase.Configure(builder, new AlertsOptions { Database = database.ConnectionString });
        await using var context = new AlertDatabase(builder.Options);
        await context.Database.MigrateAsync(Cancellation);
        Assert.False(context.Database.HasPendingModelChanges());
        Assert.Empty(await context.Incidents.ToListAsync(Cancellation));
    }

    /// <summary>An empty database.</summary>
    private sealed class Database(string kind) : IDisposable
    {
        private readonly TestDirectory _directory = new();

        public string ConnectionString =>
            field ??= kind == "SQLite" ? _directory.File("alerts.db") : SharedPostgres.CreateDatabaseOrSkip();

        public void Dispose() => _directory.Dispose();
    }
}
