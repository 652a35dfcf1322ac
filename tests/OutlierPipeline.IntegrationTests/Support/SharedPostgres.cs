using OutlierPipeline.IntegrationTests.Support;

[assembly: AssemblyFixture(typeof(SharedPostgres))]

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// One PostgreSQL for all tests that want no more of it than a database of their own. The first of them starts it, the run's end ends it;
/// a test that halts its server has one to itself.
/// </summary>
public sealed class SharedPostgres : IDisposable
{
    private static readonly Lazy<PostgresServer> Server = new(() => new PostgresServer());

    /// <summary>A connection string of a new, empty database; skips the test where there is no PostgreSQL.</summary>
    public static string CreateDatabaseOrSkip()
    {
        PostgresServer.Require();
        return Server.Value.CreateDatabase();
    }

    public void Dispose()
    {
        if (Server.IsValueCreated) Server.Value.Dispose();
    }
}
