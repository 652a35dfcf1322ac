namespace OutlierPipeline;

/// <summary>What a command writes at its end (<c>--out</c>): whether it can is found out before the work.</summary>
internal static class OutputPath
{
    /// <exception cref="IOException">No file can be written there; the message says why.</exception>
    public static void CheckFile(string path)
    {
        if (Directory.Exists(path)) throw new IOException($"--out {path} is a directory; expected a file");
        Check(path, Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <exception cref="IOException">No directory can be written there; the message says why.</exception>
    public static void CheckDirectory(string path)
    {
        if (File.Exists(path)) throw new IOException($"--out {path} is a file; expected a directory");
        Check(path, Path.GetFullPath(path));
    }

    /// <summary>Directories that are missing will be made, in the nearest that is there.</summary>
    private static void Check(string path, string directory)
    {
        while (!Directory.Exists(directory))
        {
            if (File.Exists(directory)) throw new IOException($"--out {path} cannot be written: {directory} is a file");
            directory = Path.GetDirectoryName(directory)!;
        }
        try
        {
            string trial = Path.Combine(directory, $".outlier-{Guid.NewGuid():N}");
            File.Create(trial, 1, FileOptions.DeleteOnClose).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"--out {path} cannot be written: {directory} takes no file ({e.Message.ReplaceLineEndings(" ")})", e);
        }
    }
}
