using OutlierPipeline.Service.Access;

namespace OutlierPipeline.Service.Live;

/// <summary>A camera as the API tells it.</summary>
/// <param name="LastFrame">The latest frame's time.</param>
/// <param name="SilentSeconds">Since its last frame was scored, by the clock.</param>
/// <param name="Martingale">Base-10 logarithm of the odds.</param>
/// <param name="Incident">The open incident's id, or null.</param>
internal sealed record CameraState(string Camera, DateTimeOffset LastFrame, double SilentSeconds, double FramesPerSecond, double PValue, double Martingale, string? Incident, bool IsShadow, string Model);

/// <summary><c>/api/cameras</c>. A slash in a camera's id is written <c>%2F</c>.</summary>
internal static class CameraEndpoints
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public static void MapCameras(this WebApplication app)
    {
        var cameras = app.MapGroup("/api/cameras").WithTags("cameras").RequireAuthorization(nameof(Scope.Read));
        cameras.MapGet("/", (LiveView live, TimeProvider time) => live.Cameras.Select(view => view.Snapshot()).OfType<CameraSnapshot>().Select(snapshot => State(snapshot, time.GetUtcNow())).ToArray()).WithSummary("The cameras that this replica reads.");
        cameras.MapGet("/{id}/frame.jpg", (string id, HttpContext context, LiveView live, TimeProvider time) => PictureAsync(id, context, live, time, picture => (picture.Frame, picture.ContentType))).WithSummary("The latest frame, as it was received.").Produces<byte[]>(200, "image/jpeg").Produces(404);
        cameras.MapGet("/{id}/heatmap.jpg", (string id, HttpContext context, LiveView live, TimeProvider time) => PictureAsync(id, context, live, time, picture => (picture.HeatMap, "image/jpeg"))).WithSummary("The latest frame as the model sees it, under its heat map.").Produces<byte[]>(200, "image/jpeg").Produces(404);
        cameras.MapGet("/{id}/reconstruction.jpg", (string id, HttpContext context, LiveView live, TimeProvider time) => PictureAsync(id, context, live, time, picture => (picture.Reconstruction, "image/jpeg"))).WithSummary("What the decoder drew of the latest frame.").Produces<byte[]>(200, "image/jpeg").Produces(404);
    }

    private static CameraState State(CameraSnapshot camera, DateTimeOffset now) => new(
        camera.Camera, DateTimeOffset.UnixEpoch.AddTicks(camera.At.TimestampNanoseconds / 100), Math.Max(0, (now - camera.SeenAt).TotalSeconds), camera.FramesPerSecond, camera.PValue, camera.Martingale, camera.Incident, camera.IsShadow, $"{camera.Package.Card.Name} {camera.Package.Card.Version}");

    private static async Task<IResult> PictureAsync(string id, HttpContext context, LiveView live, TimeProvider time, Func<LivePicture, (byte[] Bytes, string ContentType)> choose)
    {
        // Routing leaves an escaped slash as it is.
        string camera = id.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        if (live.Find(camera) is not { } view) return Results.Problem($"this replica has had no frame of {camera}", statusCode: 404);
        if (await view.WatchAsync(time.GetUtcNow(), Patience, time, context.RequestAborted) is not { } picture) return Results.Problem($"{camera} has sent no frame for {Patience.TotalSeconds:0} s", statusCode: 404);
        var (bytes, contentType) = choose(picture);
        context.Response.Headers.CacheControl = "private, no-store";
        context.Response.Headers["X-Frame-Offset"] = System.Globalization.CultureInfo.InvariantCulture.TextInfo.ToLower($"{picture.At.Partition}:{picture.At.Offset}");
        return Results.Bytes(bytes, contentType);
    }
}
