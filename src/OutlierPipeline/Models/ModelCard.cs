using System.Text.Json;
using System.Text.Json.Serialization;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Models;

/// <summary>The model card, <c>model.json</c>: what the model is, what it was trained on, how good it was measured to be.</summary>
public sealed record ModelCard
{
    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>For files of numbers, which nobody reads line by line.</summary>
    internal static readonly JsonSerializerOptions Compact = new(Json) { WriteIndented = false };

    /// <summary>Schema 1 did not say what trainer and service agreed on; these are the agreements that it meant.</summary>
    private const int SilentSchema = 1;

    private const int CurrentSchema = 2;

    /// <summary>Of the network's input, in pixels: beyond it a card would ask for gigabytes a frame.</summary>
    internal const int MaxSide = 8192;

    /// <summary>Of a dimension's name: alerts say it.</summary>
    private const int MaxName = 60;

    /// <summary>Version of this file's layout.</summary>
    public int Schema { get; init; } = CurrentSchema;

    public required string Name { get; init; }

    public required string Version { get; init; }

    /// <summary>What the model is for, in a sentence.</summary>
    public required string Description { get; init; }

    /// <summary>Licence of the weights, and what the footage's licence asks for.</summary>
    public required string Licence { get; init; }

    public required NetworkCard Network { get; init; }

    /// <summary>The S scores' names, in the order of the graph's output <c>scores</c>.</summary>
    public required IReadOnlyList<string> Scores { get; init; }

    /// <summary>Those of <see cref="Scores"/> that say something of one place of the picture.</summary>
    public IReadOnlyList<string>? LocalScores { get; init; }

    public required TrainingCard Training { get; init; }

    /// <summary>The normal footage that calibrated the scores; none of it trained anything.</summary>
    public required FootageCard Calibration { get; init; }

    /// <summary>The command line that calibrated the package after it was trained, where that was done.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CalibrationCommand { get; init; }

    /// <summary>File of the region of interest, or null where every pixel counts.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Mask { get; init; }

    /// <summary>Cameras that have a calibration and perhaps a mask of their own, by camera id.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, CameraCard>? Cameras { get; init; }

    /// <summary>Calibrations of some of the footage, such as <c>time=night</c>, by the tag that a deployment gives its cameras.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, CameraCard>? Slices { get; init; }

    /// <summary>The second graph, which is computed for some frames alone; null in packages of one graph.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SecondCard? Second { get; init; }

    /// <summary>
    /// Measured figures by name, such as <c>validationMse</c>; the command that measured them is in <see cref="TrainingCard.Command"/>
    /// unless a name says otherwise.
    /// </summary>
    public required IReadOnlyDictionary<string, double> Quality { get; init; }

    /// <summary>SHA-256 (<c>sha256:</c> and hexadecimal digits) of every other file the service loads, by file name.</summary>
    public required IReadOnlyDictionary<string, string> Files { get; init; }

    /// <summary>Whether a score says something of one place of the picture.</summary>
    public bool IsLocal(string score) => LocalScores!.Contains(score);

    /// <summary>Reads and checks <c>model.json</c>.</summary>
    /// <exception cref="JsonException">The text is no model card; the message says what is wrong.</exception>
    internal static ModelCard Parse(ReadOnlySpan<byte> json) =>
        PackageJson.Read<ModelCard>(json).Checked();

    /// <summary>This card if it says all that the service needs to know; one of schema 1 with what that schema meant.</summary>
    /// <exception cref="JsonException">Something is missing or does not fit; the message names the key.</exception>
    internal ModelCard Checked()
    {
        PackageJson.Check("files", Files);
        if (Cameras is not null) PackageJson.Check("cameras", Cameras);
        if (Slices is not null) PackageJson.Check("slices", Slices);
        if (Second is { } second && second is not ({ Height: null, Width: null }
            or { Height: >= 8 and <= 4096, Width: >= 8 and <= 4096 }))
            throw new JsonException($"second is {second.Width}×{second.Height}; both sides are needed, of 8 to 4096 pixels");
        if (Schema == SilentSchema)
        {
            string[] local = [.. Scores.Intersect(["local", "region"])];
            return (this with
            {
                Schema = CurrentSchema,
                LocalScores = local,
                Network = Network with { CellSide = FrameMask.CellSide, LastWeight = "draw.weight" }
            }).Checked();
        }
        if (Schema != CurrentSchema) throw new JsonException($"schema is {Schema}, this version reads {SilentSchema} and {CurrentSchema}");
        if (Network.Height < FrameMask.CellSide || Network.Width < FrameMask.CellSide)
            throw new JsonException($"network height and width must be at least {FrameMask.CellSide}");
        if (Network.Height > MaxSide || Network.Width > MaxSide)
            throw new JsonException($"network height and width must be at most {MaxSide}");
        foreach (var (dimension, name) in Network.DimensionNames ?? new Dictionary<int, string>())
        {
            if (dimension < 0 || dimension >= Network.Latent || string.IsNullOrWhiteSpace(name) || name.Length > MaxName
                || name.Any(char.IsControl))
                throw new JsonException($"network.dimensionNames calls {dimension} '{name}': expected a name of at most {MaxName} " +
                    $"characters for a dimension from 0 to {Network.Latent - 1}");
        }
        if (Network.Translation is { } translation)
        {
            translation.Check();
            return Scores.Count == 0 ? this : throw new JsonException("network.translation is there, but scores are named");
        }
        if (Network.OnlyDraws)
        {
            return Scores.Count == 0 ? this : throw new JsonException("network.onlyDraws is true, but scores are named");
        }
        if (Scores.Count == 0) throw new JsonException("no scores are named");
        if (LocalScores is null) throw new JsonException("localScores is missing: the names of the scores that say something of one place");
        if (LocalScores.Except(Scores).FirstOrDefault() is { } unknown)
            throw new JsonException($"localScores names {unknown}, which scores does not");
        if (string.IsNullOrEmpty(Network.LastWeight))
            throw new JsonException("network.lastWeight is missing: the name of the weight of the network's last product");
        if (Network.CellSide != FrameMask.CellSide)
            throw new JsonException(
                $"network.cellSide is {Network.CellSide}: masks are cut into cells of {FrameMask.CellSide}×{FrameMask.CellSide} pixels");
        if (Network.ErrorMapHeight != Network.Height / Network.CellSide || Network.ErrorMapWidth != Network.Width / Network.CellSide)
            throw new JsonException($"network.errorMapHeight and errorMapWidth are {Network.ErrorMapHeight} and {Network.ErrorMapWidth}: " +
                $"cells of {Network.CellSide} pixels (network.cellSide) make {Network.Height / Network.CellSide} and " +
                    $"{Network.Width / Network.CellSide}");
        return this;
    }

    /// <summary>This card with one camera's own calibration added or replaced.</summary>
    public ModelCard With(string camera, CameraCard own) => this with { Cameras = With(Cameras, camera, own) };

    /// <summary>The same with a slice's.</summary>
    public ModelCard WithSlice(string tag, CameraCard own) => this with { Slices = With(Slices, tag, own) };

    private static SortedDictionary<string, CameraCard> With(IReadOnlyDictionary<string, CameraCard>? all, string key, CameraCard own) =>
        new((all ?? new Dictionary<string, CameraCard>()).ToDictionary(), StringComparer.Ordinal) { [key] = own };

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Json);
}

/// <summary>The graph that is computed for some frames alone (<see cref="SecondGraph"/>).</summary>
public sealed record SecondCard
{
    /// <summary>Its scores' names, in the order of its output <c>scores</c>: at most seven.</summary>
    public required IReadOnlyList<string> Scores { get; init; }

    /// <summary>Classes and colours of its maps, in the order of their indices.</summary>
    public required IReadOnlyList<ClassCard> Classes { get; init; }

    /// <summary>The package that it comes from, and its version.</summary>
    public required string Source { get; init; }

    /// <summary>Height of the frames that it sees, in pixels; null for that of the first graph's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Height { get; init; }

    /// <summary>Width of the frames that it sees, in pixels; null for that of the first graph's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Width { get; init; }

    /// <summary>The size of the frames that it sees.</summary>
    /// <param name="first">The network of the package's first graph.</param>
    public FrameSize SizeBeside(NetworkCard first) => Height is { } height && Width is { } width ? new(height, width) : first.Size;
}

/// <summary>The network and its hyper-parameters.</summary>
public sealed record NetworkCard
{
    /// <summary>Name in the registry of architectures: <c>vae</c> …</summary>
    public required string Architecture { get; init; }

    /// <summary>The paper that the architecture or loss comes from.</summary>
    public required string Paper { get; init; }

    /// <summary>
    /// The network of others whose values are modelled instead of pixels, where there is one; its weights are in the graph.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public BackboneCard? Backbone { get; init; }

    /// <summary>Whether the package has a decoder alone: pictures can be drawn of it, and no frame can be scored.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool OnlyDraws { get; init; }

    /// <summary>Classes of segmentation maps where the package translates between pictures and these, and scores no frame.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TranslationCard? Translation { get; init; }

    /// <summary>Input height in pixels.</summary>
    public required int Height { get; init; }

    /// <summary>Input width in pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Dimensions of the latent code, Z.</summary>
    public required int Latent { get; init; }

    /// <summary>
    /// What dimensions of the code mean, by their number from 0: the one key that is meant to be written by hand. Tools show it.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<int, string>? DimensionNames { get; init; }

    /// <summary>Side in pixels of a cell of the error map; a cell counts if the mask leaves all of its pixels.</summary>
    public int CellSide { get; init; }

    /// <summary>
    /// Name in the graph of the weight of the network's last product: what comes before it may be computed in half precision, what comes
    /// after are scores.
    /// </summary>
    public string LastWeight { get; init; } = "";

    /// <summary>Rows of the error map, h.</summary>
    public required int ErrorMapHeight { get; init; }

    /// <summary>Columns of the error map, w.</summary>
    public required int ErrorMapWidth { get; init; }

    public required long Parameters { get; init; }

    /// <summary>Floating-point operations of one frame's pass, multiply and add counted as two.</summary>
    public required long FlopsPerFrame { get; init; }

    public required IReadOnlyDictionary<string, double> HyperParameters { get; init; }

    [JsonIgnore]
    public FrameSize Size => new(Height, Width);
}

/// <summary>A network that others trained.</summary>
public sealed record BackboneCard
{
    /// <summary>What it is, how much of it is used, and where it comes from.</summary>
    public required string Name { get; init; }

    public required string Licence { get; init; }

    /// <summary>SHA-256 of the file that it was taken from.</summary>
    public required string Digest { get; init; }
}

/// <summary>How the model was made.</summary>
public sealed record TrainingCard
{
    /// <summary>The command line, run at the repository's root, that makes this package again.</summary>
    public required string Command { get; init; }

    public required long Seed { get; init; }

    public required int Epochs { get; init; }

    /// <summary>What computed: <c>cpu</c> or the GPU's name.</summary>
    public required string Device { get; init; }

    public required double Seconds { get; init; }

    public required FootageCard Footage { get; init; }
}

/// <summary>What one camera has of its own.</summary>
public sealed record CameraCard
{
    /// <summary>File of its calibration, within the package.</summary>
    public required string Calibration { get; init; }

    /// <summary>File of its region of interest, or null where that of the package holds.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Mask { get; init; }

    /// <summary>The normal footage that calibrated it.</summary>
    public required FootageCard Footage { get; init; }
}

/// <summary>A set of frames.</summary>
public sealed record FootageCard
{
    /// <summary>Where it comes from, and which part of it.</summary>
    public required string Source { get; init; }

    public required int Frames { get; init; }

    /// <summary>SHA-256 over the SHA-256 of each encoded picture, in order.</summary>
    public required string Digest { get; init; }
}
