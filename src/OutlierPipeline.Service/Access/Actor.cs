using System.Security.Claims;

namespace OutlierPipeline.Service.Access;

/// <summary>
/// Somebody whose scope <see cref="Scope.Acknowledge"/> has been looked at. What people do about incidents takes one, so that no page and
/// no endpoint can do it for somebody who may not.
/// </summary>
internal sealed record Actor
{
    private Actor(string name) => Name = name;

    public string Name { get; }

    /// <returns>Null if the user lacks the scope.</returns>
    public static Actor? Of(ClaimsPrincipal user) =>
        user.HasClaim(AccessHandler.ScopeClaim, nameof(Scope.Acknowledge)) ? new Actor(user.Identity?.Name ?? "unknown") : null;
}
