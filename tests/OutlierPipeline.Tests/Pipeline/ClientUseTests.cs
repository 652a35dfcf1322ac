using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

public sealed class ClientUseTests
{
    [Fact]
    public async Task A_client_may_go_when_the_last_call_has_ended_and_no_other_begins()
    {
        var use = new ClientUse();
        Assert.True(use.TryEnter());
        Assert.False(use.HasEnded(TimeSpan.FromMilliseconds(20)));
        Assert.False(use.TryEnter());
        var waiting = Task.Run(() => use.HasEnded(TimeSpan.FromMinutes(1)), TestContext.Current.CancellationToken);
        use.Exit();
        Assert.True(await waiting);
    }

    [Fact]
    public void Whoever_comes_too_late_is_not_counted()
    {
        var use = new ClientUse();
        Assert.True(use.HasEnded(TimeSpan.Zero));
        Assert.False(use.TryEnter());
        Assert.True(use.HasEnded(TimeSpan.Zero));
    }
}
