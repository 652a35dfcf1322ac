using OutlierPipeline.Models;

namespace OutlierPipeline.Alerts;

/// <summary>What is shown of a camera's frames: on the topic of alerts, in the history, in streams and on the dashboard alike.</summary>
public enum PictureRule
{
    /// <summary>The frame.</summary>
    Full,

    /// <summary>The frame in blocks of <see cref="AlertPicture.Block"/> pixels of the model's picture: where it is strange can be seen, who
    /// or whose it is cannot.</summary>
    Blurred,

    /// <summary>Nothing.</summary>
    None,
}

/// <summary>Configuration section <c>Alerts:Pictures</c>: patterns of cameras and their rules.</summary>
internal static class PictureRules
{
    /// <summary>The rule of the longest pattern that fits; <see cref="PictureRule.Full"/> where none does.</summary>
    public static PictureRule For(this IReadOnlyDictionary<string, PictureRule> rules, string camera) =>
        rules.Count > 0 && CameraPattern.Longest(rules.Keys, camera) is { } pattern ? rules[pattern] : PictureRule.Full;
}
