namespace OutlierPipeline.Footage;

/// <summary>
/// Walks a directory of frames as people have them: with links, with what cameras, file managers and disks leave behind, and with entries
/// that
/// cannot be read.
/// </summary>
/// <param name="passedOver">Called with one line for every entry that cannot be read.</param>
internal sealed class FrameTree(Action<string> passedOver)
{
    /// <summary>Extensions of pictures.</summary>
    public static readonly string[] Extensions = [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"];

    /// <summary>
    /// Directories that hold nobody's footage: label maps of a data set are pictures too; thumbnails and deleted files of file managers and
    /// network disks. Hidden ones need no entry.
    /// </summary>
    private static readonly HashSet<string> Ignored = new(StringComparer.OrdinalIgnoreCase)
    {
        "labels", "@eaDir", "@Recycle", "#recycle", "#snapshot", "@tmp", "$RECYCLE.BIN", "System Volume Information", "lost+found",
        "__MACOSX",
    };

    private readonly HashSet<string> _walked = [];
    private readonly Queue<(DirectoryInfo Link, string Name)> _links = new();
    private readonly List<Drive> _drives = [];
    private string _root = "";

    /// <summary>The directories that hold pictures, each once however many links lead to it, in natural order.</summary>
    public IReadOnlyList<Drive> Walk(string root)
    {
        _root = RealPath.Of(root);
        Walk(new DirectoryInfo(root), ".");
        // Links last: a directory that is there itself has its own name.
        while (_links.TryDequeue(out var link)) Walk(link.Link, link.Name);
        return [.. _drives.OrderBy(drive => drive.Name == "." ? "" : drive.Name, NaturalOrder.Instance)];
    }

    private void Walk(DirectoryInfo directory, string name)
    {
        FileSystemInfo[] entries;
        try
        {
            string real = RealPath.Of(directory.FullName);
            // A link to what the root lies in is a circle too.
            bool holdsRoot = _root.StartsWith(real.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar,
                StringComparison.Ordinal);
            if (holdsRoot || !_walked.Add(real)) return;
            entries = directory.GetFileSystemInfos();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            passedOver($"{directory.FullName}: passed over, it cannot be read ({e.Message.ReplaceLineEndings(" ")})");
            return;
        }
        string[] pictures = [.. entries.OfType<FileInfo>().Where(IsPicture).Select(At).Order(NaturalOrder.Instance)];
        if (pictures.Length > 0) _drives.Add(new Drive(name, pictures));
        var children = entries.OfType<DirectoryInfo>().Where(child => !IsHidden(child) && !Ignored.Contains(child.Name));
        foreach (var child in children.OrderBy(child => child.Name, NaturalOrder.Instance))
        {
            var at = new DirectoryInfo(At(child));
            string below = name == "." ? child.Name : Path.Combine(name, child.Name);
            if (child.LinkTarget is null) Walk(at, below);
            else _links.Enqueue((at, below));
        }

        // As the user wrote the path, which may be relative.
        string At(FileSystemInfo entry) => Path.Combine(directory.ToString(), entry.Name);
    }

    private bool IsPicture(FileInfo file)
    {
        if (IsHidden(file) || !Extensions.Contains(file.Extension, StringComparer.OrdinalIgnoreCase)) return false;
        if (file.LinkTarget is null) return true;
        try
        {
            if (file.ResolveLinkTarget(returnFinalTarget: true) is { Exists: true }) return true;
            passedOver($"{file.FullName}: passed over, it is a link to {file.LinkTarget}, which is not there");
        }
        catch (IOException e)
        {
            passedOver($"{file.FullName}: passed over, it is a link that leads nowhere ({e.Message.ReplaceLineEndings(" ")})");
        }
        return false;
    }

    /// <summary>By its name, as on every Unix; macOS leaves a <c>._NAME</c> beside each file on foreign disks.</summary>
    private static bool IsHidden(FileSystemInfo entry) =>
        entry.Name[0] == '.' || OperatingSystem.IsWindows() && entry.Attributes.HasFlag(FileAttributes.Hidden);
}
