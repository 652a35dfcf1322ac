using System.ComponentModel;
using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Service.Access;

namespace OutlierPipeline.Service.Live;

/// <summary>A camera as the API tells it.</summary>
/// <param name="LastFrame">The latest frame's time.</param>
/// <param name="SilentSeconds">Since its last frame was scored, by the clock.</param>
/// <param name="Martingale">Base-10 logarithm of the odds.</param>
/// <param name="Incident">The open incident's id, or null.</param>
internal sealed record CameraState(string Camera, DateTimeOffset LastFrame, double SilentSeconds, double FramesPerSecond, double PValue,
    double Martingale, string? Incident, bool IsShadow, string Model);

/// <summary><c>/api/cameras</c>. A slash in a camera's id is written <c>%2F</c>, or as it is.</summary>
internal static class CameraEndpoints
{
    private const string Prefix = "/api/cameras/";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private static readonly Dictionary<string, (Func<LivePicture, byte[]?> Bytes, string Summary)> Pictures = new()
    {
        ["frame.jpg"] = (picture => picture.Frame, "The latest frame, as it was received."),
        ["heatmap.jpg"] = (picture => picture.HeatMap, "The latest frame as the model sees it, under its heat map."),
        ["reconstruction.jpg"] = (picture => picture.Reconstruction, "What the decoder drew of the latest frame."),
        ["map.jpg"] = (picture => picture.Map, "The latest frame under its segmentation map, of packages with a second graph."),
        ["resynthesis.jpg"] = (picture => picture.Resynthesis,
            "What the second graph drew again of that map: what should have been there."),
        ["differences.jpg"] = (picture => picture.Differences,
            "The latest frame under the heat map of where it is not what was drawn again."),
        ["unlike.jpg"] = (picture => picture.Unlike, "The latest frame under the heat map of what is unlike others of its class."),
    };

    public static void MapCameras(this WebApplication app)
    {
        var cameras = app.MapGroup("/api/cameras").WithTags("cameras").RequireAuthorization(nameof(Scope.Read)).ProducesRefusals();
        cameras.MapGet("/", List).WithSummary("The cameras that this replica reads, by id.").ProducesProblem(400);
        foreach (var (name, picture) in Pictures)
        {
            cameras.MapGet($"/{{id}}/{name}", (string id, HttpContext context, LiveView live, TimeProvider time) =>
                PictureAsync(id + "/" + name, context, live, time))
                .WithSummary(picture.Summary).Produces<byte[]>(200, "image/jpeg").ProducesProblem(404);
        }
        // Ids whose slashes stand in the address as they are.
        cameras.MapGet("/{**rest}", (string rest, HttpContext context, LiveView live, TimeProvider time) =>
            PictureAsync(rest, context, live, time)).ExcludeFromDescription();
    }

    private static Results<Ok<CameraState[]>, ProblemHttpResult> List(
        LiveView live, TimeProvider time,
        [Description("a camera's id, or a pattern such as truck-*")] string? camera,
        [Description("ids behind it only: the last one of the page before")] string? after,
        [Description("at most so many; all by default")] int? limit)
    {
        if (limit < 1) return TypedResults.Problem($"limit is {limit}; expected at least 1", statusCode: 400);
        try
        {
            var pattern = string.IsNullOrEmpty(camera) ? null : CameraPattern.Parse(camera);
            var now = time.GetUtcNow();
            return TypedResults.Ok(live.Cameras
                .Where(view => pattern is null || pattern.Fits(view.Camera))
                .Where(view => after is null || string.CompareOrdinal(view.Camera, after) > 0)
                .Take(limit ?? int.MaxValue)
                .Select(view => view.Summary()).OfType<CameraSummary>().Select(summary => State(summary, now)).ToArray());
        }
        catch (FormatException e)
        {
            return TypedResults.Problem(e.Message, statusCode: 400);
        }
    }

    private static CameraState State(CameraSummary camera, DateTimeOffset now) => new(
        camera.Camera, UnixNanoseconds.ToTime(camera.At.TimestampNanoseconds),
        Math.Max(0, (now - camera.SeenAt).TotalSeconds), camera.FramesPerSecond, camera.PValue, camera.Martingale, camera.Incident,
        camera.IsShadow, $"{camera.Package.Card.Name} {camera.Package.Card.Version}");

    /// <param name="routed">Id and picture as routing has them, for servers that do not tell what was sent.</param>
    private static async Task<IResult> PictureAsync(string routed, HttpContext context, LiveView live, TimeProvider time)
    {
        string sent = CameraAddress.Behind(Prefix, context) ?? routed;
        int slash = sent.LastIndexOf('/');
        if (slash <= 0 || !Pictures.TryGetValue(sent[(slash + 1)..], out var chosen))
        {
            string expected = string.Join(", ", Pictures.Keys);
            return Results.Problem($"there is no {sent}; expected a camera's id and one of {expected}", statusCode: 404);
        }
        string camera = Uri.UnescapeDataString(sent[..slash]);
        if (live.Find(camera) is not { } view) return Results.Problem($"this replica has had no frame of {camera}", statusCode: 404);
        if (view.Pictures == PictureRule.None)
            return Results.Problem($"no pictures of {camera} are shown (Alerts:Pictures)", statusCode: 404);
        if (await view.WatchAsync(time.GetUtcNow(), Patience, time, context.RequestAborted) is not { } picture)
            return Results.Problem($"{camera} has sent no frame for {Patience.TotalSeconds:0} s", statusCode: 404);
        context.Response.Headers.CacheControl = "private, no-store";
        context.Response.Headers["X-Frame-Offset"] =
            string.Create(CultureInfo.InvariantCulture, $"{picture.At.Partition}:{picture.At.Offset}");
        if (chosen.Bytes(picture) is not { } bytes)
            return Results.Problem($"{camera} has no {sent[(slash + 1)..]}: its package has no second graph that makes one",
                statusCode: 404);
        return Results.Bytes(bytes, bytes == picture.Frame ? picture.ContentType : "image/jpeg");
    }
}
