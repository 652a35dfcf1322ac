using System.Diagnostics;
using Npgsql;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>A PostgreSQL of Debian's package, in a directory of its own.</summary>
internal sealed class PostgresServer : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("outlier-postgres-");
    private readonly Process _server;
    private readonly int _port = Ports.Free();

    public PostgresServer()
    {
        string programs = Programs() ?? throw new InvalidOperationException("no PostgreSQL");
        // PostgreSQL refuses to run as root.
        string[] user = Environment.UserName == "root" ? ["runuser", "-u", "postgres", "--"] : [];
        if (user.Length > 0) Run(["chown", "postgres", _directory.FullName]);
        string data = Path.Combine(_directory.FullName, "data");
        Run([.. user, Path.Combine(programs, "initdb"), "--auth=trust", "--username=outlier", "--no-sync", "--encoding=UTF8", data]);
        _server = Start([.. user, Path.Combine(programs, "postgres"), "-D", data, "-p", $"{_port}", "-k", _directory.FullName, "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]);
        var begun = Stopwatch.StartNew();
        while (!Answers())
        {
            if (_server.HasExited || begun.Elapsed > TimeSpan.FromSeconds(60)) throw new InvalidOperationException("PostgreSQL does not start");
            Thread.Sleep(50);
        }
    }

    /// <summary>Skips the test where there is none.</summary>
    public static void Require() => Assert.SkipUnless(Programs() is not null, "PostgreSQL is not on this machine (Debian: postgresql)");

    /// <summary>A connection string of a new, empty database.</summary>
    public string CreateDatabase()
    {
        string name = $"t{Guid.NewGuid():n}";
        using var connection = new NpgsqlConnection(ConnectionString("postgres"));
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = $"CREATE DATABASE {name}";
        command.ExecuteNonQuery();
        return ConnectionString(name);
    }

    public void Dispose()
    {
        NpgsqlConnection.ClearAllPools();
        _server.Kill(entireProcessTree: true);
        _server.WaitForExit();
        _server.Dispose();
        _directory.Delete(recursive: true);
    }

    private static string? Programs() =>
        Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").Select(version => Path.Combine(version, "bin")).Where(directory => File.Exists(Path.Combine(directory, "initdb"))).Max() : null;

    private string ConnectionString(string database) => $"Host=127.0.0.1;Port={_port};Username=outlier;Database={database}";

    private bool Answers()
    {
        try
        {
            using var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false");
            connection.Open();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    private static void Run(string[] command)
    {
        using var process = Start(command);
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{string.Join(' ', command)} ended with {process.ExitCode}");
    }

    private static Process Start(string[] command)
    {
        var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" })!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }
}
