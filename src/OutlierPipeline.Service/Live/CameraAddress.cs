using Microsoft.AspNetCore.Http.Features;

namespace OutlierPipeline.Service.Live;

/// <summary>
/// A camera's id in an address. It is read from the address as it was sent and decoded once: the server decodes everything but <c>%2F</c>,
/// after which an id that holds a slash cannot be told from one that holds the three characters.
/// </summary>
internal static class CameraAddress
{
    /// <summary>What a request's address has behind a prefix, not decoded; null if it has not that prefix.</summary>
    public static string? Behind(string prefix, HttpContext context) =>
        Behind(prefix, context.Features.Get<IHttpRequestFeature>()?.RawTarget is { Length: > 0 } target ? target
            : context.Request.Path.ToUriComponent());

    /// <inheritdoc cref="Behind(string, HttpContext)"/>
    /// <param name="address">A path, or a whole address.</param>
    public static string? Behind(string prefix, string address)
    {
        string path = address.Split('?', '#')[0];
        int at = path.IndexOf(prefix, StringComparison.OrdinalIgnoreCase);
        return at < 0 ? null : path[(at + prefix.Length)..];
    }
}
