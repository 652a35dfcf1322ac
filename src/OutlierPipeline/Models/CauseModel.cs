using System.Numerics.Tensors;
using System.Text.Json;
using System.Text.Json.Serialization;

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

    /// <summary>The K classes' names. Several may have one name: then they are one cause that looks in several ways.</summary>
    public required IReadOnlyList<string> Causes { get; init; }

    /// <summary>From profile to discriminants, P rows of F.</summary>
    public required float[] Projection { get; init; }

    /// <summary>Discriminants of the mean normal frame, length P.</summary>
    public required float[] Normal { get; init; }

    /// <summary>The direction in which each class lies from normal frames, K rows of P, of length 1.</summary>
    public required float[] Directions { get; init; }

    /// <summary>The cosine to its direction that each class asks for, length K: below it, a frame is of no cause that is known.</summary>
    public required float[] Bounds { get; init; }

    /// <summary>What cosines are divided by before they are probabilities; fitted to footage left out.</summary>
    public required double Temperature { get; init; }

    /// <summary>Discriminants, P.</summary>
    [JsonIgnore]
    public int Discriminants => Normal.Length;

    /// <summary>Values of a frame's profile, F.</summary>
    [JsonIgnore]
    public int Profile => Projection.Length / Discriminants;

    /// <summary>Reads and checks <c>causes.json</c>.</summary>
    /// <exception cref="JsonException">The text is no such file; the message says what is wrong.</exception>
    public static CauseModel Parse(ReadOnlySpan<byte> json)
    {
        var model = PackageJson.Read<CauseModel>(json);
        int causes = model.Causes.Count;
        int discriminants = model.Normal.Length;
        if (model.Schema != CurrentSchema)
            throw new JsonException($"schema is {model.Schema}, this version reads {CurrentSchema}: train the package again");
        if (model.Causes.Distinct().Count() < 2 || model.Causes.Any(string.IsNullOrWhiteSpace))
            throw new JsonException("causes must have two or more different names");
        if (discriminants == 0 || model.Directions.Length != causes * discriminants)
            throw new JsonException($"directions must have a row of {discriminants} for each of the {causes} causes");
        if (model.Projection.Length == 0 || model.Projection.Length % discriminants != 0)
            throw new JsonException($"projection must have {discriminants} rows");
        if (model.Bounds.Length != causes || model.Bounds.Any(bound => !(bound is > 0 and <= 1)))
            throw new JsonException($"bounds must have {causes} entries above 0, at most 1");
        if (!(model.Temperature > 0)) throw new JsonException("temperature must be positive");
        if (model.Projection.Concat(model.Normal).Concat(model.Directions).Any(value => !float.IsFinite(value)))
            throw new JsonException("a number is not finite");
        return model;
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ModelCard.Compact);

    /// <summary>A frame's discriminants, length P.</summary>
    /// <param name="profile">F values.</param>
    /// <exception cref="ArgumentException">The profile is of another length.</exception>
    public void Project(ReadOnlySpan<float> profile, Span<float> place)
    {
        if (profile.Length != Profile)
            throw new ArgumentException($"{profile.Length} values, the causes were learned of {Profile}", nameof(profile));
        for (int p = 0; p < Discriminants; p++)
            place[p] = TensorPrimitives.Dot(profile, Projection.AsSpan(p * profile.Length, profile.Length));
    }
}
