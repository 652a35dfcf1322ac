using System.Security.Cryptography;
using System.Text.Json;
using OutlierPipeline.Detection;

namespace OutlierPipeline.Inference;

/// <summary>A directory <c>models/NAME/</c>, read and checked whole: card, calibration and graph belong together, or nothing is loaded.</summary>
public sealed class ModelPackage
{
    private ModelPackage(string path, ModelCard card, Calibration calibration, byte[] graph)
    {
        Path = path;
        Card = card;
        Calibration = calibration;
        Graph = graph;
        Digest = card.Files["model.onnx"];
        CalibrationDigest = card.Files["calibration.json"];
    }

    public string Path { get; }

    public ModelCard Card { get; }

    public Calibration Calibration { get; }

    /// <summary>The bytes of <c>model.onnx</c>.</summary>
    public ReadOnlyMemory<byte> Graph { get; }

    /// <summary>SHA-256 of the graph: the model's identity in records.</summary>
    public string Digest { get; }

    /// <summary>SHA-256 of the calibration.</summary>
    public string CalibrationDigest { get; }

    /// <summary>Reads a package.</summary>
    /// <exception cref="ModelPackageException">A file is missing, truncated, damaged, or belongs to another package.</exception>
    public static ModelPackage Load(string path)
    {
        if (!Directory.Exists(path)) throw new ModelPackageException(path, "no such model package (expected a directory with model.json, model.onnx and calibration.json)");
        var card = ReadCard(System.IO.Path.Combine(path, "model.json"));
        byte[] graph = ReadChecked(path, "model.onnx", card);
        byte[] json = ReadChecked(path, "calibration.json", card);
        Calibration calibration;
        try
        {
            calibration = Calibration.Parse(json);
        }
        catch (JsonException e)
        {
            throw new ModelPackageException(System.IO.Path.Combine(path, "calibration.json"), $"cannot be read: {e.Message}", e);
        }
        if (!calibration.Scores.SequenceEqual(card.Scores))
            throw new ModelPackageException(System.IO.Path.Combine(path, "calibration.json"), $"scores [{string.Join(", ", calibration.Scores)}] are not those of model.json [{string.Join(", ", card.Scores)}]");
        return new ModelPackage(path, card, calibration, graph);
    }

    /// <summary>The digest as it stands in cards and records.</summary>
    public static string DigestOf(ReadOnlySpan<byte> content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    private static ModelCard ReadCard(string file)
    {
        try
        {
            var card = JsonSerializer.Deserialize<ModelCard>(Read(file), ModelCard.Json) ?? throw new JsonException("the file holds null");
            if (card.Schema != 1) throw new JsonException($"schema is {card.Schema}, this version reads 1");
            if (card.Network.Height < 8 || card.Network.Width < 8) throw new JsonException("network height and width must be at least 8");
            if (card.Scores.Count == 0) throw new JsonException("no scores are named");
            return card;
        }
        catch (JsonException e)
        {
            throw new ModelPackageException(file, $"cannot be read: {e.Message}", e);
        }
    }

    private static byte[] ReadChecked(string path, string name, ModelCard card)
    {
        string file = System.IO.Path.Combine(path, name);
        if (!card.Files.TryGetValue(name, out string? expected)) throw new ModelPackageException(System.IO.Path.Combine(path, "model.json"), $"files does not name {name}");
        byte[] content = Read(file);
        string actual = DigestOf(content);
        return actual == expected ? content : throw new ModelPackageException(file, $"is not the file that model.json describes (truncated, changed, or of another package): digest {actual}, expected {expected}");
    }

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
