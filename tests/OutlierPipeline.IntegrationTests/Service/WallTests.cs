using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Service.Live;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>Cameras without number: whoever may write frames makes as many as they like.</summary>
[Collection(MeasuredTests.Name)]
public sealed partial class WallTests
{
    private static readonly ModelPackage Package = ModelPackage.Load(Repository.StreetDemo);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Thirty_thousand_cameras_are_a_wall_of_pages_the_gravest_first()
    {
        const int Cameras = 30_000;
        using var directory = new TestDirectory();
        using var cluster = new TestCluster(1);
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        var live = service.Services.GetRequiredService<LiveView>();
        for (int i = 0; i < Cameras; i++) See(live, $"cam-{i:00000}", i);
        cluster.ProduceAlert(AlertFactory.Record("grave", 1, AlertType.Opened, "cam-29999", Severity.Critical));
        cluster.Flush();
        await service.StoredAsync(1);
        await service.UntilAsync(async () =>
            CardsOf(await service.Http.GetStringAsync("/", Cancellation)).FirstOrDefault() == "cam-29999", "the grave one at the front");
        var begun = Stopwatch.StartNew();
        string first = await service.Http.GetStringAsync("/", Cancellation);
        Assert.InRange(begun.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.InRange(first.Length, 1, 500_000);
        var seen = new List<string>(CardsOf(first));
        Assert.Equal(60, seen.Count);
        Assert.Contains("1 to 60 of 30,000 cameras", first, StringComparison.Ordinal);
        Assert.Contains("page 1 of 500", first, StringComparison.Ordinal);
        foreach (int page in new[] { 2, 500 }) seen.AddRange(CardsOf(await service.Http.GetStringAsync($"/?page={page}", Cancellation)));
        Assert.Equal(180, seen.Distinct().Count());
        // Beyond the last is the last.
        Assert.Equal(seen[^60..], CardsOf(await service.Http.GetStringAsync("/?page=100000", Cancellation)));
        Assert.Equal(["cam-12345"], CardsOf(await service.Http.GetStringAsync("/?camera=m-12345", Cancellation)));
        Assert.Equal(10, CardsOf(await service.Http.GetStringAsync("/?camera=cam-0777?", Cancellation)).Length);
        Assert.Contains("No such camera", await service.Http.GetStringAsync("/?camera=nobody", Cancellation), StringComparison.Ordinal);
        // The API's list too can be had in pages.
        var page2 = await service.GetAsync("/api/cameras?limit=2&after=cam-00009");
        Assert.Equal(["cam-00010", "cam-00011"], page2.EnumerateArray().Select(camera => camera.GetProperty("camera").GetString()));
        Assert.Equal(100, (await service.GetAsync("/api/cameras?camera=cam-123*")).GetArrayLength());
    }

    [Fact]
    public void A_camera_that_sends_nothing_more_holds_less_than_400_bytes_for_the_dashboard_and_there_are_never_more_than_the_limit()
    {
        const int Cameras = 20_000;
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        using var reconstructor = new Reconstructor(new PipelineOptions(), NullLogger<Reconstructor>.Instance);
        using var live = new LiveView(reconstructor, new PipelineOptions(), time);
        // Loaded now, and not in the middle of the measurement.
        Assert.NotEmpty(Package.Card.Scores);
        string[] names = [.. Enumerable.Range(0, Cameras).Select(i => $"cam-{i:00000}")];
        long before = Heap();
        for (int i = 0; i < Cameras; i++) See(live, names[i], i);
        time.Advance(TimeSpan.FromMinutes(5));
        long each = (Heap() - before) / Cameras;
        Assert.InRange(each, 1, 400);
        Assert.Equal(Cameras, live.Cameras.Count);
        GC.KeepAlive(names);
        // The one that is still there when strangers come is still there when they have come.
        See(live, "mine", 0);
        for (int i = 0; i < new KafkaOptions().MaxCameras; i++)
        {
            See(live, $"stranger-{i}", i);
            time.Advance(TimeSpan.FromTicks(1));
            if (i % 5000 == 0) See(live, "mine", i);
        }
        Assert.InRange(live.Cameras.Count, new KafkaOptions().MaxCameras / 2,
            new KafkaOptions().MaxCameras);
        Assert.NotNull(live.Find("mine"));
        time.Advance(TimeSpan.FromDays(8));
        Assert.Empty(live.Cameras);
    }

    private static void See(LiveView live, string camera, long offset) => live.Observe(new FrameObservation
    {
        Frame = new FrameRef(TestCluster.Frames, 0, offset, 1_790_000_000_000_000_000 + offset),
        Scores = new float[Package.Card.Scores.Count],
        ErrorMap = [],
        Latent = new float[Package.Card.Network.Latent],
        Pixels = [],
    }, new Verdict(0.5, null, 0.1, false, false), new CameraDetector(camera, Package, new DetectionOptions()));

    private static long Heap()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    private static string[] CardsOf(string page) => [.. Card().Matches(page).Select(match => match.Groups[1].Value)];

    [GeneratedRegex("data-camera=\"([^\"]+)\"")]
    private static partial Regex Card();
}
