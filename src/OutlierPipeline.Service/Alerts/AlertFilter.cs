using OutlierPipeline.Detection;

namespace OutlierPipeline.Service.Alerts;

/// <summary>Which alerts somebody wants to hear of.</summary>
/// <param name="Cameras">A camera's id, or a pattern such as <c>truck-*</c>; null for all.</param>
/// <param name="MinSeverity">That severity and above.</param>
/// <param name="Kinds">Null for all.</param>
internal sealed record AlertFilter(string? Cameras, Severity MinSeverity, IReadOnlySet<AlertKind>? Kinds)
{
    public static AlertFilter All { get; } = new(null, Severity.Info, null);

    /// <summary>Reads a filter from the query's texts.</summary>
    /// <param name="kinds">Kinds separated by commas.</param>
    /// <param name="severityName">What the caller calls the severity, for the message.</param>
    /// <param name="kindsName">What the caller calls the kinds, for the message.</param>
    /// <exception cref="FormatException">A word is none of the list; the message names those that are.</exception>
    public static AlertFilter Parse(string? camera, string? severity, string? kinds, string severityName = "severity", string kindsName = "kind") => new(
        string.IsNullOrEmpty(camera) ? null : camera,
        string.IsNullOrEmpty(severity) ? Severity.Info : Word<Severity>(severityName, severity),
        string.IsNullOrEmpty(kinds) ? null : kinds.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(kind => Word<AlertKind>(kindsName, kind)).ToHashSet());

    public static AlertFilter Of(Subscriptions.SubscriptionRow subscription) => Parse(subscription.Cameras, subscription.MinSeverity.ToString(), subscription.Kinds);

    public bool Fits(string camera, Severity severity, AlertKind kind) =>
        severity >= MinSeverity && (Kinds is null || Kinds.Contains(kind)) && (Cameras is null || CameraPattern.Fits(Cameras, camera));

    private static T Word<T>(string name, string text) where T : struct, Enum =>
        Enum.TryParse<T>(text, ignoreCase: true, out var value) && Enum.IsDefined(value) && !char.IsAsciiDigit(text[0])
            ? value
            : throw new FormatException($"{name} is {text}; expected one of {string.Join(", ", Enum.GetNames<T>().Select(known => known.ToLowerInvariant()))}");
}
