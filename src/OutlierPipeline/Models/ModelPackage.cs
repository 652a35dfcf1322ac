using System.Security.Cryptography;
using System.Text.Json;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Models;

/// <summary>What scores one camera.</summary>
/// <param name="Mask">Region of interest, or null where every pixel counts.</param>
/// <param name="Digest">Of graph, calibration and mask: evidence gathered under another one does not count.</param>
public sealed record CameraModel(Calibration Calibration, FrameMask? Mask, string Digest);

/// <summary>
/// A directory <c>models/NAME/</c>, read and checked whole: card, calibration and graph belong together, or nothing is loaded.
/// </summary>
public sealed class ModelPackage
{
    private volatile CameraModel? _default;
    private readonly Dictionary<string, CameraModel> _cameras;
    private readonly Dictionary<string, CameraModel> _slices;

    /// <summary>What cameras have by their tags, the longest pattern first; null where the package has nothing of the tag.</summary>
    private readonly (CameraPattern Pattern, CameraModel? Model)[] _tagged;

    private ModelPackage(string path, ModelCard card, byte[] graph, CameraModel? shared, Dictionary<string, CameraModel> cameras,
        Dictionary<string, CameraModel> slices, IReadOnlyDictionary<string, string> tags, CauseModel? causes,
        byte[]? second = null)
    {
        Path = path;
        Card = card;
        Graph = graph;
        Digest = DigestOf(graph);
        Causes = causes;
        if (second is not null) Second = second;
        _default = shared;
        LoadedDigest = shared?.Digest ?? "";
        (_cameras, _slices) = (cameras, slices);
        _tagged = slices.Count == 0 ? [] : [.. tags.OrderByDescending(tag => tag.Key.Length).Select(tag =>
            (CameraPattern.Of(tag.Key), slices.GetValueOrDefault(tag.Value)))];
        HasMasks = shared?.Mask is not null || cameras.Values.Any(camera => camera.Mask is not null);
    }

    public string Path { get; }

    public ModelCard Card { get; }

    /// <summary>The bytes of <c>model.onnx</c>.</summary>
    public ReadOnlyMemory<byte> Graph { get; }

    /// <summary>The bytes of <see cref="SecondGraph.FileName"/>; null in packages of one graph.</summary>
    public ReadOnlyMemory<byte>? Second { get; }

    /// <summary>SHA-256 of the graph: the model's identity in records.</summary>
    public string Digest { get; }

    /// <summary>What names the cause of a strange frame by its profile; null in packages without <c>causes.json</c>.</summary>
    public CauseModel? Causes { get; }

    /// <summary>Calibration and mask of every camera that has none of its own.</summary>
    public CameraModel Default => _default ?? throw new InvalidOperationException("the package is not calibrated yet");

    /// <summary>Of the graph, the calibration and the mask that came with the package, whatever calibration was taken over since.</summary>
    public string LoadedDigest { get; }

    /// <summary>Whether any camera has a region of interest.</summary>
    public bool HasMasks { get; private init; }

    /// <summary>A camera's calibration and mask: its own where it has one, else that of its tag.</summary>
    public CameraModel For(string camera)
    {
        if (_cameras.Count > 0 && _cameras.TryGetValue(camera, out var own)) return own;
        foreach (var (pattern, model) in _tagged)
        {
            if (pattern.Fits(camera)) return model ?? Default;
        }
        return Default;
    }

    /// <summary>A slice's calibration; null where the package has none of that tag.</summary>
    public CameraModel? ForSlice(string tag) => _slices.GetValueOrDefault(tag);

    /// <summary>
    /// Takes over another calibration of the same scores, for every camera that has none of its own. Detectors notice at their next frame;
    /// the files stay as they are. Thread-safe.
    /// </summary>
    public void TakeOver(Calibration calibration)
    {
        string digest = DigestOf(calibration.ToJson());
        _default = new CameraModel(calibration, Default.Mask, DigestOfCamera(Card, digest, Card.Mask));
    }

    /// <summary>A graph whose scores are not calibrated yet, so that they can be.</summary>
    public static ModelPackage Uncalibrated(ModelCard card, byte[] graph, FrameMask? mask) =>
        new(card.Name, card, graph, null, [], [], new Dictionary<string, string>(), null) { HasMasks = mask is not null };

    /// <summary>Reads a package.</summary>
    /// <param name="tags">Tags of cameras, by patterns of their ids.</param>
    /// <exception cref="ModelPackageException">A file is missing, truncated, damaged, or belongs to another package; or the package only
    /// draws.</exception>
    public static ModelPackage Load(string path, IReadOnlyDictionary<string, string>? tags = null)
    {
        var card = ReadCard(path);
        if (card.Network.OnlyDraws)
            throw new ModelPackageException(path, $"is a {card.Network.Architecture}, which draws pictures (outlier sample) and " +
                "scores none");
        if (card.Network.Translation is not null)
            throw new ModelPackageException(path, $"is a {card.Network.Architecture}, which translates (outlier translate) and scores " +
                "none");
        byte[] graph = ReadChecked(path, "model.onnx", card);
        var mask = ReadMask(path, card.Mask, card);
        var shared = ReadCamera(path, "calibration.json", mask, card.Mask, card);
        return new ModelPackage(path, card, graph, shared, Own(card.Cameras), Own(card.Slices),
            tags ?? new Dictionary<string, string>(), ReadCauses(path, card),
            card.Second is null ? null : ReadChecked(path, SecondGraph.FileName, card));

        Dictionary<string, CameraModel> Own(IReadOnlyDictionary<string, CameraCard>? cards) =>
            (cards ?? new Dictionary<string, CameraCard>()).ToDictionary(own => own.Key, own => ReadCamera(path, own.Value.Calibration,
                ReadMask(path, own.Value.Mask, card) ?? mask, own.Value.Mask ?? card.Mask, card));
    }

    /// <summary>The card of a package, which may be one that only draws.</summary>
    /// <exception cref="ModelPackageException">It is missing or damaged.</exception>
    public static ModelCard ReadCard(string path)
    {
        if (!Directory.Exists(path))
            throw new ModelPackageException(path,
                "no such model package (expected a directory with model.json, model.onnx and calibration.json)");
        string file = System.IO.Path.Combine(path, "model.json");
        try
        {
            return ModelCard.Parse(Read(file));
        }
        catch (JsonException e)
        {
            throw new ModelPackageException(file, $"cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The card of a package, which may be one that only draws, and the bytes of its <c>decoder.onnx</c>.</summary>
    /// <exception cref="ModelPackageException">One of them is missing, damaged, or belongs to another package.</exception>
    public static (ModelCard Card, byte[] Decoder) ReadDecoder(string path)
    {
        var card = ReadCard(path);
        if (card.Network.Translation is not null)
            throw new ModelPackageException(path, $"is a {card.Network.Architecture}, which translates (outlier translate) and has no " +
                "codes to draw");
        return (card, ReadChecked(path, "decoder.onnx", card));
    }

    /// <summary>The card of a package that translates, and the bytes of one of its graphs.</summary>
    /// <param name="graph"><see cref="TranslationCard.ToMap"/>, <see cref="TranslationCard.ToPicture"/> or
    /// <see cref="SecondGraph.FileName"/>.</param>
    /// <exception cref="ModelPackageException">It translates nothing, or not this way; or a file is missing or damaged.</exception>
    public static (ModelCard Card, byte[] Graph) ReadTranslator(string path, string graph)
    {
        var card = ReadCard(path);
        if (card.Network.Translation is null)
            throw new ModelPackageException(path, $"is a {card.Network.Architecture} and translates nothing: train with --architecture " +
                "pix2pix");
        if (!card.Files.ContainsKey(graph))
            throw new ModelPackageException(path, graph == TranslationCard.ToPicture
                ? "has no graph from maps to pictures: train with --direction picture"
                : "has no graph from pictures to maps: train with --direction map");
        return (card, ReadChecked(path, graph, card));
    }

    /// <summary>The bytes of a file that the card describes.</summary>
    /// <exception cref="ModelPackageException">The file is missing or is not the one described.</exception>
    public byte[] ReadFile(string name) => ReadChecked(Path, name, Card);

    /// <summary>The bytes of a file that the card of a package describes, which may be one that scores nothing.</summary>
    /// <inheritdoc cref="ReadFile(string)"/>
    public static byte[] ReadFile(string path, string name) => ReadChecked(path, name, ReadCard(path));

    private static CameraModel ReadCamera(string path, string file, FrameMask? mask, string? maskFile, ModelCard card)
    {
        byte[] json = ReadChecked(path, file, card);
        try
        {
            var calibration = Calibration.Parse(json);
            if (!calibration.Scores.SequenceEqual(card.Scores))
                throw new JsonException(
                    $"scores [{string.Join(", ", calibration.Scores)}] are not those of model.json [{string.Join(", ", card.Scores)}]");
            if (calibration.Second is { } second && !second.Scores.SequenceEqual(card.Second?.Scores ?? []))
                throw new JsonException($"second.scores [{string.Join(", ", second.Scores)}] are not those of model.json");
            if (calibration.LatentMap is { } map && map.Mean.Length != card.Network.Latent)
                throw new JsonException(
                    $"latentMap is of codes of length {map.Mean.Length}, those of model.json have {card.Network.Latent}");
            if (calibration.Code is { } code && code.Mean.Length != card.Network.Latent)
                throw new JsonException($"code is of length {code.Mean.Length}, codes of model.json have {card.Network.Latent}");
            return new CameraModel(calibration, mask, DigestOfCamera(card, card.Files[file], maskFile));
        }
        catch (JsonException e)
        {
            throw new ModelPackageException(System.IO.Path.Combine(path, file), $"cannot be read: {e.Message}", e);
        }
    }

    private static CauseModel? ReadCauses(string path, ModelCard card)
    {
        if (!card.Files.ContainsKey(CauseModel.FileName)) return null;
        try
        {
            return CauseModel.Parse(ReadChecked(path, CauseModel.FileName, card));
        }
        catch (JsonException e)
        {
            throw new ModelPackageException(System.IO.Path.Combine(path, CauseModel.FileName), $"cannot be read: {e.Message}", e);
        }
    }

    private static FrameMask? ReadMask(string path, string? file, ModelCard card)
    {
        if (file is null) return null;
        try
        {
            return FrameMask.Decode(ReadChecked(path, file, card), card.Network.Size, file);
        }
        catch (FootageException e)
        {
            throw new ModelPackageException(System.IO.Path.Combine(path, file), e.Message, e);
        }
    }

    private static string DigestOfCamera(ModelCard card, string calibration, string? maskFile)
    {
        string parts = card.Files["model.onnx"] + calibration + (maskFile is null ? "" : card.Files[maskFile]);
        return DigestOf(System.Text.Encoding.ASCII.GetBytes(parts));
    }

    /// <summary>The digest as it stands in cards and records.</summary>
    public static string DigestOf(ReadOnlySpan<byte> content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    private static byte[] ReadChecked(string path, string name, ModelCard card)
    {
        string file = System.IO.Path.Combine(path, name);
        if (name.Length == 0 || name.Contains('\0', StringComparison.Ordinal) || !IsWithin(path, file))
            throw new ModelPackageException(System.IO.Path.Combine(path, "model.json"), "names a file that does not lie in the package");
        if (!card.Files.TryGetValue(name, out string? expected))
            throw new ModelPackageException(System.IO.Path.Combine(path, "model.json"), $"files does not name {name}");
        byte[] content = Read(file);
        string actual = DigestOf(content);
        return actual == expected
            ? content
            : throw new ModelPackageException(file,
            $"is not the file that model.json describes (truncated, changed, or of another package): digest {actual}, expected {expected}");
    }

    private static bool IsWithin(string path, string file) =>
        !System.IO.Path.GetRelativePath(path, file).Split('/', '\\').Contains("..") && !System.IO.Path.IsPathRooted(
            System.IO.Path.GetRelativePath(path, file));

    private static byte[] Read(string file)
    {
        try
        {
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ModelPackageException(file, "is missing", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelPackageException(file, $"cannot be read: {e.Message}", e);
        }
    }
}
