using System.Text.RegularExpressions;

namespace OutlierPipeline;

/// <summary>Camera-id patterns as they stand in the configuration: <c>*</c> is any text, <c>?</c> one character.</summary>
internal static class CameraPattern
{
    public static bool Fits(string pattern, string camera) =>
        Regex.IsMatch(camera, "^" + Regex.Escape(pattern).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal) + "$", RegexOptions.Singleline | RegexOptions.CultureInvariant);

    /// <summary>The longest pattern that fits, or null.</summary>
    public static string? Longest(IEnumerable<string> patterns, string camera)
    {
        string? best = null;
        foreach (string pattern in patterns)
        {
            if ((best is null || pattern.Length > best.Length) && Fits(pattern, camera)) best = pattern;
        }
        return best;
    }
}
