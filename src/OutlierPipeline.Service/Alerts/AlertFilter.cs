using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Service.Alerts;

/// <summary>Which alerts somebody wants to hear of.</summary>
/// <param name="Cameras">Null for all.</param>
/// <param name="MinSeverity">That severity and above.</param>
/// <param name="Kinds">Null for all.</param>
internal sealed record AlertFilter(CameraPattern? Cameras, Severity MinSeverity, IReadOnlySet<AlertKind>? Kinds)
{
    public static AlertFilter All { get; } = new(null, Severity.Info, null);

    /// <summary>Reads a filter from the query's texts.</summary>
    /// <param name="camera">A camera's id, or a pattern such as <c>truck-*</c>.</param>
    /// <param name="kinds">Kinds separated by commas.</param>
    /// <param name="severityName">What the caller calls the severity, for the message.</param>
    /// <param name="kindsName">What the caller calls the kinds, for the message.</param>
    /// <exception cref="FormatException">A word is none of the list, and the message names those that are; or the pattern is
    /// none.</exception>
    public static AlertFilter Parse(string? camera, string? severity, string? kinds, string severityName = "severity",
        string kindsName = "kind") => new(
        string.IsNullOrEmpty(camera) ? null : CameraPattern.Parse(camera),
        string.IsNullOrEmpty(severity) ? Severity.Info : Word<Severity>(severityName, severity),
        string.IsNullOrEmpty(kinds) ? null : kinds.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(kind => Word<AlertKind>(kindsName, kind)).ToHashSet());

    /// <summary>What a subscription asks for. Kinds that this version does not know, since a newer one wrote them, are none that it can
    /// send.</summary>
    public static AlertFilter Of(Subscriptions.SubscriptionRow subscription) => new(
        subscription.Cameras is null ? null : CameraPattern.Of(subscription.Cameras),
        subscription.MinSeverity,
        subscription.Kinds?.Split(',').Where(kind => Enum.TryParse<AlertKind>(kind, ignoreCase: true, out _))
            .Select(kind => Enum.Parse<AlertKind>(kind, ignoreCase: true)).ToHashSet());

    public bool Fits(string camera, Severity severity, AlertKind kind) =>
        severity >= MinSeverity && (Kinds is null || Kinds.Contains(kind)) && (Cameras is null || Cameras.Fits(camera));

    private static T Word<T>(string name, string text) where T : struct, Enum =>
        Enum.TryParse<T>(text, ignoreCase: true, out var value) && Enum.IsDefined(value) && !char.IsAsciiDigit(text[0])
            ? value
            : throw new FormatException(
            $"{name} is {text}; expected one of {string.Join(", ", Enum.GetNames<T>().Select(known => known.ToLowerInvariant()))}");
}
