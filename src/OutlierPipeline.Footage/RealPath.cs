namespace OutlierPipeline.Footage;

/// <summary>Where a path leads when every link in it is followed.</summary>
internal static class RealPath
{
    private const int MaxLinks = 40;

    /// <exception cref="IOException">The links lead in a circle, or nowhere.</exception>
    public static string Of(string path)
    {
        string full = Path.GetFullPath(path);
        string real = Path.GetPathRoot(full)!;
        var left = new Stack<string>(Parts(full).Reverse());
        int links = 0;
        while (left.TryPop(out string? part))
        {
            if (part is "" or ".") continue;
            if (part == "..")
            {
                real = Path.GetDirectoryName(real) ?? real;
                continue;
            }
            string next = Path.Combine(real, part);
            if (new DirectoryInfo(next).LinkTarget is not { } target)
            {
                real = next;
                continue;
            }
            if (++links > MaxLinks) throw new IOException($"too many links in {path}");
            if (Path.IsPathRooted(target)) real = Path.GetPathRoot(target)!;
            foreach (string further in Parts(target).Reverse()) left.Push(further);
        }
        return real;
    }

    private static string[] Parts(string path) =>
        path[(Path.GetPathRoot(path) ?? "").Length..].Split(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar);
}
