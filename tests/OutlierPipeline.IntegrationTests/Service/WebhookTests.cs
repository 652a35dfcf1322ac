using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Confluent.Kafka;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using OutlierPipeline.Alerts;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Streams;
using OutlierPipeline.Service.Subscriptions;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>Webhooks.</summary>
public sealed class WebhookTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_receiver_that_was_down_for_an_hour_gets_every_alert_in_order_also_after_a_restart()
    {
        using var directory = new TestDirectory();
        await using var receiver = await WebhookReceiver.StartAsync();
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        bool isDown = true;
        receiver.Answer = (_, _) => Task.FromResult(isDown ? 503 : 200);
        using var store = await Store.CreateAsync(directory.File("alerts.db"), time);
        string secret = WebhookSignature.CreateSecret();
        await store.SubscribeAsync(receiver.Address, secret);
        var expected = new List<string>();
        for (int minute = 0; minute < 60; minute++)
        {
            await store.AlertAsync(AlertFactory.Record($"i{minute}", 1, AlertType.Opened, second: minute));
            await store.AlertAsync(AlertFactory.Record($"i{minute}", 2, AlertType.Escalated, severity: Severity.Critical, second: minute));
            await store.AlertAsync(AlertFactory.Record($"i{minute}", 3, AlertType.Closed, severity: Severity.Critical, second: minute));
            expected.AddRange([$"i{minute}-1", $"i{minute}-2", $"i{minute}-3"]);
            // Each minute a new sender, as after a restart; the one before has let its lease go or it has run out.
            using var sender = store.Sender(new WebhookOptions { AllowedNetworks = ["127.0.0.0/8"] });
            Assert.True(await sender.Service.StartDueAsync(Cancellation));
            await sender.Service.WhenIdleAsync();
            time.Advance(TimeSpan.FromMinutes(1));
        }
        Assert.InRange(receiver.Received.Count, 10, 60 * 5);
        // Only an incident's first event is tried while it fails.
        Assert.All(receiver.Received, received => Assert.EndsWith("-1", received.Id, StringComparison.Ordinal));
        isDown = false;
        receiver.Received.Clear();
        using var last = store.Sender(new WebhookOptions { AllowedNetworks = ["127.0.0.0/8"] });
        var verifier = new WebhookVerifier(secret, time: time);
        for (int hour = 0; hour < 3; hour++)
        {
            time.Advance(TimeSpan.FromMinutes(75));
            Assert.True(await last.Service.StartDueAsync(Cancellation));
            await last.Service.WhenIdleAsync();
        }
        Assert.Equal(expected.Order(), receiver.Received.Select(received => received.Id).Order());
        string[] order = [.. receiver.Received.Select(received => received.Id)];
        for (int i = 0; i < 60; i++)
            Assert.True(Array.IndexOf(order, $"i{i}-1") < Array.IndexOf(order, $"i{i}-2")
                && Array.IndexOf(order, $"i{i}-2") < Array.IndexOf(order, $"i{i}-3"));
        var first = receiver.Received.First();
        Assert.StartsWith("application/cloudevents+json", first.ContentType, StringComparison.Ordinal);
        Assert.Equal(first.Id, first.Json.GetProperty("id").GetString());
        Assert.False(first.Json.GetProperty("data").TryGetProperty("picture", out var picture) && picture.TryGetProperty("base64", out _));
        // Signed at the time of sending, hours after the alert.
        Assert.Equal(WebhookCheck.TooOld, verifier.Verify(first.Id, first.Timestamp, first.Signature, first.Body));
        var latest = new WebhookVerifier(secret, TimeSpan.FromHours(4), time);
        Assert.All(receiver.Received, received =>
            Assert.Equal(WebhookCheck.Valid, latest.Verify(received.Id, received.Timestamp, received.Signature, received.Body)));
    }

    [Fact]
    public void A_forged_an_old_and_a_replayed_webhook_are_refused()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        string secret = WebhookSignature.CreateSecret();
        var verifier = new WebhookVerifier(secret, time: time);
        byte[] body = "{}"u8.ToArray();
        long now = time.GetUtcNow().ToUnixTimeSeconds();
        string signature = WebhookSignature.Sign(secret, "a", now, body);
        Assert.Equal(WebhookCheck.Forged, verifier.Verify("a", $"{now}", signature, "{ }"u8));
        Assert.Equal(WebhookCheck.Forged, verifier.Verify("b", $"{now}", signature, body));
        Assert.Equal(WebhookCheck.Forged, verifier.Verify("a", $"{now + 1}", signature, body));
        Assert.Equal(WebhookCheck.Forged, verifier.Verify("a", "now", signature, body));
        Assert.Equal(WebhookCheck.Forged,
            verifier.Verify("a", $"{now}", WebhookSignature.Sign(WebhookSignature.CreateSecret(), "a", now, body), body));
        Assert.Equal(WebhookCheck.Forged, verifier.Verify("a", $"{now}", "", body));
        Assert.Equal(WebhookCheck.TooOld, verifier.Verify("a", $"{now - 301}", WebhookSignature.Sign(secret, "a", now - 301, body), body));
        Assert.Equal(WebhookCheck.TooOld, verifier.Verify("a", $"{now + 301}", WebhookSignature.Sign(secret, "a", now + 301, body), body));
        // Beside a signature of the next secret, as while secrets change.
        Assert.Equal(WebhookCheck.Valid, verifier.Verify("a", $"{now}", $"v1,AAAA {signature}", body));
        Assert.Equal(WebhookCheck.Replayed, verifier.Verify("a", $"{now}", signature, body));
        // A retry is signed anew.
        Assert.Equal(WebhookCheck.Valid, verifier.Verify("a", $"{now + 5}", WebhookSignature.Sign(secret, "a", now + 5, body), body));
        // The example of the convention's own text.
        Assert.Equal("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", WebhookSignature.Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}"u8));
    }

    [Theory]
    [InlineData("http://127.0.0.1:9", "a loopback")]
    [InlineData("http://localhost:9", "a loopback")]
    [InlineData("http://[::1]:9", "a loopback")]
    [InlineData("http://[::ffff:127.0.0.1]:9", "a loopback")]
    [InlineData("http://[::ffff:10.1.2.3]:9", "a private")]
    [InlineData("http://[64:ff9b::7f00:1]:9", "a loopback")]
    [InlineData("http://[2002:7f00:1::]:9", "a loopback")]
    [InlineData("http://2130706433:9", "a loopback")]
    [InlineData("http://0x7f.1:9", "a loopback")]
    [InlineData("http://0.0.0.7:9", "an unspecified")]
    [InlineData("http://10.0.0.5:9", "a private")]
    [InlineData("http://172.31.0.1:9", "a private")]
    [InlineData("http://192.168.1.1:9", "a private")]
    [InlineData("http://169.254.169.254/latest/meta-data", "a link-local")]
    [InlineData("http://100.64.0.1:9", "a carrier's private")]
    [InlineData("http://[fe80::1]:9", "a link-local")]
    [InlineData("http://[fd00::1]:9", "a private")]
    [InlineData("http://224.0.0.1:9", "a multicast")]
    public async Task What_only_this_machine_can_reach_no_webhook_reaches(string url, string what)
    {
        using var client = new WebhookClient(new WebhookOptions { Timeout = TimeSpan.FromSeconds(5) }, TimeProvider.System);
        var answer = await client.SendAsync(new SubscriptionRow
        {
            Id = Guid.NewGuid(),
            Name = "x",
            Url = url,
            Secret = WebhookSignature.CreateSecret(),
            CreatedBy = "x",
            CreatedMilliseconds = 0
        }, "id", "{}", Cancellation);
        Assert.Null(answer.Status);
        Assert.Contains($"is {what} address", answer.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_receiver_that_fails_redirects_or_hangs_holds_up_no_other_and_one_that_is_gone_is_dead_until_it_is_enabled()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var receiver = await WebhookReceiver.StartAsync();
        var hanging = new TaskCompletionSource();
        receiver.Answer = async (received, context) =>
        {
            switch (received.Path)
            {
                case "/hangs":
                    await hanging.Task.WaitAsync(TimeSpan.FromMinutes(2));
                    return 200;
                case "/redirects":
                    context.Response.Headers.Location = $"{receiver.Address}well";
                    return 307;
                case "/fails": return 500;
                case "/gone": return 410;
                default: return 200;
            }
        };
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"),
            "Webhooks:AllowedNetworks:0=127.0.0.0/8");
        var ids = new Dictionary<string, string>();
        foreach (string path in new[] { "hangs", "redirects", "fails", "gone", "well" })
        {
            using var made = await service.Http.PostAsJsonAsync("/api/subscriptions",
                new { name = path, url = $"{receiver.Address}{path}", kinds = new[] { "scene" } }, Cancellation);
            Assert.Equal(HttpStatusCode.Created, made.StatusCode);
            ids[path] = (await made.Content.ReadFromJsonAsync<JsonElement>(Cancellation)).GetProperty("subscription").GetProperty("id")
                .GetString()!;
        }
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened));
        cluster.ProduceAlert(AlertFactory.Record("other", 1, AlertType.Opened, kind: AlertKind.Frozen));
        cluster.ProduceAlert(AlertFactory.Record("one", 2, AlertType.Closed));
        cluster.Flush();
        await service.UntilAsync(() => Task.FromResult(receiver.Received.Count(received => received.Path == "/well") == 2),
            "what goes to the receiver that is well");
        await service.UntilAsync(async () => await StateAsync("redirects") == "failing" && await StateAsync("fails") == "failing"
            && await StateAsync("gone") == "dead" && await StateAsync("well") == "active", "the states");
        Assert.Contains("redirects are not followed", (await service.GetAsync($"/api/subscriptions/{ids["redirects"]}"))
            .GetProperty("lastError").GetString(), StringComparison.Ordinal);
        Assert.Equal(["one-1", "one-2"], receiver.Received.Where(received => received.Path == "/well").Select(received => received.Id));
        Assert.All(receiver.Received.Where(received => received.Path != "/well"), received => Assert.Equal("one-1", received.Id));
        var dead = await service.GetAsync($"/api/subscriptions/{ids["gone"]}");
        Assert.Contains("410", dead.GetProperty("deadReason").GetString(), StringComparison.Ordinal);
        Assert.Equal(2, dead.GetProperty("pending").GetInt32());
        Assert.False(dead.TryGetProperty("secret", out _));
        // It came back, and somebody says so.
        receiver.Answer = (_, _) => Task.FromResult(200);
        hanging.SetResult();
        Assert.Equal(HttpStatusCode.NoContent,
            (await service.Http.PostAsync($"/api/subscriptions/{ids["gone"]}/enable", null, Cancellation)).StatusCode);
        await service.UntilAsync(async () =>
            await StateAsync("gone") == "active" && receiver.Received.Count(received => received.Path == "/gone") == 3, "what waited");
        var test = await (await service.Http.PostAsync($"/api/subscriptions/{ids["well"]}/test", null,
            Cancellation)).Content.ReadFromJsonAsync<JsonElement>(Cancellation);
        Assert.True(test.GetProperty("isDelivered").GetBoolean());
        Assert.Equal("outlier.test", receiver.Received.Last(received => received.Path == "/well").Json.GetProperty("type").GetString());
        Assert.Equal(HttpStatusCode.NoContent,
            (await service.Http.DeleteAsync($"/api/subscriptions/{ids["well"]}", Cancellation)).StatusCode);
        Assert.Equal(4, (await service.GetAsync("/api/subscriptions")).GetArrayLength());
        foreach (var wrong in new object[] { new { name = "x" }, new { name = "x", url = "ftp://example.com" },
            new { name = "x", url = "http://user:pass@example.com" }, new { url = "http://example.com" },
            new { name = "x", url = "http://example.com", secret = "short" },
            new { name = "x", url = "http://example.com", kinds = new[] { "ufo" } } })
            Assert.Equal(HttpStatusCode.BadRequest,
                (await service.Http.PostAsJsonAsync("/api/subscriptions", wrong, Cancellation)).StatusCode);

        async Task<string?> StateAsync(string name) =>
            (await service.GetAsync($"/api/subscriptions/{ids[name]}")).GetProperty("state").GetString();
    }

    [Fact]
    public async Task A_subscription_that_fails_for_days_is_dead_and_two_senders_send_each_event_once()
    {
        using var directory = new TestDirectory();
        await using var receiver = await WebhookReceiver.StartAsync();
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        var options = new WebhookOptions { AllowedNetworks = ["127.0.0.0/8"], GiveUpAfter = TimeSpan.FromDays(3) };
        using var store = await Store.CreateAsync(directory.File("alerts.db"), time);
        var id = await store.SubscribeAsync(receiver.Address, WebhookSignature.CreateSecret());
        using var one = store.Sender(options);
        using var other = store.Sender(options);
        for (int i = 0; i < 50; i++) await store.AlertAsync(AlertFactory.Record($"i{i}", 1, AlertType.Opened, second: i));
        bool[] started = await Task.WhenAll(one.Service.StartDueAsync(Cancellation), other.Service.StartDueAsync(Cancellation));
        Assert.Equal(1, started.Count(isStarted => isStarted));
        await Task.WhenAll(one.Service.WhenIdleAsync(), other.Service.WhenIdleAsync());
        Assert.Equal(50, receiver.Received.Count);
        // The holder is gone: after its lease has run out the other goes on.
        await store.AlertAsync(AlertFactory.Record("next", 1, AlertType.Opened));
        time.Advance(TimeSpan.FromSeconds(31));
        var follower = started[0] ? other : one;
        Assert.True(await follower.Service.StartDueAsync(Cancellation));
        await follower.Service.WhenIdleAsync();
        Assert.Equal(51, receiver.Received.Count);
        receiver.Answer = (_, _) => Task.FromResult(500);
        await store.AlertAsync(AlertFactory.Record("lost", 1, AlertType.Opened));
        for (int hour = 0; hour < 90; hour++)
        {
            await follower.Service.StartDueAsync(Cancellation);
            await follower.Service.WhenIdleAsync();
            time.Advance(TimeSpan.FromMinutes(80));
        }
        await using var database = store.CreateDbContext();
        Assert.Contains("every attempt failed for 3.00:00:00",
            (await database.Subscriptions.SingleAsync(row => row.Id == id, Cancellation)).DeadReason, StringComparison.Ordinal);
        int sent = receiver.Received.Count;
        Assert.InRange(sent, 51 + 50, 51 + 75);
        await store.AlertAsync(AlertFactory.Record("after", 1, AlertType.Opened));
        await follower.Service.StartDueAsync(Cancellation);
        await follower.Service.WhenIdleAsync();
        Assert.Equal(sent, receiver.Received.Count);
    }

    [Fact]
    public async Task What_is_wrong_with_a_subscription_is_said_by_the_name_it_was_given()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        Assert.Contains("minSeverity is loud; expected one of info, warning, critical",
            await FaultAsync(new { name = "n", url = "http://h/", minSeverity = "loud" }), StringComparison.Ordinal);
        Assert.Contains("kinds is ufo; expected one of ", await FaultAsync(new { name = "n", url = "http://h/", kinds = new[] { "ufo" } }),
            StringComparison.Ordinal);
        Assert.Contains("url is not an address", await FaultAsync(new { name = "n", url = "ftp://h/" }), StringComparison.Ordinal);
        // What is escaped in an address is escaped where it is posted to.
        using var made = await service.Http.PostAsJsonAsync("/api/subscriptions", new { name = "n", url = "http://h/a%2Fb?q=%20" },
            Cancellation);
        Assert.Contains("http://h/a%2Fb?q=%20", await made.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);

        async Task<string> FaultAsync(object subscription)
        {
            using var answer = await service.Http.PostAsJsonAsync("/api/subscriptions", subscription, Cancellation);
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            return await answer.Content.ReadAsStringAsync(Cancellation);
        }
    }

    [Fact]
    public async Task Subscriptions_need_their_scope_and_their_addresses_are_shown_to_it_alone()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        string reader = ApiKey.Create();
        string fleet = ApiKey.Create();
        await using var service =
            await RunningService.StartAsync(cluster, directory.File("alerts.db"), "Webhooks:AllowedNetworks:0=127.0.0.0/8",
            $"Api:Keys:reader:Hash={ApiKey.HashOf(reader)}", "Api:Keys:reader:Scopes:0=Read",
            $"Api:Keys:fleet:Hash={ApiKey.HashOf(fleet)}", "Api:Keys:fleet:Scopes:0=Read", "Api:Keys:fleet:Scopes:1=Subscribe");
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await service.Http.PostAsJsonAsync("/api/subscriptions", new { name = "x", url = "https://example.com" },
            Cancellation)).StatusCode);
        service.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", reader);
        Assert.Equal(HttpStatusCode.Forbidden,
            (await service.Http.PostAsJsonAsync("/api/subscriptions", new { name = "x", url = "https://example.com" },
            Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden,
            (await service.Http.DeleteAsync($"/api/subscriptions/{Guid.NewGuid()}", Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await service.Http.GetAsync("/api/subscriptions", Cancellation)).StatusCode);
        // An address often is a secret, and what a connection says of its fault names its host.
        service.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", fleet);
        using var made = await service.Http.PostAsJsonAsync("/api/subscriptions",
            new { name = "x", url = "http://hooks.secret-host.invalid/T0/SECRET" }, Cancellation);
        Assert.Contains("SECRET", await made.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened));
        cluster.Flush();
        await service.UntilAsync(async () =>
            (await service.GetAsync("/api/subscriptions"))[0].GetProperty("state").GetString() == "failing", "a failure");
        string id = (await service.GetAsync("/api/subscriptions"))[0].GetProperty("id").GetString()!;
        foreach (string path in new[] { "/api/subscriptions", $"/api/subscriptions/{id}" })
        {
            service.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", fleet);
            Assert.Contains("http://hooks.secret-host.invalid/T0/SECRET", await service.Http.GetStringAsync(path, Cancellation),
                StringComparison.Ordinal);
            service.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", reader);
            string shown = await service.Http.GetStringAsync(path, Cancellation);
            Assert.DoesNotContain("SECRET", shown, StringComparison.Ordinal);
            Assert.DoesNotContain("secret-host", shown, StringComparison.Ordinal);
            Assert.Contains("failing", shown, StringComparison.Ordinal);
        }
    }

    /// <summary>A store with alerts, without Kafka.</summary>
    private sealed class Store : IDisposable, IDbContextFactory<AlertDatabase>
    {
        private readonly DbContextOptions<AlertDatabase> _options;
        private readonly FakeTimeProvider _time;
        private readonly AlertStore _alerts;
        private long _offset;

        private Store(string path, FakeTimeProvider time)
        {
            var alerts = new AlertsOptions { Database = path };
            var builder = new DbContextOptionsBuilder<AlertDatabase>();
            AlertDatabase.Configure(builder, alerts);
            _options = builder.Options;
            _time = time;
            _alerts = new AlertStore(this, alerts, time, NullLogger<AlertStore>.Instance);
        }

        public static async Task<Store> CreateAsync(string path, FakeTimeProvider time)
        {
            var store = new Store(path, time);
            await store._alerts.MigrateAsync(Cancellation);
            return store;
        }

        public AlertDatabase CreateDbContext() => new(_options);

        public Task<AlertDatabase> CreateDbContextAsync(CancellationToken cancellationToken = default) =>
            Task.FromResult(CreateDbContext());

        public async Task AlertAsync(byte[] record)
        {
            var result = new ConsumeResult<byte[], byte[]>
            {
                Topic = "ood.alerts",
                Partition = 0,
                Offset = _offset,
                Message = new Message<byte[], byte[]> { Value = record, Timestamp = new Timestamp(_time.GetUtcNow()) }
            };
            Assert.True(await _alerts.TryStoreAsync("test", "ood.alerts", 0, _offset == 0 ? null : _offset, [result], Cancellation));
            _offset++;
        }

        public async Task<Guid> SubscribeAsync(Uri url, string secret)
        {
            var row = new SubscriptionRow
            {
                Id = Guid.NewGuid(),
                Name = "test",
                Url = url.ToString(),
                Secret = secret,
                CreatedBy = "test",
                CreatedMilliseconds = 0
            };
            await using var database = CreateDbContext();
            database.Subscriptions.Add(row);
            await database.SaveChangesAsync(Cancellation);
            return row.Id;
        }

        public RunningSender Sender(WebhookOptions options) => new(this, options, _time);

        public void Dispose() => Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
    }

    /// <summary>A sender that is driven by hand.</summary>
    private sealed class RunningSender : IDisposable
    {
        private readonly WebhookClient _client;
        private readonly AlertBroadcast _broadcast;

        public RunningSender(Store store, WebhookOptions options, TimeProvider time)
        {
            _client = new WebhookClient(options, time);
            _broadcast = new AlertBroadcast(time);
            Service = new WebhookSender(store, _broadcast, _client, options, time, NullLogger<WebhookSender>.Instance);
        }

        public WebhookSender Service { get; }

        public void Dispose()
        {
            Service.Dispose();
            _broadcast.Dispose();
            _client.Dispose();
        }
    }
}
