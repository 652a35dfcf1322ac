using System.Globalization;
using System.Text.Json.Nodes;
using OutlierPipeline.Alerts;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.Service.Dashboard;

/// <summary>States and figures in words.</summary>
internal static class Words
{
    /// <summary>Name of the CSS class and word of a tile's state.</summary>
    public static (string Class, string Icon, string Text) Of(CameraTile tile) => tile switch
    {
        { Incident: { } incident } =>
            (Class(incident.Severity), Icon(incident.Severity), $"{Lower(incident.Kind)}, {Lower(incident.Severity)}"),
        { IsSilent: true } => ("silent", "◌", $"no frame for {Duration(TimeSpan.FromSeconds(tile.SilentSeconds))}"),
        { Now.IsShadow: true } => ("shadow", "◐", "shadow: scored, never alerted on"),
        _ => ("normal", "✓", "normal"),
    };

    public static string Class(Severity severity) => Lower(severity);

    public static string Icon(Severity severity) => severity switch
    {
        Severity.Critical => "▲",
        Severity.Warning => "◆",
        _ => "●",
    };

    public static string Lower<T>(T value) where T : struct, Enum => value.ToString().ToLowerInvariant();

    public static string CameraLink(string camera) =>
        $"/cameras/{Uri.EscapeDataString(camera).Replace("%2F", "/", StringComparison.Ordinal)}";

    /// <summary>Address of one of a camera's pictures; another with each tick.</summary>
    public static string Picture(string camera, string picture, long tick) =>
        string.Create(CultureInfo.InvariantCulture, $"/api/cameras/{Uri.EscapeDataString(camera)}/{picture}.jpg?n={tick}");

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);

    /// <summary>A record's time, as it was written where it is none.</summary>
    public static string Time(JsonNode? written) =>
        DateTimeOffset.TryParse(written?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
        ? Time(time) : written?.ToString() ?? "";

    public static string Duration(TimeSpan time) => time switch
    {
        { TotalSeconds: < 90 } => Number(time.TotalSeconds, "0") + " s",
        { TotalMinutes: < 90 } => Number(time.TotalMinutes, "0") + " min",
        { TotalHours: < 48 } => Number(time.TotalHours, "0") + " h",
        _ => Number(time.TotalDays, "0") + " days",
    };

    /// <summary>How long an incident has lasted or lasted.</summary>
    public static string Duration(Incident incident) => Duration((incident.Closed ?? incident.Last) - incident.Opened);

    public static string Number(double value, string format = "0.##") => value.ToString(format, CultureInfo.InvariantCulture);

    public static string Milliseconds(double? seconds) => seconds is { } value ? Number(1000 * value, "0") + " ms" : "–";

    /// <summary>What calibrated a level, after the number of frames.</summary>
    public static string Origin(OutlierPipeline.Models.Calibration calibration) => calibration.Origin switch
    {
        null => "",
        "bootstrap" => ", bootstrap",
        var origin => $", {origin} of {calibration.DeploymentDrives} drives",
    };

    /// <summary>A p-value, its smallness readable.</summary>
    public static string P(double p) => double.IsNaN(p) ? "–" : p.ToString(p >= 0.001 ? "0.000" : "0.0e+0", CultureInfo.InvariantCulture);
}
