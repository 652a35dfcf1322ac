using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Footage;

/// <summary>The segmentation maps of frames: PNG files of the frames' names, in <c>labels</c> beside them or elsewhere.</summary>
public sealed class LabelFiles
{
    private const string Beside = "labels";
    private readonly string[] _directories;
    private readonly string[] _inputs;

    /// <param name="inputs">Directories of frames, as for <see cref="FootageLoader"/>.</param>
    /// <param name="directories">None for those beside the frames, one for all inputs, or one for each.</param>
    /// <exception cref="FootageException">A directory is not there, or their number does not fit.</exception>
    public LabelFiles(IReadOnlyList<string> inputs, IReadOnlyList<string> directories)
    {
        if (directories.Count > 1 && directories.Count != inputs.Count)
            throw new FootageException($"--labels: {directories.Count} directories for {inputs.Count} of frames: give one for all, or " +
                "one for each in the same order");
        if (directories.FirstOrDefault(directory => !Directory.Exists(directory)) is { } missing)
            throw new FootageException($"--labels: {missing}: no such directory of label maps");
        (_inputs, _directories) = ([.. inputs], [.. directories]);
    }

    /// <summary>The file of a frame's map.</summary>
    /// <param name="frame">The frame's file.</param>
    /// <param name="drive">Its drive, which begins with the input where there are several.</param>
    public string Of(string frame, string drive)
    {
        int input = Array.FindIndex(_inputs, one => drive.StartsWith(one + ":", StringComparison.Ordinal));
        string directory = _directories.Length == 0 ? Path.Combine(Path.GetDirectoryName(frame) ?? "", Beside)
            : _directories[Math.Clamp(input, 0, _directories.Length - 1)];
        return Path.Combine(directory, Path.GetFileNameWithoutExtension(frame) + ".png");
    }

    /// <summary>The maps of all frames as a network of the frames' size sees them.</summary>
    /// <returns><c>[H, W]</c> for each.</returns>
    /// <exception cref="FootageException">A map is missing, of another size than its picture, or has an unknown index.</exception>
    public byte[][] Read(DecodedFootage footage, IReadOnlyList<ClassCard> classes)
    {
        string[] files = new string[footage.Count];
        foreach (var drive in footage.Drives)
        {
            for (int i = drive.First; i < drive.First + drive.Count; i++)
            {
                if (!File.Exists(footage.NameOf(i)))
                    throw new FootageException($"{footage.NameOf(i)}: label maps go with directories of pictures alone");
                files[i] = Of(footage.NameOf(i), drive.Name);
            }
        }
        if (Array.FindIndex(files, file => !File.Exists(file)) is >= 0 and int first)
            throw new FootageException($"{footage.NameOf(first)} has no label map: expected {files[first]} " +
                $"({files.Count(file => !File.Exists(file))} of {files.Length} frames have none; see --labels)");
        return [.. files.Select((file, i) => Read(file, File.ReadAllBytes(footage.NameOf(i)), footage.NameOf(i), classes)
            .FitTo(footage.Size))];
    }

    /// <summary>One frame's map, of the picture's size.</summary>
    /// <param name="picture">The encoded picture.</param>
    /// <exception cref="FootageException">The map is missing, of another size than the picture, or has an unknown index.</exception>
    public static LabelMap Read(string file, ReadOnlySpan<byte> picture, string pictureName, IReadOnlyList<ClassCard> classes)
    {
        if (!File.Exists(file)) throw new FootageException($"{pictureName} has no label map: expected {file} (see --labels)");
        var map = LabelMap.Read(file);
        if (ImageHeader.Read(picture, FrameLimits.Footage, out var header) == FrameError.None
            && (header.Width, header.Height) != (map.Width, map.Height))
            throw new FootageException($"{file} is {map.Width}×{map.Height}, but its picture {pictureName} is " +
                $"{header.Width}×{header.Height}: a label map has its picture's size");
        Check(map, file, classes);
        return map;
    }

    /// <exception cref="FootageException">An index is not that of a class.</exception>
    public static void Check(LabelMap map, string file, IReadOnlyList<ClassCard> classes)
    {
        int highest = map.Indices.Max();
        if (highest >= classes.Count)
            throw new FootageException($"{file} has the index {highest}, but the {classes.Count} known classes are 0 to " +
                $"{classes.Count - 1} ({classes[0].Name} to {classes[^1].Name})");
    }
}
