using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Models;

/// <summary>What a package that translates between pictures and segmentation maps knows of the maps.</summary>
public sealed record TranslationCard
{
    /// <summary>The graph from pictures to maps, within a package.</summary>
    public const string ToMap = "to-map.onnx";

    /// <summary>The graph from maps to pictures, within a package.</summary>
    public const string ToPicture = "to-picture.onnx";

    private const int MaxClasses = 255;

    /// <summary>The classes in the order of their indices in maps.</summary>
    public required IReadOnlyList<ClassCard> Classes { get; init; }

    /// <summary>The index of what is nothing: it trains nothing, is judged by nothing and is never predicted. Null for none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Void { get; init; }

    /// <summary>Height in pixels of the pictures that are drawn, and of the maps that they are drawn of; 0 without that graph.</summary>
    public int PictureHeight { get; init; }

    /// <inheritdoc cref="PictureHeight"/>
    public int PictureWidth { get; init; }

    /// <summary>Length of the noise that makes pictures of one map differ; 0 without that graph.</summary>
    public int Noise { get; init; }

    /// <summary>The scores of <see cref="SecondGraph"/>; null in a package without that graph.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Second { get; init; }

    [JsonIgnore]
    public FrameSize PictureSize => new(PictureHeight, PictureWidth);

    /// <exception cref="JsonException">Something does not fit; the message names the key.</exception>
    internal void Check()
    {
        if (Classes.Count is < 2 or > MaxClasses)
            throw new JsonException($"network.translation.classes are {Classes.Count}: expected 2 to {MaxClasses}");
        foreach (var one in Classes)
        {
            if (string.IsNullOrWhiteSpace(one.Name)) throw new JsonException("network.translation.classes has a class without a name");
            if (!ClassCard.IsColour(one.Colour))
                throw new JsonException($"network.translation.classes: the colour of {one.Name} is {one.Colour}, expected #rrggbb");
        }
        if (Void is { } index && (index < 0 || index >= Classes.Count))
            throw new JsonException($"network.translation.void is {index}: expected 0 to {Classes.Count - 1}");
        if (PictureHeight is < 0 or > ModelCard.MaxSide || PictureWidth is < 0 or > ModelCard.MaxSide)
            throw new JsonException($"network.translation.pictureHeight and pictureWidth must be 0 to {ModelCard.MaxSide}");
        if (Noise is < 0 or > 4096) throw new JsonException("network.translation.noise must be 0 to 4096");
    }
}

/// <summary>A class of segmentation maps.</summary>
/// <param name="Name">As people call it.</param>
/// <param name="Colour">In which it is shown, <c>#rrggbb</c>.</param>
public sealed record ClassCard(string Name, string Colour)
{
    /// <summary>Red, green and blue.</summary>
    [JsonIgnore]
    public (byte Red, byte Green, byte Blue) Rgb => (Part(1), Part(3), Part(5));

    /// <summary>Whether a text is a colour as <see cref="Colour"/> is one.</summary>
    public static bool IsColour(string text) => text is ['#', ..] && text.Length == 7
        && int.TryParse(text.AsSpan(1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _);

    private byte Part(int from) => byte.Parse(Colour.AsSpan(from, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
