using System.Text.Json.Serialization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>How the causes of some frames, or of some incidents, were named.</summary>
/// <param name="Expected">The cause that is right; <c>unknown</c> for kinds that the model has not learned. Null where nobody says.</param>
/// <param name="Count">Frames or incidents.</param>
/// <param name="Named">Share of them by the name they were given.</param>
internal sealed record CauseFigures([property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Expected, int Count,
    SortedDictionary<string, double> Named)
{
    /// <summary>Share with the right name.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Right => Expected is null ? null : Of(Expected);

    /// <summary>Share that is like nothing the model has learned.</summary>
    public double Unknown => Of(Cause.Unknown);

    /// <summary>Share with the name of another cause.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Wrong => Expected is null ? null : Math.Max(0, 1 - Of(Expected) - (Expected == Cause.Unknown ? 0 : Unknown));

    /// <summary>Null where there is nothing to name.</summary>
    public static CauseFigures? Of(string? expected, IReadOnlyCollection<string> names) => names.Count == 0 ? null
        : new CauseFigures(expected, names.Count, new SortedDictionary<string, double>(names.GroupBy(name => name)
            .ToDictionary(group => group.Key, group => group.Count() / (double)names.Count), StringComparer.Ordinal));

    private double Of(string name) => Named.GetValueOrDefault(name);
}

/// <summary>Names single frames as a camera's detector does that knows the normal footage as its own.</summary>
internal sealed class CauseJudge
{
    private readonly CauseModel _model;
    private readonly float[] _place;
    private readonly float[] _normal;

    /// <param name="profiles">Of normal footage, n rows of F.</param>
    public CauseJudge(CauseModel model, float[][] profiles)
    {
        _model = model;
        _place = new float[model.Discriminants];
        _normal = new float[model.Discriminants];
        foreach (float[] profile in profiles)
        {
            model.Project(profile, _place);
            for (int p = 0; p < _normal.Length; p++) _normal[p] += _place[p] / profiles.Length;
        }
    }

    public string Name(ReadOnlySpan<float> profile)
    {
        _model.Project(profile, _place);
        return CauseClassifier.Name(_model, _place, _normal).Name;
    }

    /// <summary>The cause that is right for a kind: unknown for those that the model has not learned.</summary>
    /// <param name="cause">The kind's own; null where it has none.</param>
    public string Expected(string? cause) => cause is not null && _model.Causes.Contains(cause) ? cause : Cause.Unknown;
}
