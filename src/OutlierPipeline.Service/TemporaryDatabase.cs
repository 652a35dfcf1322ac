namespace OutlierPipeline.Service;

/// <summary>A file for a database that nobody wants to keep; gone when disposed.</summary>
internal sealed class TemporaryDatabase : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("outlier-demo-");

    public string Path => System.IO.Path.Combine(_directory.FullName, "alerts.db");

    public void Dispose()
    {
        // Pooled connections hold the file open.
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        _directory.Delete(recursive: true);
    }
}
