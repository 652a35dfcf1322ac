using System.Net;
using System.Net.Http.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>Ids and times at their edges, in addresses.</summary>
public sealed class AddressTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_cameras_pictures_are_found_whatever_its_id_is_encoded_once_or_with_its_slashes_as_they_are()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster(1);
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        string[] cameras = ["car-1/front", "car-1%2Ffront", "a b/c", "100% sure", "\u00e4\u00f6/\u8eca \U0001F697", "a+b&c=d?e#f", "*",
            "frame.jpg", "x/frame.jpg", "a/b/c/d", "%"];
        byte[] frame = SmallFrames.Drive(1, 1)[0];
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var sending = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                foreach (string camera in cameras) cluster.Produce(camera, frame);
                cluster.Flush();
                await Task.Delay(100, Cancellation);
            }
        }, Cancellation);
        await service.UntilAsync(async () => (await service.GetAsync("/api/cameras")).GetArrayLength() == cameras.Length, "the cameras");
        foreach (string camera in cameras)
        {
            string encoded = Uri.EscapeDataString(camera);
            foreach (string address in new[] { encoded, encoded.Replace("%2F", "/", StringComparison.Ordinal) }.Distinct())
            {
                foreach (string picture in new[] { "frame.jpg", "heatmap.jpg", "reconstruction.jpg" })
                {
                    // A raw address: HttpClient leaves what is escaped in it as it is.
                    using var answer = await service.Http.GetAsync($"/api/cameras/{address}/{picture}?n=1", Cancellation);
                    Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{camera} as {address}/{picture}: {answer.StatusCode}");
                }
                Assert.Contains($"<h1>{camera}</h1>",
                    WebUtility.HtmlDecode(await service.Http.GetStringAsync($"/cameras/{address}", Cancellation)),
                    StringComparison.Ordinal);
            }
        }
        Assert.Equal(HttpStatusCode.NotFound, (await service.Http.GetAsync("/api/cameras/car-1/front", Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await service.Http.GetAsync("/api/cameras/nobody/frame.jpg", Cancellation)).StatusCode);
        await stop.CancelAsync();
        await sending;
    }

    [Fact]
    public async Task Times_at_the_end_of_the_calendar_are_times()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster(1);
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        using var made = await service.Http.PostAsJsonAsync("/api/mutes", new { cameras = "truck-*", until = "9999-12-31T00:00:00Z" },
            Cancellation);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest,
            (await service.Http.PostAsJsonAsync("/api/mutes",
            new { cameras = "truck-*", from = "9999-12-31T00:00:00Z", until = "9999-12-31T00:00:00Z" }, Cancellation)).StatusCode);
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened));
        cluster.ProduceAlert(AlertFactory.Record("muted", 1, AlertType.Opened, "truck-1/left"));
        cluster.Flush();
        await service.StoredAsync(2);
        Assert.True((await service.GetAsync("/api/alerts/muted")).GetProperty("incident").GetProperty("isMuted").GetBoolean());
        Assert.Equal("9999-12-31", (await service.GetAsync("/api/mutes"))[0].GetProperty("until").GetString()![..10]);
        foreach (string filter in new[] { "to=9999-12-31", "to=9999-12-31T23:59:59Z", "from=0001-01-01", "from=0001-01-01&to=9999-12-31" })
            Assert.Equal(2, (await service.GetAsync($"/api/alerts?{filter}")).GetProperty("incidents").GetArrayLength());
        Assert.Equal(0, (await service.GetAsync("/api/alerts?from=9999-12-31")).GetProperty("incidents").GetArrayLength());
        Assert.Equal(HttpStatusCode.OK, (await service.Http.GetAsync("/incidents?to=9999-12-31T00:00", Cancellation)).StatusCode);
    }
}
