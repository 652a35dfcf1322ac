using System.Runtime.ExceptionServices;
using System.Security.Claims;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.RenderTree;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.JSInterop;

namespace OutlierPipeline.IntegrationTests.Support;

#pragma warning disable BL0006 // A renderer's inner types: a test that presses every button needs to see them.

/// <summary>A page as its circuit has it on the server: whatever its HTML says, every one of its handlers can be called.</summary>
internal sealed class PageRenderer : Renderer, IAsyncDisposable
{
    private readonly AsyncServiceScope _scope;
    private Exception? _fault;

    private PageRenderer(AsyncServiceScope scope, IServiceProvider services) : base(services, NullLoggerFactory.Instance) => _scope = scope;

    public override Dispatcher Dispatcher { get; } = Dispatcher.CreateDefault();

    protected override RendererInfo RendererInfo { get; } = new("Server", isInteractive: true);

    /// <param name="page">The page's component.</param>
    /// <param name="id">What its address names, where it names something.</param>
    public static async Task<PageRenderer> ShowAsync(RunningService service, Type page, string id, ClaimsPrincipal user)
    {
        var scope = service.Services.CreateAsyncScope();
        ((IHostEnvironmentNavigationManager)scope.ServiceProvider.GetRequiredService<NavigationManager>())
            .Initialize(service.Address.ToString(), new Uri(service.Address, id).ToString());
        var renderer = new PageRenderer(scope, new Services(scope.ServiceProvider));
        var state = Task.FromResult(new AuthenticationState(user));
        await renderer.Dispatcher.InvokeAsync(async () =>
        {
            int root = renderer.AssignRootComponentId(new Root(builder =>
            {
                builder.OpenComponent<CascadingValue<Task<AuthenticationState>>>(0);
                builder.AddComponentParameter(1, "Value", state);
                builder.AddComponentParameter(2, "ChildContent", (RenderFragment)(inner =>
                {
                    inner.OpenComponent(0, page);
                    if (page.GetProperty("Id") is not null) inner.AddComponentParameter(1, "Id", id);
                    inner.CloseComponent();
                }));
                builder.CloseComponent();
            }));
            await renderer.RenderRootComponentAsync(root);
        });
        renderer.Check();
        return renderer;
    }

    /// <summary>Calls each handler that the page has, one after the other, as a client could that does not care what is disabled.</summary>
    /// <returns>How many.</returns>
    public async Task<int> CallAllAsync()
    {
        int called = 0;
        // A handler draws the page again, so they are looked up each time.
        while (await Dispatcher.InvokeAsync(() => Handlers().Skip(called).Cast<ulong?>().FirstOrDefault()) is { } handler)
        {
            called++;
            await Dispatcher.InvokeAsync(() =>
            {
                EventArgs arguments = GetEventArgsType(handler) == typeof(ChangeEventArgs) ? new ChangeEventArgs { Value = "5" }
                    : GetEventArgsType(handler) == typeof(MouseEventArgs) ? new MouseEventArgs() : EventArgs.Empty;
                return DispatchEventAsync(handler, null, arguments);
            });
            Check();
        }
        return called;
    }

    public new async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _scope.DisposeAsync();
    }

    protected override void HandleException(Exception exception) => _fault ??= exception;

    protected override Task UpdateDisplayAsync(in RenderBatch renderBatch) => Task.CompletedTask;

    private void Check()
    {
        if (_fault is not null) ExceptionDispatchInfo.Throw(_fault);
    }

    private List<ulong> Handlers()
    {
        var handlers = new List<ulong>();
        var components = new Queue<int>([0]);
        while (components.TryDequeue(out int component))
        {
            var frames = GetCurrentRenderTreeFrames(component);
            for (int i = 0; i < frames.Count; i++)
            {
                ref var frame = ref frames.Array[i];
                if (frame is
                    {
                        FrameType: RenderTreeFrameType.Attribute,
                        AttributeEventHandlerId: > 0
                    }) handlers.Add(frame.AttributeEventHandlerId);
                else if (frame.FrameType == RenderTreeFrameType.Component) components.Enqueue(frame.ComponentId);
            }
        }
        return handlers;
    }

    private sealed class Root(RenderFragment content) : IComponent
    {
        private RenderHandle _handle;

        public void Attach(RenderHandle renderHandle) => _handle = renderHandle;

        public Task SetParametersAsync(ParameterView parameters)
        {
            _handle.Render(content);
            return Task.CompletedTask;
        }
    }

    /// <summary>The service's own, but for the browser, which never answers.</summary>
    private sealed class Services(IServiceProvider services) : IServiceProvider, IJSRuntime
    {
        public object? GetService(Type serviceType) => serviceType == typeof(IJSRuntime) ? this : services.GetService(serviceType);

        public ValueTask<TValue> InvokeAsync<TValue>(string identifier, object?[]? args) => new(new TaskCompletionSource<TValue>().Task);

        public ValueTask<TValue> InvokeAsync<TValue>(string identifier, CancellationToken cancellationToken, object?[]? args) =>
            new(new TaskCompletionSource<TValue>().Task);
    }
}
