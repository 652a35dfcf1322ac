namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// An Apache Kafka of one node for the tests of a class, where there is one. Each test has topics that are new, and should have a group of
/// its own and stop what it started.
/// </summary>
public class SharedKafka : IAsyncLifetime
{
    private KafkaServer? _server;

    protected virtual int Nodes => 1;

    /// <summary>Further server properties.</summary>
    protected virtual string[] Properties => [];

    /// <summary>Further arguments of the storage tool.</summary>
    protected virtual string[] Format => [];

    /// <summary>Further arguments of the broker's Java.</summary>
    protected virtual string[] Java => [];

    public async ValueTask InitializeAsync()
    {
        if (KafkaServer.Missing is not null) return;
        _server = await KafkaServer.LaunchAsync(Properties, Format, [], Nodes, Java);
    }

    /// <summary>The server as it is; skips the test where there is none.</summary>
    internal Task<KafkaServer> RunningAsync()
    {
        Assert.SkipWhen(_server is null, KafkaServer.Missing ?? "");
        return Task.FromResult(_server);
    }

    /// <summary>The server without the pipeline's topics; skips the test where there is none.</summary>
    internal async Task<KafkaServer> EmptyAsync()
    {
        var server = await RunningAsync();
        // Nodes that a test has lost and revived are on their way.
        await server.UntilInSyncAsync();
        await server.DeleteTopicsAsync();
        return server;
    }

    /// <summary>The server with the pipeline's topics, all of them empty; skips the test where there is none.</summary>
    internal async Task<KafkaServer> WithTopicsAsync(int partitions)
    {
        var server = await EmptyAsync();
        await server.CreateTopicsAsync(partitions);
        return server;
    }

    public virtual async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
