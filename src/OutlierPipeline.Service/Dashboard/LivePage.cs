using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Alerts;

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

    /// <summary>What the page cannot do now, or null.</summary>
    protected string? Fault { get; private set; }

    /// <summary>Whether who looks at the page may acknowledge, annotate, judge and mute: what is offered. What is done is checked again
    /// when it is done.</summary>
    protected bool MayAct { get; private set; }

    public void Dispose()
    {
        _viewing?.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override async Task OnInitializedAsync()
    {
        MayAct = Actor.Of((await Authentication).User) is not null;
        State = await Feed.CurrentAsync();
        await TryAsync(RefreshAsync);
        // While a page is rendered for its first answer nobody disposes it.
        if (RendererInfo.IsInteractive) _viewing = Feed.View(ShowAsync);
    }

    /// <summary>Called for each new state, before it is shown.</summary>
    protected virtual Task RefreshAsync() => Task.CompletedTask;

    /// <summary>Does something for who looks at the page, if they may: a button that is shown as disabled can be pressed all the
    /// same.</summary>
    internal async Task ActAsync(Func<Actor, Task> act)
    {
        if (Actor.Of((await Authentication).User) is { } actor) await TryAsync(() => act(actor));
    }

    private Task ShowAsync(DashboardState state) => InvokeAsync(async () =>
    {
        State = state;
        await TryAsync(RefreshAsync);
        StateHasChanged();
    });

    /// <summary>A page outlives a database that is away.</summary>
    protected async Task TryAsync(Func<Task> ask)
    {
        try
        {
            await ask();
            Fault = null;
        }
        catch (Exception e) when (DatabaseFault.Of(e) is not null)
        {
            Fault = "The database of alerts does not answer: what you see may be old, and nothing is kept of what you do.";
        }
    }
}
