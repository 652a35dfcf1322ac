using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using OutlierPipeline.Service.Access;
using Radzen;

namespace OutlierPipeline.Service.Dashboard;

/// <summary>Puts the pages together.</summary>
internal static class DashboardSetup
{
    public static void AddDashboard(this WebApplicationBuilder builder)
    {
        // Run from the build's directory, pages find their files where the build knows them; published, beside the program.
        builder.WebHost.UseStaticWebAssets();
        builder.Services.AddRazorComponents().AddInteractiveServerComponents();
        builder.Services.AddRadzenComponents();
        builder.Services.AddSingleton<DashboardFeed>();
    }

    public static void MapDashboard(this WebApplication app)
    {
        app.MapStaticAssets();
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode().Add(endpoint =>
        {
            // A live circuit holds memory here: none for strangers, whatever page they have seen.
            string path = (endpoint as RouteEndpointBuilder)?.RoutePattern.RawText?.TrimStart('/') ?? "";
            if (path.StartsWith("_blazor", StringComparison.Ordinal)) endpoint.Metadata.Add(new AuthorizeAttribute(nameof(Scope.Read)));
        });
        app.MapPost("/sign-out", async (HttpContext context, IAntiforgery antiforgery) =>
        {
            await antiforgery.ValidateRequestAsync(context);
            await context.SignOutAsync(CookieAuthenticationDefaults.AuthenticationScheme);
            return Results.Redirect("/sign-in");
        }).ExcludeFromDescription();
    }
}
