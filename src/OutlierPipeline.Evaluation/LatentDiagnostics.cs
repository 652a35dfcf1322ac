using System.Globalization;
using OutlierPipeline.Footage;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Evaluation;

/// <summary>One figure of a latent space.</summary>
/// <param name="Expected">The threshold in words.</param>
/// <param name="Advice">What the figure means and what to do, in one sentence.</param>
public sealed record LatentDiagnostic(string Name, double Value, string Expected, bool IsGood, string Advice);

/// <summary>The diagnostics of a model on normal frames.</summary>
/// <param name="Information">Where the KL divergence goes; null where the code is a point.</param>
public sealed record LatentReport(IReadOnlyList<LatentDiagnostic> Diagnostics, LatentInformation? Information);

/// <summary>What goes wrong in latent spaces, measured: collapse, spikes, holes, dependence.</summary>
public sealed class LatentDiagnostics(InferenceEngine engine, LatentDecoder decoder)
{
    private const int MaxFrames = 512;
    private const int Pairs = 16;
    private const int Steps = 16;
    private const int Samples = 64;

    /// <summary>A unit whose mean varies less than this says nothing (Burda, Grosse and Salakhutdinov, ICLR 2016).</summary>
    private const double ActiveVariance = 0.01;

    private readonly int _latent = engine.Package.Card.Network.Latent;

    /// <param name="footage">Normal frames that the model was not trained on.</param>
    public LatentReport Measure(DecodedFootage footage, FrameMask? mask, int seed)
    {
        var (means, variances) = Codes(engine, footage, mask);
        int n = means.Length;
        double[] mean = [.. Enumerable.Range(0, _latent).Select(d => means.Average(row => row[d]))];
        double[] spread = [.. Enumerable.Range(0, _latent).Select(d => means.Average(row => (row[d] - mean[d]) * (row[d] - mean[d])))];
        int[] active = [.. Enumerable.Range(0, _latent).Where(d => spread[d] > ActiveVariance)];
        var diagnostics = new List<LatentDiagnostic> { ActiveUnits(active.Length) };
        var information = variances is null ? null : LatentInformation.Measure(means, variances, seed);
        if (information is not null) diagnostics.AddRange(AgainstPrior(information.KlPerDimension, mean, spread, variances!, active));
        diagnostics.Add(Correlation(means, mean, spread, active));
        diagnostics.Add(Continuity(footage, mask, seed));
        if (variances is not null) diagnostics.Add(Completeness(active, seed));
        return new LatentReport(diagnostics, information);
    }

    /// <summary>
    /// Means of at most 512 frames' codes, evenly spread, n rows of Z, and their variances if the code is a distribution.
    /// </summary>
    public static (double[][] Means, double[][]? Variances) Codes(InferenceEngine engine, DecodedFootage footage, FrameMask? mask)
    {
        int n = Math.Min(MaxFrames, footage.Count);
        double[][] means = new double[n][];
        double[][]? variances = engine.HasOutput("latent_log_variance") ? new double[n][] : null;
        for (int i = 0; i < n; i++)
        {
            byte[] frame = footage[(int)((long)i * footage.Count / n)];
            string[] wanted = variances is null ? ["latent"] : ["latent", "latent_log_variance"];
            float[][] outputs = engine.Compute(frame, mask, wanted);
            means[i] = [.. outputs[0].Select(value => (double)value)];
            if (variances is not null) variances[i] = [.. outputs[1].Select(value => Math.Exp(value))];
        }
        return (means, variances);
    }

    private LatentDiagnostic ActiveUnits(int active)
    {
        double share = (double)active / _latent;
        return new("active units", share, "at least 25 %", share >= 0.25, share >= 0.25
            ? string.Create(CultureInfo.InvariantCulture, $"{active} of {_latent} units of the code vary from frame to frame.")
            : string.Create(CultureInfo.InvariantCulture,
            $"Only {active} of {_latent} units of the code vary: train with a smaller --latent, or a lower --beta."));
    }

    private IEnumerable<LatentDiagnostic> AgainstPrior(double[] kl, double[] mean, double[] spread, double[][] variances, int[] active)
    {
        double total = kl.Sum();
        yield return new("KL divergence (nats a frame)", total, "at least 1", total >= 1, total >= 1
            ? "The code carries information about the frame."
            : "The posterior has collapsed to the prior and the decoder ignores the code: lower --beta, raise --free-bits, or train " +
                "longer.");
        double centre = mean.Max(Math.Abs);
        yield return new("aggregate posterior, largest mean", centre, "at most 0.5", centre <= 0.5, centre <= 0.5
            ? "The codes of these frames lie around the prior's centre."
            : "The codes lie off the prior's centre: these frames are unlike the training footage as a whole, or --beta is too low.");
        double[] total2 = [.. Enumerable.Range(0, _latent).Select(d => spread[d] + variances.Average(row => row[d]))];
        double off = total2.MaxBy(value => Math.Abs(Math.Log(value)));
        yield return new("aggregate posterior, variance furthest from 1", off, "0.4 to 2.5", off is >= 0.4
            and <= 2.5, off is >= 0.4 and <= 2.5
            ? "The codes fill the prior."
            : off < 0.4 ? "The codes fill only a part of the prior: samples of it will look like nothing; raise --beta or take more " +
                "varied footage." : "The codes reach beyond the prior: raise --beta, or calibrate on footage like the training's.");
        double deviation = active.Length == 0 ? 1 : Quantiles.Median(active.Select(d => Math.Sqrt(variances.Average(row => row[d]))));
        yield return new("posterior deviation, median of active units", deviation, "0.02 to 0.95", deviation is >= 0.02
            and <= 0.95, deviation switch
            {
                < 0.02 => "The posteriors are spikes, so the model is hardly more than an autoencoder with holes between its " +
                    "codes: raise " +
                    "--beta.",
                > 0.95 => "The posteriors are as wide as the prior, so frames are hardly told apart: lower --beta or train longer.",
                _ => "Frames are told apart, and neighbouring codes overlap.",
            });
    }

    /// <summary>Root mean square of the correlations between different active units.</summary>
    private static LatentDiagnostic Correlation(double[][] means, double[] mean, double[] spread, int[] active)
    {
        double sum = 0;
        int pairs = 0;
        foreach (int a in active)
        {
            foreach (int b in active.Where(b => b < a))
            {
                double correlation = means.Average(row => (row[a] - mean[a]) * (row[b] - mean[b])) / Math.Sqrt(spread[a] * spread[b]);
                sum += correlation * correlation;
                pairs++;
            }
        }
        double rms = pairs == 0 ? 0 : Math.Sqrt(sum / pairs);
        return new("aggregate posterior, off-diagonal correlation", rms, "at most 0.35", rms <= 0.35, rms <= 0.35
            ? "The units of the code vary on their own."
            : "The units of the code vary together: few kinds of frames were seen, or --latent is larger than what there is to tell.");
    }

    /// <summary>Largest change of the picture along an even walk between two codes, in units of the mean change.</summary>
    private LatentDiagnostic Continuity(DecodedFootage footage, FrameMask? mask, int seed)
    {
        var random = new Random(seed);
        double[] jumps = new double[Pairs];
        for (int p = 0; p < Pairs; p++)
        {
            float[] from = engine.Compute(footage[random.Next(footage.Count)], mask, "latent")[0];
            float[] to = engine.Compute(footage[random.Next(footage.Count)], mask, "latent")[0];
            float[] codes = [.. Enumerable.Range(0, Steps + 1).SelectMany(step => from.Zip(to, (a, b) => a + (b - a) * step / Steps))];
            byte[] drawn = decoder.Draw(codes);
            int bytes = drawn.Length / (Steps + 1);
            double[] changes = [.. Enumerable.Range(0, Steps).Select(step =>
                Distance(drawn.AsSpan(step * bytes, bytes), drawn.AsSpan((step + 1) * bytes, bytes)))];
            jumps[p] = changes.Average() > 0 ? changes.Max() / changes.Average() : 1;
        }
        double jump = Quantiles.Median(jumps);
        return new("continuity, largest step of an interpolation", jump, "at most 3 times the mean step", jump <= 3, jump <= 3
            ? "Pictures change evenly on the way from one code to another."
            : "Pictures jump on the way from one code to another: the latent space has cliffs; raise --beta or train longer.");
    }

    /// <summary>
    /// Whether codes drawn from the prior are drawn as pictures that encode back to them: the median cosine over samples.
    /// </summary>
    private LatentDiagnostic Completeness(int[] active, int seed)
    {
        var random = new Random(seed);
        float[] codes = new float[Samples * _latent];
        for (int i = 0; i < codes.Length; i++) codes[i] = (float)CorruptedPicture.Normal(random);
        float[] back = engine.Compute(decoder.Draw(codes), null, "latent")[0];
        double[] cosines = [.. Enumerable.Range(0, Samples).Select(i =>
        {
            double dot = 0;
            double a = 1e-12;
            double b = 1e-12;
            foreach (int d in active)
            {
                double x = codes[i * _latent + d];
                double y = back[i * _latent + d];
                dot += x * y;
                a += x * x;
                b += y * y;
            }
            return dot / Math.Sqrt(a * b);
        })];
        double cosine = Quantiles.Median(cosines);
        return new("completeness, samples that encode back", cosine, "at least 0.5", cosine >= 0.5, cosine >= 0.5
            ? "Samples of the prior are pictures that the encoder understands."
            : "Samples of the prior are pictures that the encoder does not understand: the latent space has holes; raise --beta, lower " +
                "--latent or take more footage.");
    }

    private static double Distance(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
        return Math.Sqrt(sum);
    }
}
