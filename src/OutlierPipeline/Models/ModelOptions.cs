namespace OutlierPipeline.Models;

/// <summary>Configuration section <c>Model</c>: which package scores which camera.</summary>
public sealed record ModelOptions
{
    /// <summary>Directory of the model package for all cameras that no pattern fits.</summary>
    public string Path { get; init; } = "";

    /// <summary>Directory of the model package for cameras whose id fits. The longest pattern that fits decides.</summary>
    public Dictionary<string, string> Cameras { get; init; } = [];

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
    }

    /// <summary>The package directory for a camera.</summary>
    public string PathFor(string camera) => CameraPattern.Longest(Cameras.Keys, camera) is { } pattern ? Cameras[pattern] : Path;
}
