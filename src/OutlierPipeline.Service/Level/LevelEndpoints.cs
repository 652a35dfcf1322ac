using Microsoft.AspNetCore.Http.HttpResults;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.Service.Level;

/// <summary><c>/api/level</c>: how the level is calibrated, and by what it may be.</summary>
internal static class LevelEndpoints
{
    public static void MapLevel(this WebApplication app)
    {
        var level = app.MapGroup("/api/level").WithTags("level").RequireAuthorization(nameof(Scope.Read)).ProducesRefusals();
        level.MapGet("/", (SelfCalibration calibration) => calibration.States)
            .WithSummary("How the level of each model package is calibrated, and the calibration that is ready to be taken over.");
        level.MapPost("/take-over", TakeOverAsync).WithSummary("Takes over the calibrations that are ready, in all replicas.")
            .RequireAuthorization(nameof(Scope.Calibrate));
    }

    private static async Task<Results<NoContent, NotFound>> TakeOverAsync(HttpContext context, SelfCalibration calibration,
        CancellationToken cancellation) =>
        await calibration.TakeOverAsync(context.Who(), cancellation) ? TypedResults.NoContent() : TypedResults.NotFound();
}
