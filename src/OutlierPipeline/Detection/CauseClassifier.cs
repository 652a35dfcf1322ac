using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>What a strange frame looks like.</summary>
/// <param name="Name">A cause, or <see cref="CauseClassifier.Unknown"/>.</param>
/// <param name="Probability">Among the causes that are known; 0 for an unknown one.</param>
public readonly record struct Cause(string Name, double Probability);

/// <summary>Names the cause of a strange frame by its profile.</summary>
public static class CauseClassifier
{
    /// <summary>The frame is like none of the causes that were learned.</summary>
    public const string Unknown = "unknown";

    /// <param name="profile">F values.</param>
    /// <exception cref="ArgumentException">The profile is of another length.</exception>
    public static Cause Classify(CauseModel model, ReadOnlySpan<float> profile)
    {
        if (profile.Length != model.Centre.Length)
            throw new ArgumentException($"{profile.Length} values, the causes were learned of {model.Centre.Length}", nameof(profile));
        int causes = model.Causes.Count;
        int discriminants = model.Means.Length / causes;
        double[] place = new double[discriminants];
        for (int i = 0; i < profile.Length; i++)
        {
            double centred = profile[i] - model.Centre[i];
            for (int p = 0; p < discriminants; p++) place[p] += centred * model.Projection[i * discriminants + p];
        }
        double[] distances = new double[causes];
        int nearest = 0;
        for (int k = 0; k < causes; k++)
        {
            for (int p = 0; p < discriminants; p++)
            {
                double off = place[p] - model.Means[k * discriminants + p];
                distances[k] += off * off;
            }
            if (distances[k] < distances[nearest]) nearest = k;
        }
        // Not finite: of no cause.
        if (!(distances[nearest] / discriminants / model.Spreads[nearest] <= model.Bound)) return new Cause(Unknown, 0);
        double sum = 0;
        foreach (double distance in distances) sum += Math.Exp((distances[nearest] - distance) / (2 * model.Temperature));
        return new Cause(model.Causes[nearest], 1 / sum);
    }
}
