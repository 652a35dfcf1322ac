using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using OutlierPipeline.Service.Access;

namespace OutlierPipeline.Service.Dashboard;

/// <summary>A page that shows the feed's state as it comes.</summary>
public abstract class LivePage : ComponentBase, IDisposable
{
    private IDisposable? _viewing;

    [CascadingParameter]
    private Task<AuthenticationState> Authentication { get; set; } = default!;

    [Inject]
    internal DashboardFeed Feed { get; set; } = default!;

    /// <summary>Null until the first has come.</summary>
    internal DashboardState? State { get; private set; }

    /// <summary>Who looks at the page.</summary>
    protected string Who { get; private set; } = "";

    /// <summary>Whether they may acknowledge, annotate, judge and mute.</summary>
    protected bool MayAct { get; private set; }

    public void Dispose()
    {
        _viewing?.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override async Task OnInitializedAsync()
    {
        var user = (await Authentication).User;
        Who = user.Identity?.Name ?? "";
        MayAct = user.HasClaim(AccessHandler.ScopeClaim, nameof(Scope.Acknowledge));
        State = await Feed.CurrentAsync();
        await RefreshAsync();
        // While a page is rendered for its first answer nobody disposes it.
        if (RendererInfo.IsInteractive) _viewing = Feed.View(ShowAsync);
    }

    /// <summary>Called for each new state, before it is shown.</summary>
    protected virtual Task RefreshAsync() => Task.CompletedTask;

    private Task ShowAsync(DashboardState state) => InvokeAsync(async () =>
    {
        State = state;
        await RefreshAsync();
        StateHasChanged();
    });
}
