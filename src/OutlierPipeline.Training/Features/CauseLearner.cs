using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Models;

namespace OutlierPipeline.Training.Features;

/// <summary>Shows the network normal frames that <see cref="CorruptionSuite"/> has corrupted, so that alerts can name causes.</summary>
internal static class CauseLearner
{
    /// <summary>Normal frames that are corrupted, evenly spread: each in 57 ways.</summary>
    public const int DefaultFrames = 60;

    private const int FirstSeverity = 2;

    /// <summary>From this severity on a cause is a class of its own.</summary>
    private const int StrongSeverity = 4;

    /// <param name="maxFrames">That are corrupted.</param>
    /// <param name="without">A cause that is not learned; for tests.</param>
    public static CauseModel Learn(DecodedFootage footage, FeatureExporter exporter, FeatureRunner runner, int seed,
        CancellationToken cancellation, int maxFrames = DefaultFrames, string? without = null)
    {
        var kinds = CorruptionSuite.All.Where(corruption => corruption.Cause is { } cause && cause != without)
            .SelectMany(corruption => Enumerable.Range(FirstSeverity, Corruption.Severities - FirstSeverity + 1).Select(severity =>
            (Corruption: corruption, Severity: severity))).ToArray();
        int frames = Math.Min(maxFrames, footage.Count);
        var samples = new List<CauseSample>();
        for (int frame = 0; frame < frames; frame++)
        {
            cancellation.ThrowIfCancellationRequested();
            byte[] normal = footage[(int)((long)frame * footage.Count / frames)];
            byte[][] pictures = new byte[kinds.Length + 1][];
            pictures[^1] = normal;
            Parallel.For(0, kinds.Length, k =>
            {
                pictures[k] = [.. normal];
                // Dirt lies elsewhere on every picture, and another channel is cast.
                int draw = (int)Seeds.Of(seed, (long)frame * kinds.Length + k);
                kinds[k].Corruption.Apply(pictures[k], footage.Size, kinds[k].Severity, draw, frame);
            });
            var profiles = exporter.Profiles(runner, pictures);
            samples.AddRange(profiles.Select((profile, k) => k < kinds.Length
                ? new CauseSample(profile, kinds[k].Corruption.Cause, kinds[k].Severity >= StrongSeverity, frame)
                : new CauseSample(profile, null, false, frame)));
        }
        return CauseFit.Fit(samples);
    }
}
