using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>Names the cause of a strange frame by the direction in which its discriminants lie from those of normal frames.</summary>
public static class CauseClassifier
{
    /// <summary>The cause of one frame, of which nothing is known but its profile.</summary>
    /// <param name="profile">F values.</param>
    /// <exception cref="ArgumentException">The profile is of another length.</exception>
    public static Cause Classify(CauseModel model, ReadOnlySpan<float> profile)
    {
        float[] place = new float[model.Discriminants];
        model.Project(profile, place);
        return Name(model, place, model.Normal);
    }

    /// <param name="place">Discriminants of the frame, or their mean over some frames, length P.</param>
    /// <param name="normal">Those of normal frames, length P.</param>
    public static Cause Name(CauseModel model, ReadOnlySpan<float> place, ReadOnlySpan<float> normal)
    {
        int causes = model.Causes.Count;
        int discriminants = model.Discriminants;
        double[] cosines = new double[causes];
        double square = 0;
        for (int p = 0; p < discriminants; p++)
        {
            double off = place[p] - normal[p];
            square += off * off;
            for (int k = 0; k < causes; k++) cosines[k] += off * model.Directions[k * discriminants + p];
        }
        int nearest = 0;
        for (int k = 0; k < causes; k++)
        {
            cosines[k] /= Math.Sqrt(square);
            if (cosines[k] > cosines[nearest]) nearest = k;
        }
        // Not finite: of no cause.
        if (!(cosines[nearest] >= model.Bounds[nearest])) return new Cause(Cause.Unknown, 0);
        double sum = 0;
        double same = 0;
        for (int k = 0; k < causes; k++)
        {
            double weight = Math.Exp((cosines[k] - cosines[nearest]) / model.Temperature);
            sum += weight;
            if (model.Causes[k] == model.Causes[nearest]) same += weight;
        }
        return new Cause(model.Causes[nearest], same / sum);
    }
}
