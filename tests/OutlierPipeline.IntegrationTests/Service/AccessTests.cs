using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Service.Access;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>Who may do what.</summary>
public sealed partial class AccessTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_key_does_what_its_scopes_say_and_nothing_is_done_without_one()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        string reader = ApiKey.Create();
        string both = ApiKey.Create();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"),
            $"Api:Keys:reader:Hash={ApiKey.HashOf(reader)}", "Api:Keys:reader:Scopes:0=Read", $"Api:Keys:ops:Hash={ApiKey.HashOf(both)}",
            "Api:Keys:ops:Scopes:0=Read", "Api:Keys:ops:Scopes:1=Acknowledge");
        foreach (string path in new[] { "/api/alerts", "/api/alerts/stream", "/api/alerts/x", "/api/alerts/x/picture.jpg", "/api/cameras",
            "/api/cameras/c/frame.jpg", "/api/mutes", "/openapi/v1.json" })
        {
            Assert.Equal(HttpStatusCode.Unauthorized, await Status(HttpMethod.Get, path, null));
            Assert.Equal(HttpStatusCode.Unauthorized, await Status(HttpMethod.Get, path, reader[..^1] + (reader[^1] == 'A' ? 'B' : 'A')));
        }
        Assert.Equal(HttpStatusCode.OK, await Status(HttpMethod.Get, "/api/alerts", reader));
        Assert.Equal(HttpStatusCode.Forbidden, await Status(HttpMethod.Post, "/api/alerts/x/acknowledge", reader));
        Assert.Equal(HttpStatusCode.Forbidden, await Status(HttpMethod.Post, "/api/mutes", reader));
        Assert.Equal(HttpStatusCode.NotFound, await Status(HttpMethod.Post, "/api/alerts/x/acknowledge", both));
        // Probes know no keys.
        Assert.Equal(HttpStatusCode.OK, await Status(HttpMethod.Get, "/healthz/live", null));
        Assert.Equal(HttpStatusCode.OK, await Status(HttpMethod.Get, "/metrics", null));

        async Task<HttpStatusCode> Status(HttpMethod method, string path, string? key)
        {
            using var request = new HttpRequestMessage(method, path);
            if (method == HttpMethod.Post) request.Content = JsonContent.Create(new { });
            if (key is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
            using var response = await service.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task The_header_of_a_proxy_is_believed_from_its_network_only()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using (var trusted = await RunningService.StartAsync(cluster, directory.File("one.db"),
            "Api:Proxy:UserHeader=X-Forwarded-User", "Api:Proxy:Networks:0=127.0.0.0/8"))
        {
            Assert.Equal(HttpStatusCode.OK, await Status(trusted, "somebody"));
            Assert.Equal(HttpStatusCode.Unauthorized, await Status(trusted, null));
        }
        await using var elsewhere = await RunningService.StartAsync(cluster, directory.File("two.db"),
            "Api:Proxy:UserHeader=X-Forwarded-User", "Api:Proxy:Networks:0=10.1.0.0/16");
        Assert.Equal(HttpStatusCode.Unauthorized, await Status(elsewhere, "somebody"));

        static async Task<HttpStatusCode> Status(RunningService service, string? user)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/alerts");
            if (user is not null) request.Headers.Add("X-Forwarded-User", user);
            return (await service.Http.SendAsync(request, Cancellation)).StatusCode;
        }
    }

    [Fact]
    public async Task Other_sites_pages_strange_names_and_large_bodies_are_refused()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"), "Api:RequestsPerSecond=20");
        Assert.Equal(HttpStatusCode.NotFound, await Status(_ => { }));
        Assert.Equal(HttpStatusCode.NotFound, await Status(request =>
            request.Headers.Add("Origin", service.Address.GetLeftPart(UriPartial.Authority))));
        Assert.Equal(HttpStatusCode.Forbidden, await Status(request => request.Headers.Add("Origin", "https://evil.example")));
        Assert.Equal(HttpStatusCode.Forbidden, await Status(request => request.Headers.Add("Origin", "null")));
        Assert.Equal(HttpStatusCode.Forbidden, await Status(request => request.Headers.Add("Sec-Fetch-Site", "cross-site")));
        // A name that somebody else's DNS points at this machine.
        Assert.Equal(HttpStatusCode.Forbidden, await Status(request => request.Headers.Host = "evil.example"));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await Status(request =>
            request.Content = new StringContent($"{{\"text\":\"{new string('x', AccessSetup.MaxBody)}\"}}", Encoding.UTF8,
            "application/json")));
        Assert.Equal(HttpStatusCode.BadRequest, await Status(request =>
            request.Content = new StringContent($"{{\"text\":\"{new string('x', 5000)}\"}}", Encoding.UTF8, "application/json")));
        Assert.Equal(HttpStatusCode.BadRequest, await Status(request =>
            request.Content = new StringContent("{", Encoding.UTF8, "application/json")));
        using var page = await service.Http.GetAsync("/api/alerts", Cancellation);
        string policy = page.Headers.GetValues("Content-Security-Policy").Single();
        Assert.Contains("script-src 'self';", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe-eval", policy, StringComparison.Ordinal);
        var statuses = await Task.WhenAll(Enumerable.Range(0, 300).Select(_ => Status(_ => { })));
        Assert.Contains(HttpStatusCode.TooManyRequests, statuses);

        async Task<HttpStatusCode> Status(Action<HttpRequestMessage> change)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post,
                "/api/alerts/x/acknowledge")
            { Content = JsonContent.Create(new { text = "hello" }) };
            change(request);
            using var response = await service.Http.SendAsync(request, Cancellation);
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task People_sign_in_with_a_key_and_a_form_of_another_site_signs_nobody_in()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        string key = ApiKey.Create();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"),
            $"Api:Keys:ops:Hash={ApiKey.HashOf(key)}", "Api:Keys:ops:Scopes:0=Read");
        using var browser = new HttpClient(new HttpClientHandler
        {
            AllowAutoRedirect = false,
            CookieContainer = new CookieContainer()
        })
        { BaseAddress = service.Address };
        browser.DefaultRequestHeaders.Accept.ParseAdd("text/html");
        using var refused = await browser.GetAsync("/incidents?open=true", Cancellation);
        Assert.Equal(HttpStatusCode.Redirect, refused.StatusCode);
        string address = refused.Headers.Location!.ToString();
        Assert.StartsWith("/sign-in?returnTo=%2Fincidents", address, StringComparison.Ordinal);
        string token = AntiforgeryToken().Match(await browser.GetStringAsync(address, Cancellation)).Groups[1].Value;
        Assert.Equal(HttpStatusCode.BadRequest, (await SignInAsync(address, key, "forged")).StatusCode);
        using var wrong = await SignInAsync(address, "outlier_wrong", token);
        Assert.Contains("There is no such key", await wrong.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        using var signedIn = await SignInAsync(address, key, token);
        Assert.Equal(HttpStatusCode.Redirect, signedIn.StatusCode);
        Assert.EndsWith("/incidents?open=true", signedIn.Headers.Location!.ToString(), StringComparison.Ordinal);
        token = AntiforgeryToken().Match(await browser.GetStringAsync(address, Cancellation)).Groups[1].Value;
        using var elsewhere = await SignInAsync("/sign-in?returnTo=//evil.example", key, token);
        Assert.Equal(HttpStatusCode.Redirect, elsewhere.StatusCode);
        Assert.DoesNotContain("evil", elsewhere.Headers.Location!.ToString(), StringComparison.Ordinal);
        Assert.Contains("Incidents", await browser.GetStringAsync("/incidents?open=true", Cancellation), StringComparison.Ordinal);

        Task<HttpResponseMessage> SignInAsync(string to, string given, string antiforgery) =>
            browser.PostAsync(to,
            new FormUrlEncodedContent(new Dictionary<string, string>
            {
                ["_handler"] = "sign-in",
                ["Key"] = given,
                ["__RequestVerificationToken"] = antiforgery
            }), Cancellation);
    }

    [Fact]
    public async Task A_key_that_was_replaced_or_removed_ends_the_browser_sessions_of_who_signed_in_with_it()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        string key = ApiKey.Create();
        var cookies = new CookieContainer();
        await using (var first = await StartAsync("ops", key)) await SignInAsync(first, key, cookies);
        await using (var restarted = await StartAsync("ops", key)) Assert.Equal(HttpStatusCode.OK, await StatusAsync(restarted));
        await using (var rotated = await StartAsync("ops", ApiKey.Create())) Assert.Equal(HttpStatusCode.Redirect,
            await StatusAsync(rotated));
        await using (var removed = await StartAsync("others", key)) Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(removed));

        Task<RunningService> StartAsync(string name, string given) =>
            RunningService.StartAsync(cluster, directory.File("alerts.db"), $"Api:Keys:{name}:Hash={ApiKey.HashOf(given)}",
                $"Api:Keys:{name}:Scopes:0=Read");

        async Task<HttpStatusCode> StatusAsync(RunningService service)
        {
            using var browser = Browser(service, cookies);
            return (await browser.GetAsync("/incidents", Cancellation)).StatusCode;
        }
    }

    [Fact]
    public async Task Strangers_get_no_live_circuit_on_any_page()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        string key = ApiKey.Create();
        await using var service =
            await RunningService.StartAsync(cluster, directory.File("alerts.db"), $"Api:Keys:ops:Hash={ApiKey.HashOf(key)}",
            "Api:Keys:ops:Scopes:0=Read");
        foreach (string path in new[] { "/not-found", "/sign-in", "/no/such/page" })
            Assert.DoesNotContain("\"type\":\"server\"",
                await (await service.Http.GetAsync(path, Cancellation)).Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        string[] ways = [.. service.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints)
            .OfType<RouteEndpoint>().Select(endpoint => "/" + endpoint.RoutePattern.RawText!.Trim('/'))
            .Where(path => path.StartsWith("/_blazor", StringComparison.Ordinal)).Distinct()];
        Assert.Contains("/_blazor/negotiate", ways);
        foreach (string way in ways)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await service.Http.PostAsync(way, null, Cancellation)).StatusCode);
            Assert.Equal(HttpStatusCode.Unauthorized, (await service.Http.GetAsync(way, Cancellation)).StatusCode);
        }
        var cookies = new CookieContainer();
        await SignInAsync(service, key, cookies);
        using var browser = Browser(service, cookies);
        Assert.Equal(HttpStatusCode.OK, (await browser.PostAsync("/_blazor/negotiate?negotiateVersion=1", null, Cancellation)).StatusCode);
        Assert.Contains("\"type\":\"server\"", await browser.GetStringAsync("/incidents", Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_caller_has_so_many_streams_and_no_more_and_another_has_its_own()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        string one = ApiKey.Create();
        string other = ApiKey.Create();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"), "Api:StreamsPerCaller=3",
            $"Api:Keys:one:Hash={ApiKey.HashOf(one)}", "Api:Keys:one:Scopes:0=Read", $"Api:Keys:other:Hash={ApiKey.HashOf(other)}",
                "Api:Keys:other:Scopes:0=Read");
        using var first = Client(one);
        using var second = Client(other);
        var open = new List<StreamClient>();
        for (int i = 0; i < 3; i++) open.Add(await StreamClient.OpenAsync(first));
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => StreamClient.OpenAsync(first));
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Contains("Api:StreamsPerCaller", refused.Message, StringComparison.Ordinal);
        using (await StreamClient.OpenAsync(second)) open[0].Dispose();
        // One that was closed makes room.
        await service.UntilAsync(async () =>
        {
            try
            {
                open.Add(await StreamClient.OpenAsync(first));
                return true;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }, "room for another stream");
        open.ForEach(stream => stream.Dispose());

        HttpClient Client(string key) =>
            new()
            {
                BaseAddress = service.Address,
                DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) }
            };
    }

    private static HttpClient Browser(RunningService service, CookieContainer cookies)
    {
        var browser = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false, CookieContainer = cookies })
        {
            BaseAddress =
            service.Address
        };
        browser.DefaultRequestHeaders.Accept.ParseAdd("text/html");
        return browser;
    }

    private static async Task SignInAsync(RunningService service, string key, CookieContainer cookies)
    {
        using var browser = Browser(service, cookies);
        string token = AntiforgeryToken().Match(await browser.GetStringAsync("/sign-in", Cancellation)).Groups[1].Value;
        using var signedIn = await browser.PostAsync("/sign-in",
            new FormUrlEncodedContent(new Dictionary<string,
            string>
            { ["_handler"] = "sign-in", ["Key"] = key, ["__RequestVerificationToken"] = token }), Cancellation);
        Assert.Equal(HttpStatusCode.Redirect, signedIn.StatusCode);
    }

    [System.Text.RegularExpressions.GeneratedRegex("__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial System.Text.RegularExpressions.Regex AntiforgeryToken();

    [Fact]
    public async Task The_command_key_makes_a_key_that_its_configuration_lets_in()
    {
        var (code, output, _) = await Tool.RunAsync("dotnet", ["exec", Tool.Service, "key", "ops", "--scopes", "read,acknowledge"]);
        Assert.Equal(0, code);
        string key = output.Split('\n')[0].Split(": ")[1].Trim();
        Assert.Contains($"Api__Keys__ops__Hash={ApiKey.HashOf(key)}", output, StringComparison.Ordinal);
        Assert.Contains("Api__Keys__ops__Scopes__1=Acknowledge", output, StringComparison.Ordinal);
        Assert.Equal(2, (await Tool.RunAsync("dotnet", ["exec", Tool.Service, "key", "ops", "--scopes", "everything"])).Code);
    }
}
