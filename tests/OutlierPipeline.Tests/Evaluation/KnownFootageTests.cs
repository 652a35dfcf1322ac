using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Evaluation;

public sealed class KnownFootageTests : IDisposable
{
    private static readonly FrameSize Size = new(48, 80);
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public void A_package_knows_what_a_drive_that_judges_it_had_to_do_with_it()
    {
        string one = _rendered.Drive("one", 12, seed: 1);
        string two = _rendered.Drive("two", 8, seed: 2);
        string three = _rendered.Drive("three", 6, seed: 3);
        var known = new KnownFootage
        {
            Training = KnownFootage.SetOf(_rendered.Load(one + "[..8]", Size)),
            Calibration = KnownFootage.SetOf(_rendered.Load(two + "[..4]", Size)),
        };
        var again = System.Text.Json.JsonSerializer.Deserialize<KnownFootage>(known.ToJson(), ModelCard.Compact)!;
        foreach (var memory in new[] { known, again })
        {
            Assert.Equal(Acquaintance.Trained, Of(memory, one));
            Assert.Equal(Acquaintance.DriveTrained, Of(memory, one + "[8..]"));
            Assert.Equal(Acquaintance.Calibrated, Of(memory, two));
            Assert.Equal(Acquaintance.DriveCalibrated, Of(memory, two + "[4..]"));
            Assert.Equal(Acquaintance.Unseen, Of(memory, three));
        }
        var chosen = again with { Choice = KnownFootage.SetOf(_rendered.Load(three + "[..3]", Size)) };
        Assert.Equal(Acquaintance.Chose, Of(chosen, three));
        Assert.Equal(Acquaintance.Chose, Of(chosen, three + "[3..]"));
        Assert.Equal(Acquaintance.DriveTrained, Of(chosen, one + "[8..]"));
        // Where it lies on this machine does not travel.
        Assert.DoesNotContain(Path.GetDirectoryName(_rendered.Directory)!, System.Text.Encoding.UTF8.GetString(known.ToJson()),
            StringComparison.Ordinal);
    }

    private Acquaintance Of(KnownFootage known, string input)
    {
        var footage = _rendered.Load(input, Size);
        return known.With(footage, footage.Drives[0]);
    }
}
