using System.Globalization;
using System.Text.RegularExpressions;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Footage;

/// <summary>Consecutive frames of one drive: files in natural order of their names.</summary>
public sealed record Drive(string Name, IReadOnlyList<string> Files);

/// <summary>Directories of pictures as training, scoring and replay read them.</summary>
public static partial class FrameDirectory
{
    /// <summary>
    /// The pictures of a directory in natural order of their names (2 before 10), each sub-directory that holds some being a drive of its
    /// own. <c>DIR[A..B]</c> takes a
    /// range of all of them by index, as in C#: <c>DIR[..225]</c>, <c>DIR[225..]</c>, <c>DIR[^100..]</c>, or by share:
    /// <c>DIR[70%..85%]</c>.
    /// </summary>
    /// <param name="passedOver">Called with one line for every entry that cannot be read, a link that leads nowhere, say.</param>
    /// <exception cref="FootageException">There is no such directory, no picture in it, or the range does not fit.</exception>
    public static IReadOnlyList<Drive> Read(string path, Action<string> passedOver)
    {
        var match = RangePattern().Match(path);
        string directory = match.Success ? match.Groups["path"].Value : path;
        if (!Directory.Exists(directory)) throw new FootageException($"{directory}: no such directory of frames");
        var drives = new FrameTree(passedOver).Walk(directory);
        if (drives.Count == 0)
            throw new FootageException($"{directory}: no pictures in it (expected {string.Join(", ", FrameTree.Extensions)})");
        return match.Success ? Select(drives, match, path) : drives;
    }

    private static Drive[] Select(IReadOnlyList<Drive> drives, Match match, string path)
    {
        int count = drives.Sum(drive => drive.Files.Count);
        int from = Position(match.Groups["from"].Value, 0);
        int to = Position(match.Groups["to"].Value, count);
        if (from < 0 || to > count || from >= to)
            throw new FootageException($"{path}: the range does not fit the {count} frames that are there");
        var selected = new List<Drive>();
        int passed = 0;
        foreach (var drive in drives)
        {
            string[] files = [.. drive.Files.Where((_, i) => passed + i >= from && passed + i < to)];
            passed += drive.Files.Count;
            if (files.Length > 0) selected.Add(drive with { Files = files });
        }
        return [.. selected];

        int Position(string text, int unset)
        {
            if (text.Length == 0) return unset;
            if (text[^1] == '%')
                return (int)Math.Round(count * Math.Min(100, double.Parse(text.AsSpan(..^1), CultureInfo.InvariantCulture)) / 100);
            return text[0] == '^'
                ? count - int.Parse(text.AsSpan(1), CultureInfo.InvariantCulture)
                : int.Parse(text, CultureInfo.InvariantCulture);
        }
    }

    [GeneratedRegex(@"^(?<path>.+)\[(?<from>\^?\d{1,9}|\d{1,3}%)?\.\.(?<to>\^?\d{1,9}|\d{1,3}%)?\]$")]
    private static partial Regex RangePattern();
}
