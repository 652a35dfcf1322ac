namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>A directory that is gone after the test.</summary>
internal sealed class TestDirectory : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("outlier-test-");

    public string File(string name) => Path.Combine(_directory.FullName, name);

    public void Dispose()
    {
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        _directory.Delete(recursive: true);
    }
}
