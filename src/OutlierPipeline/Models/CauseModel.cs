using System.Text.Json;

namespace OutlierPipeline.Models;

/// <summary>
/// <c>causes.json</c> of a model package: what tells from a frame's profile (mean and log energy of the standardised residual of each of
/// the backbone's values) why it is strange. Learned from normal frames that the project's own suite corrupted; no part of detection.
/// </summary>
/// <remarks>Linear discriminants with a covariance shared by the classes (Rao 1948), shrunk towards its diagonal.</remarks>
public sealed record CauseModel
{
    /// <summary>Within the package.</summary>
    public const string FileName = "causes.json";

    private const int CurrentSchema = 1;

    /// <summary>Version of this file's layout.</summary>
    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Names of the K causes.</summary>
    public required IReadOnlyList<string> Causes { get; init; }

    /// <summary>What is taken from a profile, length F.</summary>
    public required float[] Centre { get; init; }

    /// <summary>From profile to discriminants, F rows of P.</summary>
    public required float[] Projection { get; init; }

    /// <summary>Each cause's mean, K rows of P.</summary>
    public required float[] Means { get; init; }

    /// <summary>Mean square distance of a cause's frames from its mean, over P; length K, positive.</summary>
    public required float[] Spreads { get; init; }

    /// <summary>Squared distance over P and spread beyond which a frame is of no cause that is known.</summary>
    public required double Bound { get; init; }

    /// <summary>What squared distances are divided by before they are probabilities; fitted to footage left out.</summary>
    public required double Temperature { get; init; }

    /// <summary>Reads and checks <c>causes.json</c>.</summary>
    /// <exception cref="JsonException">The text is no such file; the message says what is wrong.</exception>
    public static CauseModel Parse(ReadOnlySpan<byte> json)
    {
        var model = JsonSerializer.Deserialize<CauseModel>(json, ModelCard.Json) ?? throw new JsonException("the file holds null");
        int causes = model.Causes.Count;
        if (model.Schema != CurrentSchema)
            throw new JsonException($"schema is {model.Schema}, this version reads {CurrentSchema}: train the package again");
        if (causes < 2 || model.Causes.Distinct().Count() < causes) throw new JsonException("causes must be two or more different names");
        if (model.Means.Length == 0 || model.Means.Length % causes != 0)
            throw new JsonException($"means must have a row for each of the {causes} causes");
        if (model.Centre.Length == 0 || model.Projection.Length != model.Centre.Length * (model.Means.Length / causes))
            throw new JsonException("projection must have a row of discriminants for each entry of centre");
        if (model.Spreads.Length != causes || model.Spreads.Any(spread => !(spread > 0)))
            throw new JsonException($"spreads must have {causes} positive entries");
        if (!(model.Bound > 0) || !(model.Temperature > 0)) throw new JsonException("bound and temperature must be positive");
        if (model.Centre.Concat(model.Projection).Concat(model.Means).Any(value => !float.IsFinite(value)))
            throw new JsonException("a number is not finite");
        return model;
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ModelCard.Compact);
}
