using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Tests.Evaluation;

/// <summary>How sharp pictures are, and how much of that is the frame's.</summary>
public sealed class SharpnessTests
{
    private static readonly FrameSize Size = new(16, 24);

    [Fact]
    public void A_slope_is_as_sharp_as_its_steps_and_a_plain_picture_is_not_at_all()
    {
        // Four levels to the right and none downwards: half of the differences.
        Assert.Equal(8, Sharpness.Of(Grey((x, _) => 4 * x), Size), 1e-9);
        Assert.Equal(8, Sharpness.Of([.. Grey((x, _) => 4 * x), .. Grey((x, _) => 4 * x)], Size), 1e-9);
        Assert.Equal(0, Sharpness.Of(Grey((_, _) => 90), Size));
        Assert.Throws<ArgumentException>(() => Sharpness.Of([], Size));
    }

    [Fact]
    public void What_is_drawn_half_as_steep_follows_by_half_and_noise_is_told_by_the_correlation()
    {
        byte[] frame = Grey((x, y) => 8 * x + 2 * y);
        var half = Sharpness.Followed(Grey((x, y) => 4 * x + y), frame, Size);
        Assert.Equal((0.5, 1), (half.Share, half.Correlation), (a, b) => Math.Abs(a.Item1 - b.Item1) + Math.Abs(a.Item2 - b.Item2) < 1e-9);
        // A checkered noise: far sharper, and hardly any of it is the frame's.
        byte[] noisy = Grey((x, y) => 4 * x + y + ((x + y) % 2 == 0 ? 0 : 60));
        Assert.True(Sharpness.Of(noisy, Size) > 10 * Sharpness.Of(frame, Size));
        var (share, correlation) = Sharpness.Followed(noisy, frame, Size);
        Assert.InRange(share, 0, 1);
        Assert.InRange(correlation, -0.2, 0.2);
        Assert.Throws<ArgumentException>(() => Sharpness.Followed(frame, [.. frame, .. frame], Size));
    }

    private static byte[] Grey(Func<int, int, int> level) => [.. Enumerable.Range(0, Size.Bytes)
        .Select(i => (byte)level(i / 3 % Size.Width, i / 3 / Size.Width))];
}
