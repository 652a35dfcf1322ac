using System.Diagnostics;
using Npgsql;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>A PostgreSQL of Debian's package, in a directory of its own.</summary>
internal sealed class PostgresServer : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("outlier-postgres-");
    private readonly int _port = Ports.Free();
    private readonly string[] _command;
    private Process? _server;

    public PostgresServer()
    {
        string programs = Programs() ?? throw new InvalidOperationException("no PostgreSQL");
        // PostgreSQL refuses to run as root.
        string[] user = Environment.UserName == "root" ? ["runuser", "-u", "postgres", "--"] : [];
        if (user.Length > 0) Run(["chown", "postgres", _directory.FullName]);
        string data = Path.Combine(_directory.FullName, "data");
        Run([.. user, Path.Combine(programs, "initdb"), "--auth=trust", "--username=outlier", "--no-sync", "--encoding=UTF8", data]);
        _command = [.. user, Path.Combine(programs, "postgres"), "-D", data, "-p", $"{_port}", "-k", _directory.FullName, "-c", "fsync=off",
            // Pools of tests that have ended keep connections.
            "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=400"];
        _server = Begin();
    }

    /// <summary>Skips the test where there is none.</summary>
    public static PostgresServer StartOrSkip()
    {
        Require();
        return new PostgresServer();
    }

    /// <summary>It is gone, as when its machine is, until <see cref="Resume"/>.</summary>
    public void Halt()
    {
        if (_server is null) return;
        _server.Kill(entireProcessTree: true);
        _server.WaitForExit();
        _server.Dispose();
        _server = null;
    }

    /// <summary>It comes back, with all that was in it.</summary>
    public void Resume() => _server = Begin();

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
        Halt();
        _directory.Delete(recursive: true);
    }

    private Process Begin()
    {
        var begun = Stopwatch.StartNew();
        // What a killed server leaves of itself ends a moment later, and until then the directory is taken.
        while (true)
        {
            var server = Start(_command);
            while (!server.HasExited)
            {
                if (Answers()) return server;
                if (begun.Elapsed > TimeSpan.FromSeconds(60)) throw new InvalidOperationException("PostgreSQL does not start");
                Thread.Sleep(50);
            }
            server.Dispose();
            if (begun.Elapsed > TimeSpan.FromSeconds(60)) throw new InvalidOperationException("PostgreSQL does not start");
        }
    }

    private static string? Programs() =>
        Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").Select(version =>
        Path.Combine(version, "bin")).Where(directory => File.Exists(Path.Combine(directory, "initdb"))).Max() : null;

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
        var process = Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/"
        })!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }
}
