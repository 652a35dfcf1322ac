namespace OutlierPipeline.Service.Access;

/// <summary>How every way of the API may refuse, for its document.</summary>
internal static class Refusals
{
    public static RouteGroupBuilder ProducesRefusals(this RouteGroupBuilder group)
    {
        foreach (int status in new[] { StatusCodes.Status401Unauthorized, StatusCodes.Status403Forbidden,
            StatusCodes.Status429TooManyRequests, StatusCodes.Status503ServiceUnavailable }) group.ProducesProblem(status);
        // Too large a body is refused before anybody could say so in JSON.
        group.WithMetadata(new ProducesResponseTypeMetadata(StatusCodes.Status413PayloadTooLarge, typeof(void)));
        return group;
    }
}
