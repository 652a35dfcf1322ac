namespace OutlierPipeline.Models;

/// <summary>Configuration section <c>Model</c>: which package scores which camera.</summary>
public sealed record ModelOptions
{
    /// <summary>Directory of the model package for all cameras that no pattern fits.</summary>
    public string Path { get; init; } = "";

    /// <summary>Directory of the model package for cameras whose id fits. The longest pattern that fits decides.</summary>
    public Dictionary<string, string> Cameras { get; init; } = [];

    /// <summary>
    /// Tag of cameras whose id fits, such as <c>time=night</c>: they are held against the calibration that the package has of it
    /// (<c>outlier calibrate --slice</c>). The longest pattern that fits decides. With another tag evidence begins anew; an open incident
    /// stays open.
    /// </summary>
    public Dictionary<string, string> Tags { get; init; } = [];

    /// <summary>Messages for what is missing.</summary>
    public IEnumerable<string> Validate()
    {
        if (string.IsNullOrWhiteSpace(Path))
            yield return "Model:Path is not set; expected the directory of a model package, such as models/street-demo";
        foreach (var (pattern, path) in Cameras)
        {
            if (string.IsNullOrWhiteSpace(pattern) || string.IsNullOrWhiteSpace(path)) yield return $"Model:Cameras has the entry " +
                $"'{pattern}' = '{path}'; expected a camera-id pattern and the directory of a model package";
        }
        foreach (var (pattern, tag) in Tags)
        {
            if (string.IsNullOrWhiteSpace(pattern) || string.IsNullOrWhiteSpace(tag))
                yield return $"Model:Tags has the entry '{pattern}' = '{tag}'; expected a camera-id pattern and a tag such as time=night";
        }
    }

    /// <summary>Every package that some camera may need, by its directory.</summary>
    /// <exception cref="ModelPackageException">One was refused, or none has a calibration of a tag.</exception>
    public IReadOnlyDictionary<string, ModelPackage> Load()
    {
        var packages = Cameras.Values.Append(Path).Distinct().ToDictionary(path => path, path => ModelPackage.Load(path, Tags));
        string[] known = [.. packages.Values.SelectMany(package => package.Card.Slices?.Keys ?? []).Distinct()];
        if (Tags.Values.Except(known).FirstOrDefault() is not { } missing) return packages;
        throw new ModelPackageException(Path, $"has no calibration of the tag '{missing}', which Model:Tags gives to cameras (it has " +
            $"{(known.Length == 0 ? "none of any" : string.Join(", ", known))}): outlier calibrate --slice {missing} makes one");
    }

    /// <summary>The package directory for a camera.</summary>
    public string PathFor(string camera) => CameraPattern.Longest(Cameras.Keys, camera) is { } pattern ? Cameras[pattern] : Path;
}
