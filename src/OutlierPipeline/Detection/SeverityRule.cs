using OutlierPipeline.Alerts;

namespace OutlierPipeline.Detection;

/// <summary>The table of docs/severity.md.</summary>
public static class SeverityRule
{
    /// <summary>Evidence of a scene or obstruction that counts as gross, as a base-10 logarithm.</summary>
    public const double GrossEvidence = 30;

    /// <summary>How long a gross incident must last to be critical.</summary>
    public static readonly TimeSpan Sustained = TimeSpan.FromSeconds(5);

    /// <param name="kind">The incident's kind.</param>
    /// <param name="evidence">The martingale's base-10 logarithm.</param>
    /// <param name="duration">Since the first frame of the evidence.</param>
    public static Severity Of(AlertKind kind, double evidence, TimeSpan duration) => kind switch
    {
        AlertKind.Drift => Severity.Info,
        AlertKind.Frozen or AlertKind.Dark or AlertKind.Silent or AlertKind.Undecodable =>
            duration >= Sustained ? Severity.Critical : Severity.Warning,
        _ => evidence >= GrossEvidence && duration >= Sustained ? Severity.Critical : Severity.Warning,
    };
}
