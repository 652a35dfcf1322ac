using System.Globalization;
using System.Net;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Authentication;

namespace OutlierPipeline.Service.Access;

/// <summary>Puts access together: who calls, what they may, how often, and what a browser may do with the pages.</summary>
internal static class AccessSetup
{
    /// <summary>The policy of ways to sign in: guesses are few.</summary>
    public const string SignInLimit = "sign-in";

    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
        "connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    /// <summary>The largest body of a request; none of ours needs more.</summary>
    public const int MaxBody = 64 * 1024;

    /// <exception cref="PipelineException">The service would listen to strangers without knowing who they are.</exception>
    public static void AddAccess(this WebApplicationBuilder builder, ApiOptions options)
    {
        Require(builder.Configuration, options);
        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton<StreamLimit>();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = MaxBody);
        builder.Services.AddAuthentication(AccessHandler.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, AccessHandler>(AccessHandler.SchemeName, null)
            .AddCookie(cookie =>
            {
                cookie.Cookie.Name = "outlier";
                cookie.Cookie.SameSite = SameSiteMode.Strict;
                cookie.Cookie.HttpOnly = true;
                cookie.ExpireTimeSpan = TimeSpan.FromDays(7);
            });
        builder.Services.AddAuthorization(authorization =>
        {
            foreach (var scope in Enum.GetValues<Scope>())
                authorization.AddPolicy(scope.ToString(), policy => policy.RequireClaim(AccessHandler.ScopeClaim, scope.ToString()));
        });
        builder.Services.AddCascadingAuthenticationState();
        builder.Services.AddAntiforgery();
        builder.Services.AddRateLimiter(limits =>
        {
            limits.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
            limits.OnRejected = async (rejected, _) =>
            {
                rejected.HttpContext.Response.Headers.RetryAfter = "1";
                await Results.Problem("too many requests of this caller: see Api:RequestsPerSecond", statusCode: 429)
                    .ExecuteAsync(rejected.HttpContext);
            };
            limits.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(context =>
                RateLimitPartition.GetTokenBucketLimiter(Caller(context), _ => new TokenBucketRateLimiterOptions
                {
                    TokenLimit = 4 * options.RequestsPerSecond,
                    TokensPerPeriod = Math.Max(1, options.RequestsPerSecond / 10),
                    ReplenishmentPeriod = TimeSpan.FromMilliseconds(100),
                }));
            limits.AddPolicy(SignInLimit, context =>
                RateLimitPartition.GetFixedWindowLimiter($"{context.Request.Method} {Caller(context)}", _ =>
                new FixedWindowRateLimiterOptions
                {
                    PermitLimit = HttpMethods.IsPost(context.Request.Method) ? 10 : 1000,
                    Window = TimeSpan.FromMinutes(1),
                }));
        });
    }

    public static void UseAccess(this WebApplication app)
    {
        var api = app.Services.GetRequiredService<ApiOptions>();
        app.Use(async (context, next) =>
        {
            var headers = context.Response.Headers;
            headers.ContentSecurityPolicy = ContentSecurityPolicy;
            headers.XContentTypeOptions = "nosniff";
            headers["Referrer-Policy"] = "same-origin";
            headers["Cross-Origin-Resource-Policy"] = "same-origin";
            if (Refusal(context.Request, api) is { } refusal) await Results.Problem(refusal, statusCode: 403).ExecuteAsync(context);
            else await next();
        });
        app.UseAuthentication();
        app.UseRateLimiter();
        app.UseAuthorization();
        app.UseAntiforgery();
    }

    /// <summary>
    /// Whether a request comes from another site's page, or by another name than this machine's where anybody at this machine may do
    /// everything.
    /// </summary>
    private static string? Refusal(HttpRequest request, ApiOptions api)
    {
        if (request.Headers["Sec-Fetch-Site"].ToString() is "cross-site" && !IsNavigation(request))
            return "requests from other sites' pages are refused";
        // The WebSocket of the pages is a GET, so every method is looked at.
        if (request.Headers.Origin.ToString() is { Length: > 0 } origin && (!Uri.TryCreate(origin, UriKind.Absolute, out var uri)
            || !uri.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase)))
            return "requests from other sites' pages are refused";
        bool isOpen = !api.HasAuthentication && !api.AllowAnonymousFromAnywhere;
        // A name that somebody else's DNS points at this machine (rebinding) is no name of ours.
        if (isOpen && request.Host.Host is not ("localhost" or "")
            && !(IPAddress.TryParse(request.Host.Host.Trim('[', ']'), out var address)
            && IPAddress.IsLoopback(address))) return $"without keys this service answers to localhost, not to {request.Host.Host}";
        return null;
    }

    /// <summary>Somebody followed a link to a page: nothing happens by that.</summary>
    private static bool IsNavigation(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) && request.Headers["Sec-Fetch-Mode"] == "navigate";

    /// <summary>By whom requests and streams are counted: a user, or an address where nobody is known by name.</summary>
    public static string Caller(HttpContext context) =>
        context.User.Identity is { IsAuthenticated: true, Name: { } name } && name != "local" ? name
        : context.Connection.RemoteIpAddress?.ToString() ?? "";

    private static void Require(ConfigurationManager configuration, ApiOptions options)
    {
        if (options.HasAuthentication || options.AllowAnonymousFromAnywhere) return;
        var addresses = (configuration["urls"] ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries)
            .Concat(Ports("http_ports", "http")).Concat(Ports("https_ports", "https"))
            .Concat(configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(endpoint => endpoint["Url"] ?? ""));
        foreach (string address in addresses.Where(address => address.Length > 0))
        {
            string host = Microsoft.AspNetCore.Http.BindingAddress.Parse(address).Host;
            if (host == "localhost" || IPAddress.TryParse(host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip)) continue;
            throw new PipelineException($"the service would listen at {address}, where anybody could acknowledge alerts: set " +
                $"Api:Keys:NAME (the command 'key NAME' makes one) or Api:Proxy, listen on localhost, or say " +
                $"Api:AllowAnonymousFromAnywhere=true");
        }

        IEnumerable<string> Ports(string key, string scheme) =>
            (configuration[key] ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries).Select(port =>
            string.Create(CultureInfo.InvariantCulture, $"{scheme}://*:{port}"));
    }
}
