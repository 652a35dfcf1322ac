using System.Net;
using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Options;

namespace OutlierPipeline.Service.Access;

/// <summary>
/// Tells who calls: by the header of a trusted proxy, an API key (<c>Authorization: Bearer …</c>), or the cookie of somebody who signed in
/// with a key. Where none of these is configured,
/// it is whoever sits at this machine.
/// </summary>
internal sealed class AccessHandler(ApiOptions api, IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers,
    UrlEncoder encoder) : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public const string SchemeName = "outlier";
    public const string ScopeClaim = "scope";

    /// <summary>In a cookie: the hash of the key that somebody signed in with.</summary>
    private const string KeyClaim = "key";

    private readonly IPNetwork[] _proxies = [.. api.Proxy.Networks.Select(network => IPNetwork.Parse(network))];

    /// <summary>Somebody with scopes.</summary>
    public static ClaimsPrincipal Principal(string name, IEnumerable<Scope> scopes) =>
        new(new ClaimsIdentity([new Claim(ClaimTypes.Name, name), .. scopes.Select(scope => new Claim(ScopeClaim, scope.ToString()))],
        SchemeName));

    /// <summary>Who signs in with a key, as the cookie keeps it.</summary>
    public static ClaimsPrincipal SignedIn(string name, ApiKeyOptions key) =>
        new(new ClaimsIdentity([new Claim(ClaimTypes.Name, name), new Claim(KeyClaim, key.Hash.ToLowerInvariant())], SchemeName));

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (!api.HasAuthentication)
        {
            bool isAllowed = api.AllowAnonymousFromAnywhere || IsLocal(Context.Connection.RemoteIpAddress)
                && IsLocal(Context.Connection.LocalIpAddress);
            return isAllowed ? Success(Principal("local", Enum.GetValues<Scope>())) : AuthenticateResult.Fail("only this machine may");
        }
        if (api.Proxy.UserHeader is { } header && Context.Connection.RemoteIpAddress is { } remote
            && Request.Headers[header].ToString() is { Length: > 0 and <= 256 } user)
        {
            var address = remote.IsIPv4MappedToIPv6 ? remote.MapToIPv4() : remote;
            if (_proxies.Any(network => network.Contains(address))) return Success(Principal(user, api.Proxy.Scopes));
        }
        if (Request.Headers.Authorization.ToString() is { Length: > 0 } authorization)
        {
            const string Bearer = "Bearer ";
            if (!authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
                return AuthenticateResult.Fail("expected Authorization: Bearer KEY");
            return ApiKey.Find(api.Keys, authorization[Bearer.Length..].Trim()) is { } name
                ? Success(Principal(name, api.Keys[name].Scopes)) : AuthenticateResult.Fail("no such key");
        }
        var cookie = await Context.AuthenticateAsync(CookieAuthenticationDefaults.AuthenticationScheme);
        // A key that was taken out of the configuration, or that another has replaced, ends what was signed in with it; what it may do is
        // looked up each time.
        return cookie is { Succeeded: true, Principal.Identity.Name: { } signedIn } && api.Keys.TryGetValue(signedIn, out var key)
            && cookie.Principal.HasClaim(KeyClaim, key.Hash.ToLowerInvariant()) ? Success(Principal(signedIn, key.Scopes))
            : AuthenticateResult.NoResult();
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        if (api.Keys.Count > 0 && HttpMethods.IsGet(Request.Method)
            && Request.Headers.Accept.ToString().Contains("text/html", StringComparison.Ordinal))
        {
            Response.Redirect($"/sign-in?returnTo={Uri.EscapeDataString(Request.Path + Request.QueryString)}");
            return Task.CompletedTask;
        }
        Response.Headers.WWWAuthenticate = "Bearer";
        return Results.Problem("who calls is not known: send Authorization: Bearer KEY", statusCode: 401).ExecuteAsync(Context);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) =>
        Results.Problem($"{Context.User.Identity?.Name} lacks the scope for this", statusCode: 403).ExecuteAsync(Context);

    private static bool IsLocal(IPAddress? address) =>
        address is null || IPAddress.IsLoopback(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address);

    private static AuthenticateResult Success(ClaimsPrincipal principal) =>
        AuthenticateResult.Success(new AuthenticationTicket(principal, SchemeName));
}
