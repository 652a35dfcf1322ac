using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Footage;

/// <summary>The classes that the indices of label maps stand for.</summary>
/// <param name="Classes">In the order of their indices.</param>
/// <param name="Void">The index of what is nothing: the class of that name; null for none.</param>
public sealed record LabelClasses(IReadOnlyList<ClassCard> Classes, int? Void)
{
    /// <summary>The default of <c>--classes</c>.</summary>
    public const string CamVidName = "camvid";

    /// <summary>What a class must be called for its pixels not to count.</summary>
    private const string VoidName = "void";

    /// <summary>The eleven classes of CamVid as SegNet grouped them, and void.</summary>
    /// <remarks>Brostow, Fauqueur and Cipolla, Pattern Recognition Letters 2009; Badrinarayanan, Kendall and Cipolla, PAMI 2017.</remarks>
    public static LabelClasses CamVid { get; } = Of(
    [
        new("sky", "#6fa8dc"), new("building", "#8c564b"), new("pole", "#c9b18f"), new("road", "#6b5b95"), new("pavement", "#e377c2"),
        new("tree", "#2e8b57"), new("sign", "#ffd700"), new("fence", "#b5651d"), new("vehicle", "#1f3fd0"), new("pedestrian", "#e02020"),
        new("cyclist", "#ff8c1a"), new(VoidName, "#000000"),
    ]);

    /// <param name="source"><see cref="CamVidName"/>, or a text file with a line <c>name,#rrggbb</c> for each class in the order of the
    /// indices; the class called <c>void</c> is nothing.</param>
    /// <exception cref="FootageException">The file is missing, or a line is not such a line.</exception>
    public static LabelClasses Read(string source)
    {
        if (source == CamVidName) return CamVid;
        if (!File.Exists(source))
            throw new FootageException($"--classes {source}: no such file; expected {CamVidName}, or a file of lines name,#rrggbb");
        string[] lines = [.. File.ReadLines(source).Select(line => line.Trim()).Where(line => line.Length > 0)];
        if (lines.FirstOrDefault(line => line.Split(',') is not [{ Length: > 0 }, var colour] || !ClassCard.IsColour(colour.Trim()))
            is { } wrong)
            throw new FootageException($"--classes {source}: '{wrong}' is no line name,#rrggbb");
        if (lines.Length is < 2 or > 255)
            throw new FootageException($"--classes {source}: {lines.Length} classes; expected 2 to 255");
        return Of([.. lines.Select(line => line.Split(',')).Select(parts => new ClassCard(parts[0].Trim(), parts[1].Trim()))]);
    }

    private static LabelClasses Of(ClassCard[] classes) =>
        new(classes, Array.FindIndex(classes, one => one.Name == VoidName) is >= 0 and int index ? index : null);
}
