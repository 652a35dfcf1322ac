using OutlierPipeline.Models;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Features;

/// <summary>The profile of one frame that causes are learned from.</summary>
/// <param name="Cause">Null for a normal frame.</param>
/// <param name="IsStrong">Whether the picture is badly corrupted: some causes look another way then, and are a second class.</param>
/// <param name="Frame">The normal frame that was corrupted, counted in time order.</param>
internal readonly record struct CauseSample(float[] Profile, string? Cause, bool IsStrong, int Frame);

/// <summary>
/// Fits a <see cref="CauseModel"/>: linear discriminants of classes, the direction from the normal frames to each class, and how small
/// an angle to that direction a cause asks for.
/// </summary>
/// <remarks>
/// Discriminants after Rao, The utilization of multiple measurements in problems of biological classification, 1948. A direction, since
/// a corruption that grows moves a profile along one; an angle, since it is about the same on another road.
/// </remarks>
internal static class CauseFit
{
    /// <summary>Share of the covariance that is its diagonal alone.</summary>
    private const double Shrinkage = 0.5;

    /// <summary>The smallest cosine that is asked for.</summary>
    private const double Floor = 0.5;

    /// <summary>Cosines between this and its own largest are tried.</summary>
    private const double LargestLoss = 0.6;

    /// <summary>A frame that gets the name of a cause that it does not have, against one that is not given the name it has.</summary>
    private const double ForeignWeight = 0.5;

    /// <summary>Stretches of time that are left out by turns.</summary>
    private const int Folds = 5;

    private static readonly double[] Temperatures = [0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3];

    public static CauseModel Fit(IReadOnlyList<CauseSample> samples) => Uncollected.Run(() =>
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var profiles = tensor(samples.SelectMany(sample => sample.Profile).ToArray(), [samples.Count, samples[0].Profile.Length])
            .to(float64);
        string[] causes = [.. samples.Select(sample => sample.Cause).OfType<string>().Distinct().Order(StringComparer.Ordinal)];
        var (own, foreign, temperature) = LeaveOut(samples, profiles, causes);
        var bounds = causes.ToDictionary(cause => cause, cause => Bound(own[cause], foreign.Where(frame => frame.Named == cause)
            .GroupBy(frame => frame.Cause).Select(group => (group.Select(frame => frame.Cosine).ToArray(),
            samples.Count(sample => sample.Cause == group.Key)))));
        var space = Space.Of(samples, profiles, _ => true);
        return new CauseModel
        {
            Causes = space.Causes,
            Projection = Values(space.Projection.t()),
            Normal = Values(space.Normal),
            Directions = Values(space.Directions),
            Bounds = [.. space.Causes.Select(cause => (float)bounds[cause])],
            Temperature = temperature,
        };
    });

    /// <summary>
    /// The cosines of frames whose stretch of time was left out to the direction of their own cause (-1 where another's is nearer); the
    /// name that frames get whose cause was left out, or that are normal, and their cosine to it; and the temperature at which the
    /// probabilities of the first are the most likely.
    /// </summary>
    private static (Dictionary<string, List<double>> Own, List<(string? Cause, string Named, double Cosine)> Foreign, double Temperature)
        LeaveOut(IReadOnlyList<CauseSample> samples, Tensor profiles, string[] causes)
    {
        var own = causes.ToDictionary(cause => cause, _ => new List<double>());
        var foreign = new List<(string?, string, double)>();
        double[] losses = new double[Temperatures.Length];
        int frames = samples.Max(sample => sample.Frame) + 1;
        for (int fold = 0; fold < Folds; fold++)
        {
            int from = fold * frames / Folds;
            int to = (fold + 1) * frames / Folds;
            bool IsLeftOut(int i) => samples[i].Frame >= from && samples[i].Frame < to;
            var space = Space.Of(samples, profiles, i => !IsLeftOut(i));
            foreach (var (i, cosines) in space.Cosines(profiles, [.. Enumerable.Range(0, samples.Count).Where(IsLeftOut)]))
            {
                int nearest = Array.IndexOf(cosines, cosines.Max());
                if (samples[i].Cause is not { } cause)
                {
                    foreign.Add((null, space.Causes[nearest], cosines[nearest]));
                    continue;
                }
                own[cause].Add(space.Causes[nearest] == cause ? cosines[nearest] : -1);
                for (int t = 0; t < losses.Length; t++) losses[t] += Loss(space.Causes, cosines, cause, Temperatures[t]);
            }
        }
        foreach (string cause in causes)
        {
            var space = Space.Of(samples, profiles, i => samples[i].Cause != cause);
            int[] left = [.. Enumerable.Range(0, samples.Count).Where(i => samples[i].Cause == cause)];
            foreach (var (_, cosines) in space.Cosines(profiles, left))
            {
                int nearest = Array.IndexOf(cosines, cosines.Max());
                foreign.Add((cause, space.Causes[nearest], cosines[nearest]));
            }
        }
        return (own, foreign, Temperatures[Array.IndexOf(losses, losses.Min())]);
    }

    /// <summary>The cosine that a cause asks for: the one that errs least on what was left out.</summary>
    /// <param name="own">Cosines of the cause's own frames.</param>
    /// <param name="foreign">Those of the frames of each other cause that would be named so, and how many frames that cause has.</param>
    private static double Bound(List<double> own, IEnumerable<(double[] Cosines, int Of)> foreign)
    {
        var others = foreign.ToArray();
        double[] sorted = [.. own.Where(cosine => cosine > Floor).Order()];
        return Enumerable.Range(0, 1 + (int)(LargestLoss * sorted.Length)).Select(i => i == 0 ? Floor : sorted[i - 1]).MinBy(bound =>
            own.Count(cosine => cosine < bound) / (double)own.Count
            + ForeignWeight * others.Sum(other => other.Cosines.Count(cosine => cosine >= bound) / (double)other.Of));
    }

    /// <summary>Negative log-probability of the right cause.</summary>
    private static double Loss(string[] causes, double[] cosines, string cause, double temperature)
    {
        double[] weights = [.. cosines.Select(cosine => Math.Exp((cosine - 1) / temperature))];
        double right = weights.Where((_, k) => causes[k] == cause).Sum();
        return -Math.Log(Math.Max(1e-12, right / weights.Sum()));
    }

    private static float[] Values(Tensor tensor) => tensor.to(float32).contiguous().data<float>().ToArray();

    /// <summary>Discriminants of some frames, and where classes lie in them.</summary>
    /// <param name="Projection"><c>[F, P]</c>.</param>
    /// <param name="Normal">Discriminants of the mean normal frame, <c>[P]</c>.</param>
    /// <param name="Directions">From there to each class, of length 1, <c>[K, P]</c>.</param>
    /// <param name="Causes">Their causes, K.</param>
    private sealed record Space(Tensor Projection, Tensor Normal, Tensor Directions, string[] Causes)
    {
        public static Space Of(IReadOnlyList<CauseSample> samples, Tensor profiles, Func<int, bool> wanted)
        {
            int[] rows = [.. Enumerable.Range(0, samples.Count).Where(wanted)];
            // The normal frames first.
            var classes = rows.Select(i => (samples[i].Cause, samples[i].IsStrong)).Distinct()
                .OrderBy(entry => entry.Cause, StringComparer.Ordinal).ThenBy(entry => entry.IsStrong).ToList();
            var x = profiles.index_select(0, tensor(rows.Select(i => (long)i).ToArray()));
            var labels = tensor(rows.Select(i => (long)classes.IndexOf((samples[i].Cause, samples[i].IsStrong))).ToArray());
            var member = nn.functional.one_hot(labels, classes.Count).to(float64);
            var means = member.t().matmul(x) / member.sum([0L]).unsqueeze(1);
            var within = x - member.matmul(means);
            var sample = within.t().matmul(within) / rows.Length;
            var diagonal = sample.diag().diag();
            var covariance = sample * (1 - Shrinkage) + diagonal * Shrinkage + eye(x.shape[1], dtype: float64) * 1e-6;
            var whitening = linalg.inv(linalg.cholesky(covariance)).t();
            var white = means.matmul(whitening);
            var (_, _, axes) = linalg.svd(white - white.mean([0L]), fullMatrices: false);
            var projection = whitening.matmul(axes.narrow(0, 0, classes.Count - 1).t());
            var places = means.matmul(projection);
            var directions = places.narrow(0, 1, classes.Count - 1) - places[0];
            return new Space(projection, places[0], directions / directions.pow(2).sum([1L], keepdim: true).sqrt(),
                [.. classes.Skip(1).Select(entry => entry.Cause!)]);
        }

        /// <summary>Each row's cosines to the K directions.</summary>
        public IEnumerable<(int Row, double[] Cosines)> Cosines(Tensor profiles, int[] rows)
        {
            var off = profiles.index_select(0, tensor(rows.Select(i => (long)i).ToArray())).matmul(Projection) - Normal;
            var cosines = (off / off.pow(2).sum([1L], keepdim: true).sqrt()).matmul(Directions.t());
            double[] values = cosines.contiguous().data<double>().ToArray();
            return rows.Zip(values.Chunk(Causes.Length));
        }
    }
}
