using System.Globalization;
using System.Net;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.IntegrationTests.Support;
using SkiaSharp;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary><c>Alerts:Pictures</c>: what is shown of a camera's frames is the same everywhere.</summary>
public sealed class PictureTests
{
    /// <summary>How much neighbouring pixels within one block differ at most, in grey levels: what JPEG itself adds.</summary>
    private const double Blurred = 1.5;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Topic_history_streams_and_dashboard_show_of_a_camera_what_its_rule_allows()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster(1);
        byte[][] frames = [.. SmallFrames.FullDrive(1, 20), .. SmallFrames.FullDrive(1, 30, Trouble.Obstacle)];
        long time = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000;
        string[] cameras = ["full/front", "blurred/front", "hidden/front"];
        var ids = new Dictionary<string, string>();
        await using (var service =
            await RunningService.StartAsync(cluster, directory.File("alerts.db"), "Alerts:Pictures:blurred/*=Blurred",
            "Alerts:Pictures:hidden/*=None"))
        {
            using var stream = await StreamClient.OpenAsync(service.Http);
            foreach (byte[] frame in frames)
            {
                time += 100_000_000;
                foreach (string camera in cameras) cluster.Produce(camera, frame, 0,
                    ("frame-timestamp", time.ToString(CultureInfo.InvariantCulture)));
            }
            cluster.Flush();
            var opened = cluster.Read(records => records.Count(IsOpened) >= 3, TestCluster.Alerts).Where(IsOpened)
                .Select(record => JsonDocument.Parse(record.Message.Value).RootElement)
                .ToDictionary(alert => alert.GetProperty("data").GetProperty("camera").GetString()!);
            ids = opened.ToDictionary(alert => alert.Key, alert => alert.Value.GetProperty("subject").GetString()!);
            // The topic.
            Assert.InRange(Detail(Picture(opened["full/front"])), 2 * Blurred, 255);
            Assert.InRange(Detail(Picture(opened["blurred/front"])), 0, Blurred);
            Assert.True(opened["blurred/front"].GetProperty("data").GetProperty("picture").GetProperty("blurred").GetBoolean());
            Assert.False(opened["hidden/front"].GetProperty("data").TryGetProperty("picture", out _));
            // The stream.
            for (var heard = new HashSet<string>(); heard.Count < 3;)
            {
                var alert = (await stream.NextAsync(Cancellation))!.Value;
                string camera = alert.GetProperty("data").GetProperty("camera").GetString()!;
                if (alert.GetProperty("type").GetString() == "outlier.alert.opened"
                    && heard.Add(camera)) Assert.Equal(camera != "hidden/front",
                    alert.GetProperty("data").TryGetProperty("picture", out _));
            }
            // The history.
            Assert.InRange(Detail(await HistoryAsync(service, "full/front")), 2 * Blurred, 255);
            Assert.InRange(Detail(await HistoryAsync(service, "blurred/front")), 0, Blurred);
            Assert.Null(await TryHistoryAsync(service, "hidden/front"));
            Assert.Contains("are not shown", await service.Http.GetStringAsync($"/incidents/{ids["hidden/front"]}", Cancellation),
                StringComparison.Ordinal);
            // The dashboard.
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            var sending = Task.Run(async () =>
            {
                for (int i = 0; !stop.IsCancellationRequested; i++)
                {
                    foreach (string camera in cameras) cluster.Produce(camera, frames[i % 20]);
                    cluster.Flush();
                    await Task.Delay(100, Cancellation);
                }
            }, Cancellation);
            foreach (string picture in new[] { "frame.jpg", "heatmap.jpg", "reconstruction.jpg" })
            {
                double full = Detail(await service.Http.GetByteArrayAsync($"/api/cameras/full/front/{picture}", Cancellation));
                double blurred = Detail(await service.Http.GetByteArrayAsync($"/api/cameras/blurred/front/{picture}", Cancellation));
                Assert.True(blurred < 0.7 * full
                    || picture == "heatmap.jpg", $"{picture} of the blurred camera has a detail of {blurred}, that of the full one {full}");
                if (picture != "heatmap.jpg") Assert.InRange(blurred, 0, Blurred);
                Assert.Equal(HttpStatusCode.NotFound,
                    (await service.Http.GetAsync($"/api/cameras/hidden/front/{picture}", Cancellation)).StatusCode);
            }
            string wall = await service.Http.GetStringAsync("/", Cancellation);
            Assert.Contains("/api/cameras/full%2Ffront/frame.jpg", wall, StringComparison.Ordinal);
            Assert.DoesNotContain("/api/cameras/hidden%2Ffront/frame.jpg", wall, StringComparison.Ordinal);
            await stop.CancelAsync();
            await sending;
        }
        // What was stored before a rule is shown under it.
        await using var stricter =
            await RunningService.StartAsync(cluster, directory.File("alerts.db"), "Alerts:Pictures:full/*=Blurred",
            "Alerts:Pictures:blurred/*=None");
        Assert.InRange(Detail(await HistoryAsync(stricter, "full/front")), 0, Blurred);
        Assert.Null(await TryHistoryAsync(stricter, "blurred/front"));
        Assert.Equal(JsonValueKind.Null,
            (await stricter.GetAsync($"/api/alerts/{ids["blurred/front"]}")).GetProperty("incident").GetProperty("picture").ValueKind);

        async Task<byte[]?> TryHistoryAsync(RunningService service, string camera)
        {
            await service.UntilAsync(async () =>
                (await service.Http.GetAsync($"/api/alerts/{ids[camera]}", Cancellation)).IsSuccessStatusCode, "the incident");
            using var answer = await service.Http.GetAsync($"/api/alerts/{ids[camera]}/picture.jpg", Cancellation);
            return answer.IsSuccessStatusCode ? await answer.Content.ReadAsByteArrayAsync(Cancellation) : null;
        }

        async Task<byte[]> HistoryAsync(RunningService service, string camera) => (await TryHistoryAsync(service, camera))!;
    }

    [Fact]
    public async Task A_replica_with_a_rule_stores_no_more_than_it_allows_of_what_others_recorded()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster(1);
        byte[] picture = AlertPicture.EncodeFrame(Noise(96, 160), new FrameSize(96, 160));
        await using (var service =
            await RunningService.StartAsync(cluster, directory.File("alerts.db"), "Alerts:Pictures:blurred/*=Blurred",
            "Alerts:Pictures:hidden/*=None"))
        {
            cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened, "blurred/front", picture: picture));
            cluster.ProduceAlert(AlertFactory.Record("two", 1, AlertType.Opened, "hidden/front", picture: picture));
            cluster.ProduceAlert(AlertFactory.Record("three", 1, AlertType.Opened, "blurred/rear", picture: [1, 2, 3]));
            cluster.Flush();
            await service.StoredAsync(3);
        }
        // Without rules, so that what is shown is what was stored.
        await using var open = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        Assert.InRange(Detail(picture), 10, 255);
        Assert.InRange(Detail(await open.Http.GetByteArrayAsync("/api/alerts/one/picture.jpg", Cancellation)), 0, Blurred);
        foreach (string id in new[] { "two", "three" })
        {
            Assert.Equal(HttpStatusCode.NotFound, (await open.Http.GetAsync($"/api/alerts/{id}/picture.jpg", Cancellation)).StatusCode);
            Assert.False((await open.GetAsync($"/api/alerts/{id}")).GetProperty("events")[0].GetProperty("data")
                .TryGetProperty("picture", out _));
        }
    }

    [Fact]
    public void A_blurred_picture_is_the_means_of_its_blocks_and_nothing_else()
    {
        // Two pictures that differ in every pixel and in no block's mean cannot be told apart.
        byte[] one = Noise(96, 160);
        byte[] other = (byte[])one.Clone();
        for (int i = 0; i + 5 < other.Length; i += 6) for (int c = 0; c < 3; c++) (other[i + c], other[i + 3 + c]) =
            (other[i + 3 + c], other[i + c]);
        var size = new FrameSize(96, 160);
        float[] map = new float[12 * 20];
        Assert.NotEqual(AlertPicture.Encode(one, size, map, 12, 20), AlertPicture.Encode(other, size, map, 12, 20));
        Assert.Equal(AlertPicture.Encode(one, size, map, 12, 20, PictureRule.Blurred),
            AlertPicture.Encode(other, size, map, 12, 20, PictureRule.Blurred));
        Assert.Empty(AlertPicture.Encode(one, size, map, 12, 20, PictureRule.None));
    }

    [Fact]
    public async Task A_rule_that_is_none_is_refused_at_the_start()
    {
        var service = await Tool.RunAsync("dotnet",
            ["exec", Tool.Service, "--Kafka:BootstrapServers=127.0.0.1:1", $"--Model:Path={Repository.StreetDemo}",
            "--urls=http://127.0.0.1:0", "--Alerts:Pictures:*=Sharp"]);
        Assert.Equal(1, service.Code);
        Assert.Contains("Alerts:Pictures:*", Assert.Single(service.Error.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    private static bool IsOpened(Confluent.Kafka.ConsumeResult<string, byte[]> record) =>
        System.Text.Encoding.UTF8.GetString(record.Message.Value).Contains("outlier.alert.opened", StringComparison.Ordinal);

    private static byte[] Picture(JsonElement alert) =>
        alert.GetProperty("data").GetProperty("picture").GetProperty("base64").GetBytesFromBase64();

    private static byte[] Noise(int height, int width)
    {
        byte[] pixels = new byte[height * width * 3];
        new Random(5).NextBytes(pixels);
        return pixels;
    }

    /// <summary>The mean difference of neighbouring pixels of one block, in the first 156 columns: the frame, without its heat
    /// map.</summary>
    private static double Detail(byte[] jpeg)
    {
        using var picture = SKBitmap.Decode(jpeg);
        double sum = 0;
        int count = 0;
        for (int y = 0; y < Math.Min(picture.Height, 96); y++)
        {
            for (int x = 0; x + 1 < Math.Min(picture.Width, 156); x++)
            {
                if (x % AlertPicture.Block == AlertPicture.Block - 1) continue;
                sum += Math.Abs(picture.GetPixel(x, y).Green - picture.GetPixel(x + 1, y).Green);
                count++;
            }
        }
        return sum / count;
    }
}
