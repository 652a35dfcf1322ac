using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Evaluation;

public sealed class KindTrialTests : IDisposable
{
    private static readonly FrameSize Size = new(48, 80);
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public void A_detector_of_darkness_finds_what_is_darker_and_nothing_else()
    {
        var footage = _rendered.Load(_rendered.Drive("day", 30, seed: 4), Size);
        var dark = FrameDetector.Of("dark", Size.Bytes, 7, frames => [.. frames.Select(frame => -frame.Average(value => (double)value))]);
        var blind = FrameDetector.Of("blind", Size.Bytes, 7, frames => new double[frames.Length]);
        var trial = Run();
        Assert.Equal(["dark", "blind"], trial.Columns);
        Assert.Equal(30, trial.Normal(0).Length);
        Assert.Equal(OutlierKinds.All.Select(kind => kind.Name), trial.Kinds.Select(kind => kind.Name));
        Assert.All(trial.Kinds.SelectMany(kind => kind.Rows), rows => Assert.Equal(10, rows.Length));
        double[][] areas = trial.Areas(0, seed: 1, replicates: 50);
        Assert.True(areas[Index("dusk")][0] > 0.95);
        Assert.True(areas[Index("glare")][0] < 0.05);
        Assert.All(trial.Areas(1, seed: 1, replicates: 50).SelectMany(kind => kind), area => Assert.Equal(0.5, area));
        // A kind of several corruptions is their mean.
        var noise = trial.Kinds[Index("noise")];
        Assert.Equal(3, noise.Rows.Count);
        Assert.Equal(noise.Rows.Average(rows => DetectionMetrics.Auroc(trial.Normal(0), [.. rows.Select(row => row[0])])),
            areas[Index("noise")][0], 1e-12);
        Assert.Equal(areas, Run().Areas(0, seed: 1, replicates: 50));

        KindTrial Run() => KindTrial.Run(footage, [], OutlierKinds.All, [dark, blind], frames: 10, seed: 3,
            TestContext.Current.CancellationToken);

        int Index(string kind) => OutlierKinds.All.Select((candidate, k) => (candidate, k)).Single(pair => pair.candidate.Name == kind).k;
    }

    [Fact]
    public void Frozen_strips_show_what_was_there_five_frames_before_and_leave_the_rest()
    {
        var footage = _rendered.Load(_rendered.Drive("day", 12, seed: 4), Size);
        byte[] drawn = new byte[Size.Bytes];
        OutlierKinds.Draw(OutlierKinds.FrozenStrips, footage, 9, drawn, severity: 3, seed: 1);
        int row = Size.Width * 3;
        var (old, now) = (footage[4], footage[9]);
        for (int y = 0; y < Size.Height; y++)
        {
            bool isFrozen = y is >= 16 and < 20 or >= 36 and < 40;
            Assert.Equal((isFrozen ? old : now)[(y * row)..((y + 1) * row)], drawn[(y * row)..((y + 1) * row)]);
        }
    }
}
