using System.Text.Json;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using OutlierPipeline.Alerts;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Dashboard;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>The pages as the server has them: what a client can make them do.</summary>
public sealed class PageTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_handler_of_any_page_does_anything_for_a_key_that_may_only_read()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        var book = service.Services.GetRequiredService<IncidentBook>();
        cluster.ProduceAlert(AlertFactory.Record("one", 1, AlertType.Opened));
        foreach (byte[] frame in SmallFrames.FullDrive(1, 3)) cluster.Produce("car-1/front", frame);
        cluster.Flush();
        await service.StoredAsync(1);
        await service.UntilAsync(async () => (await service.GetAsync("/api/cameras")).GetArrayLength() == 1, "a camera's frames");
        var ops = AccessHandler.Principal("ops", [Scope.Read, Scope.Acknowledge]);
        await book.MuteAsync(CameraPattern.Parse("truck-*"), DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddHours(1), Actor.Of(ops)!, null,
            Cancellation);
        Type[] pages = [.. typeof(DashboardFeed).Assembly.GetTypes().Where(type => type.IsDefined(typeof(RouteAttribute), inherit: false))];
        Assert.Contains(pages, page => page.Name == "IncidentDetail");
        Assert.All(pages, page =>
            Assert.True(page.IsDefined(typeof(AuthorizeAttribute), inherit: true)
            || page.Name is "NotFound" or "SignIn", $"{page.Name} is for everybody"));
        foreach (var user in new[] { AccessHandler.Principal("reader", [Scope.Read]),
            AccessHandler.Principal("other", [Scope.Read, Scope.Subscribe]) })
        {
            string before = await DoneAsync(service);
            foreach (var page in pages.Where(page => page.Name != "SignIn")) await CallAllAsync(page, user);
            Assert.Equal(before, await DoneAsync(service));
        }
        // The same calls by somebody who may: they do reach what they are meant to.
        int called = 0;
        foreach (var page in pages.Where(page => page.Name != "SignIn")) called += await CallAllAsync(page, ops);
        Assert.InRange(called, 8, 100);
        var life = await book.FindAsync("one", Cancellation);
        Assert.Equal(["acknowledge", "normal", "note", "real"], life!.Actions.Select(action => action.Action).Distinct().Order());
        Assert.Equal(["car-1/front"], (await book.MutesAsync(Cancellation)).Select(mute => mute.Cameras));

        async Task<int> CallAllAsync(Type page, System.Security.Claims.ClaimsPrincipal user)
        {
            await using var shown =
                await PageRenderer.ShowAsync(service, page, page.Name == "IncidentDetail" ? "one" : "car-1/front", user);
            return await shown.CallAllAsync();
        }
    }

    [Fact]
    public async Task Muting_a_camera_whose_id_is_a_star_mutes_that_camera_alone()
    {
        using var directory = new TestDirectory();
        using var cluster = new TestCluster();
        await using var service = await RunningService.StartAsync(cluster, directory.File("alerts.db"));
        foreach (byte[] frame in SmallFrames.FullDrive(1, 3)) cluster.Produce("*", frame);
        cluster.Flush();
        await service.UntilAsync(async () => (await service.GetAsync("/api/cameras")).GetArrayLength() == 1, "a camera's frames");
        var page = typeof(DashboardFeed).Assembly.GetType("OutlierPipeline.Service.Dashboard.Pages.CameraPage")!;
        await using (var shown =
            await PageRenderer.ShowAsync(service, page, "*",
            AccessHandler.Principal("ops", [Scope.Read, Scope.Acknowledge]))) await shown.CallAllAsync();
        cluster.ProduceAlert(AlertFactory.Record("starry", 1, AlertType.Opened, "*"));
        cluster.ProduceAlert(AlertFactory.Record("other", 1, AlertType.Opened, "car-1/front"));
        cluster.Flush();
        await service.StoredAsync(2);
        Assert.True((await service.GetAsync("/api/alerts/starry")).GetProperty("incident").GetProperty("isMuted").GetBoolean());
        Assert.False((await service.GetAsync("/api/alerts/other")).GetProperty("incident").GetProperty("isMuted").GetBoolean());
    }

    /// <summary>Everything that people have done.</summary>
    private static async Task<string> DoneAsync(RunningService service)
    {
        await using var database = await service.Services.GetRequiredService<IDbContextFactory<AlertDatabase>>()
            .CreateDbContextAsync(Cancellation);
        return JsonSerializer.Serialize(new
        {
            Incidents = await database.Incidents.ToListAsync(Cancellation),
            Actions = await database.Actions.ToListAsync(Cancellation),
            Mutes = await database.Mutes.ToListAsync(Cancellation),
            Subscriptions = await database.Subscriptions.ToListAsync(Cancellation)
        });
    }
}
