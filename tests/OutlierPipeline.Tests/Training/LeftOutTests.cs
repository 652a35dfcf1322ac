using OutlierPipeline.Footage;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Features;

namespace OutlierPipeline.Tests.Training;

public sealed class LeftOutTests
{
    [Fact]
    public void Drives_are_left_out_as_a_whole_in_two_groups_of_about_as_many_frames()
    {
        var (folds, isByDrive) = LeftOut.FoldsOf([new("a", 0, 100), new("b", 100, 40), new("c", 140, 90), new("d", 230, 60)]);
        Assert.True(isByDrive);
        Assert.Equal([["a", "b"], ["c", "d"]], folds.Select(fold => fold.Select(span => span.Name).ToArray()));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(10)]
    public void Of_one_drive_or_nearly_the_halves_are_left_out_and_what_lies_between_them_is_neither(int other)
    {
        DriveSpan[] drives = other == 0 ? [new("a", 0, 200)] : [new("a", 0, 200), new("b", 200, other)];
        var (folds, isByDrive) = LeftOut.FoldsOf(drives);
        Assert.False(isByDrive);
        Assert.Equal(new DriveSpan("a", 0, 90), folds[0][0]);
        Assert.Equal(new DriveSpan("a", 110, 90), folds[1][0]);
    }

    [Fact]
    public void Ranks_among_left_out_footage_are_cautious_and_change_no_score()
    {
        float[][] own = [.. Enumerable.Range(0, 100).Select(i => (float[])[i / 100f])];
        float[][] others = [.. Enumerable.Range(0, 100).Select(i => (float[])[2 + i / 100f])];
        var calibration = Calibration.Fit(["a"], ["a"], own);
        var cautious = Calibration.Parse(calibration.WithLeftOut(others, [100]).ToJson());
        Assert.True(cautious.IsBootstrap);
        Assert.False(calibration.IsBootstrap);
        Assert.Equal(calibration.Combine([1.5f]), cautious.Combine([1.5f]));
        double combined = calibration.Combine([1.5f]);
        Assert.True(calibration.PValue(combined) < 0.5);
        Assert.InRange(cautious.PValue(combined), 0.5, 0.7);
        Assert.False(cautious.Refit(own, [100]).IsBootstrap);
    }
}
