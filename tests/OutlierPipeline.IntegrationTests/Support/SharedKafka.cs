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

    public async ValueTask InitializeAsync()
    {
        if (KafkaServer.Missing is not null) return;
        _server = await KafkaServer.LaunchAsync(Properties, [], [], Nodes);
    }

    /// <summary>The server without the pipeline's topics; skips the test where there is none.</summary>
    internal async Task<KafkaServer> EmptyAsync()
    {
        Assert.SkipWhen(_server is null, KafkaServer.Missing ?? "");
        // Nodes that a test has lost and revived are on their way.
        await _server.UntilInSyncAsync();
        await _server.DeleteTopicsAsync();
        return _server;
    }

    /// <summary>The server with the pipeline's topics, all of them empty; skips the test where there is none.</summary>
    internal async Task<KafkaServer> WithTopicsAsync(int partitions)
    {
        var server = await EmptyAsync();
        await server.CreateTopicsAsync(partitions);
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
