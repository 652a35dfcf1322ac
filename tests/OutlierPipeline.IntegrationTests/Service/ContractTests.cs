using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;
using YamlDotNet.RepresentationModel;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>What the documents say is what the service sends.</summary>
public sealed class ContractTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_answer_of_the_API_is_what_OpenAPI_says_and_every_way_to_it_is_there()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened, picture: [1]));
        cluster.ProduceAlert(AlertFactory.Record("one", 2, AlertType.Closed));
        foreach (byte[] frame in SmallFrames.FullDrive(1, 5)) cluster.Produce("car-1/front", frame);
        cluster.Flush();
        await service.StoredAsync(2);
        await service.UntilAsync(async () => (await service.GetAsync("/api/cameras")).GetArrayLength() == 1, "a camera's frames");
        var document = JsonNode.Parse(await service.Http.GetStringAsync("/openapi/v1.json", Cancellation))!;
        Assert.StartsWith("3.1", document["openapi"]!.GetValue<string>(), StringComparison.Ordinal);
        // Every route of the API, with its method, stands in the document.
        var routes = service.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.RoutePattern.RawText?.TrimStart('/').StartsWith("api/", StringComparison.Ordinal) == true
                && endpoint.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>() is null)
            .SelectMany(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(method =>
            $"{method} /{endpoint.RoutePattern.RawText!.Trim('/').Replace(":guid", "", StringComparison.Ordinal)}")).ToHashSet();
        var documented = document["paths"]!.AsObject().SelectMany(path =>
            path.Value!.AsObject().Where(operation => operation.Key != "parameters").Select(operation =>
            $"{operation.Key.ToUpperInvariant()} {path.Key.TrimEnd('/')}")).Where(route =>
            route.Contains(" /api/", StringComparison.Ordinal)).ToHashSet();
        Assert.Equal(routes.Order(), documented.Order());
        foreach (var (path, operations) in document["paths"]!.AsObject()
            .Where(path => path.Key.StartsWith("/api/", StringComparison.Ordinal)))
            foreach (var (method, operation) in operations!.AsObject())
                Assert.All(["401", "403", "413", "429", "503"], status =>
                    Assert.True(operation!["responses"]![status] is not null, $"{method} {path} does not say that it may answer {status}"));

        var requests = new (HttpMethod Method, string Path, string Route, object? Body)[]
        {
            (HttpMethod.Get, "/api/alerts", "/api/alerts", null),
            (HttpMethod.Get, "/api/alerts/one", "/api/alerts/{id}", null),
            (HttpMethod.Post, "/api/alerts/one/acknowledge", "/api/alerts/{id}/acknowledge", new { text = "seen" }),
            (HttpMethod.Post, "/api/alerts/one/judgement", "/api/alerts/{id}/judgement", new { judgement = "real" }),
            (HttpMethod.Post, "/api/alerts/one/note", "/api/alerts/{id}/note", new { text = "a deer" }),
            (HttpMethod.Get, "/api/alerts/one", "/api/alerts/{id}", null),
            (HttpMethod.Post, "/api/alerts/one/note", "/api/alerts/{id}/note", new { text = "" }),
            (HttpMethod.Get, "/api/alerts/one/picture.jpg", "/api/alerts/{id}/picture.jpg", null),
            (HttpMethod.Post, "/api/mutes", "/api/mutes", new { cameras = "car-9/*", until = DateTimeOffset.UtcNow.AddHours(1) }),
            (HttpMethod.Get, "/api/mutes", "/api/mutes", null),
            (HttpMethod.Delete, "/api/mutes/00000000-0000-0000-0000-000000000000", "/api/mutes/{id}", null),
            (HttpMethod.Get, "/api/cameras", "/api/cameras", null),
            (HttpMethod.Get, "/api/level", "/api/level", null),
            (HttpMethod.Post, "/api/level/take-over", "/api/level/take-over", null),
            (HttpMethod.Post, "/api/subscriptions", "/api/subscriptions",
                new { name = "fleet", url = "http://127.0.0.1:9/hook", kinds = new[] { "dark" } }),
            (HttpMethod.Post, "/api/subscriptions", "/api/subscriptions", new { name = "fleet" }),
            (HttpMethod.Get, "/api/subscriptions", "/api/subscriptions", null),
            (HttpMethod.Get, "/api/subscriptions/{made}", "/api/subscriptions/{id}", null),
            (HttpMethod.Post, "/api/subscriptions/{made}/test", "/api/subscriptions/{id}/test", null),
            (HttpMethod.Post, "/api/subscriptions/{made}/enable", "/api/subscriptions/{id}/enable", null),
            (HttpMethod.Delete, "/api/subscriptions/{made}", "/api/subscriptions/{id}", null),
            (HttpMethod.Get, "/api/subscriptions/{made}", "/api/subscriptions/{id}", null),
            (HttpMethod.Post, "/api/subscriptions/{made}/test", "/api/subscriptions/{id}/test", null),
            (HttpMethod.Post, "/api/subscriptions/{made}/enable", "/api/subscriptions/{id}/enable", null),
            (HttpMethod.Delete, "/api/subscriptions/00000000-0000-0000-0000-000000000000", "/api/subscriptions/{id}", null),
            (HttpMethod.Get, "/api/alerts?kind=ufo", "/api/alerts", null),
        };
        var schemas = new JsonSchema(document);
        string made = "";
        foreach (var (method, template, route, body) in requests)
        {
            string path = template.Replace("{made}", made, StringComparison.Ordinal);
            using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
            using var response = await service.Http.SendAsync(request, Cancellation);
            string status = ((int)response.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
            var operation = (document["paths"]![route] ?? document["paths"]![route + "/"])![method.Method.ToLowerInvariant()]!;
            Assert.True(operation["responses"]![status] is not null,
                $"{method} {path} answered {status}, which the document does not know");
            if (response.Content.Headers.ContentType?.MediaType is not ("application/json" or "application/problem+json")) continue;
            var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancellation));
            if (operation["responses"]![status]!["content"]?[response.Content.Headers.ContentType.MediaType]?["schema"] is not { } schema)
            {
                Assert.False(response.IsSuccessStatusCode, $"{method} {path}: the document does not say what the answer is");
                continue;
            }
            Assert.Empty(schemas.Faults(answer, schema).Select(fault => $"{method} {path}: {fault}"));
            if (response.StatusCode == System.Net.HttpStatusCode.Created && route == "/api/subscriptions")
                made = answer!["subscription"]!["id"]!.GetValue<string>();
            if (response.IsSuccessStatusCode)
                Assert.Empty(schemas.Undocumented(answer, schema).Select(field =>
                    $"{method} {path} sends {field}, which is not documented"));
        }
    }

    [Fact]
    public async Task Every_record_of_the_topics_is_what_AsyncAPI_says()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using (var service = await RunningService.StartAsync(cluster, directory.File("alerts.db")))
        {
            byte[][] frames = [.. SmallFrames.FullDrive(1, 30), .. SmallFrames.FullDrive(1, 30, Trouble.Night)];
            long now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000;
            for (int i = 0; i < frames.Length; i++)
                cluster.Produce("car-1/front", frames[i], 0, ("frame-timestamp", $"{now + i * 100_000_000L}"));
            cluster.Produce("car-1/front", "no picture"u8.ToArray(), 0, ("frame-timestamp", $"{now + 6_100_000_000L}"));
            cluster.Flush();
            await service.StoredAsync(1);
            cluster.Read(records => records.Count > 0, TestCluster.DeadLetters);
        }
        var document = Yaml(Path.Combine(Repository.Root, "docs", "asyncapi.yaml"));
        Assert.Equal("3.0.0", document["asyncapi"]!.GetValue<string>());
        var channels = document["channels"]!.AsObject().ToDictionary(channel => channel.Value!["address"]!.GetValue<string>(), channel =>
            channel.Value!);
        Assert.Equal(new KafkaOptions().Topics.Order(), channels.Keys.Order());
        var operations = document["operations"]!.AsObject().Select(operation => operation.Value!["channel"]!["$ref"]!.GetValue<string>())
            .ToHashSet();
        Assert.Equal(channels.Count, operations.Count);
        foreach (string topic in new[] { TestCluster.Scores, TestCluster.Alerts, TestCluster.State, TestCluster.DeadLetters })
        {
            var records = cluster.ReadAll(topic);
            Assert.NotEmpty(records);
            var message = document["components"]!["messages"]![channels[topic]["messages"]!.AsObject().Single().Key]!;
            foreach (var record in records)
            {
                // Brokers that tell topics' ids get records of a partition as a whole, which the description of the key names.
                if (topic == TestCluster.State && record.Message.Key.StartsWith('\0')) continue;
                var headers = new JsonObject(record.Message.Headers.Select(header =>
                    KeyValuePair.Create(header.Key, (JsonNode?)System.Text.Encoding.UTF8.GetString(header.GetValueBytes()))));
                if (message["headers"] is { } rule)
                    Assert.Empty(new JsonSchema(document).Faults(headers, rule).Select(fault => $"{topic} headers: {fault}"));
                if (message["payload"] is not { } payload || record.Message.Value is null) continue;
                var schema = payload["$ref"] is { } file
                    ? JsonNode.Parse(File.ReadAllText(Path.Combine(Repository.Root, "docs", file.GetValue<string>())))! : payload;
                var value = JsonNode.Parse(record.Message.Value);
                Assert.Empty(new JsonSchema(schema).Faults(value, schema).Select(fault => $"{topic}: {fault}"));
                if (payload["$ref"] is not null)
                    Assert.Empty(new JsonSchema(schema).Undocumented(value, schema).Select(field => $"{topic}: {field} is not documented"));
            }
        }
    }

    private static JsonObject Yaml(string path)
    {
        var yaml = new YamlStream();
        using var reader = new StreamReader(path);
        yaml.Load(reader);
        return (JsonObject)Convert(yaml.Documents[0].RootNode)!;

        static JsonNode? Convert(YamlNode node) => node switch
        {
            YamlMappingNode map =>
                new JsonObject(map.Children.Select(pair => KeyValuePair.Create(((YamlScalarNode)pair.Key).Value!, Convert(pair.Value)))),
            YamlSequenceNode list => new JsonArray([.. list.Children.Select(Convert)]),
            YamlScalarNode { Style: YamlDotNet.Core.ScalarStyle.Plain, Value: { } text } when long.TryParse(text, out long number) =>
                JsonValue.Create(number),
            YamlScalarNode scalar => JsonValue.Create(scalar.Value),
            _ => null,
        };
    }
}
