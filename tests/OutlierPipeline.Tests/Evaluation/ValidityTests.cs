using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Evaluation;

/// <summary>What the shipped model promises of false alarms, on drives that it has not seen.</summary>
public sealed class ValidityTests
{
    private const int Drives = 120;
    private const int FramesPerDrive = 3;

    [Fact]
    public void The_rate_of_small_p_values_is_their_level_on_thinned_frames_and_at_most_twice_it_on_all()
    {
        using var engine = new InferenceEngine(ModelPackage.Load(Repository.StreetDemo), new InferenceOptions(), NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        using var decoder = new FrameDecoder(engine.Package.Card.Network.Size, new FrameLimits());
        double[] p = new double[Drives * FramesPerDrive];
        StreetCamera? camera = null;
        scorer.Score(
            p.Length,
            (i, rgb) =>
            {
                if (i % FramesPerDrive == 0)
                {
                    camera?.Dispose();
                    camera = new StreetCamera(20_000 + i / FramesPerDrive);
                }
                Assert.Equal(FrameError.None, decoder.Decode(camera!.Render(5 + 4 * (i % FramesPerDrive)), rgb));
            },
            mask: null,
            (i, batch, slot) =>
                p[i] = engine.Package.Default.Calibration.PValue(engine.Package.Default.Calibration.Combine(batch.Scores(slot))),
            TestContext.Current.CancellationToken);
        camera?.Dispose();
        double[] thinned = [.. p.Where((_, i) => i % FramesPerDrive == 0)];
        foreach (double level in new[] { 0.1, 0.05, 0.01 })
        {
            // Two deviations and a half of a binomial, since three levels are judged at once.
            double slack = 2.5 * Math.Sqrt(level * (1 - level) / thinned.Length);
            Assert.InRange(thinned.Count(value => value <= level) / (double)thinned.Length, level - slack, level + slack);
            Assert.InRange(p.Count(value => value <= level) / (double)p.Length, 0, 2 * level);
        }
    }
}
