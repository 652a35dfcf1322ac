using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Evaluation;

public sealed class CorruptionTests
{
    private static readonly FrameSize Size = new(96, 160);
    private static readonly byte[] Picture = Decoded();

    public static TheoryData<string> Names =>
        [.. CorruptionSuite.All.Where(corruption => !corruption.IsFrozen).Select(corruption => corruption.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_corruption_grows_with_its_severity_and_is_the_same_for_a_seed(string name)
    {
        var corruption = CorruptionSuite.All.Single(corruption => corruption.Name == name);
        double before = 0;
        for (int severity = 1; severity <= 5; severity++)
        {
            double change = Enumerable.Range(0, 4).Average(index => Difference(Corrupted(corruption, severity, 1, index)));
            Assert.True(change > before, $"severity {severity} changes the picture by {change}, the one below by {before}");
            before = change;
        }
        Assert.Equal(Corrupted(corruption, 3, 1, 2), Corrupted(corruption, 3, 1, 2));
        Assert.True(before < 40000, "nothing is left of the picture");
    }

    [Theory]
    [InlineData("lens-dirt", true)]
    [InlineData("dead-rows", true)]
    [InlineData("colour-cast", true)]
    [InlineData("gaussian-noise", false)]
    [InlineData("rain", false)]
    [InlineData("obstacle", false)]
    public void Dirt_stays_from_frame_to_frame_and_noise_does_not(string name, bool stays)
    {
        var corruption = CorruptionSuite.All.Single(corruption => corruption.Name == name);
        Assert.Equal(stays, Corrupted(corruption, 3, 1, 0).AsSpan().SequenceEqual(Corrupted(corruption, 3, 1, 1)));
        Assert.False(Corrupted(corruption, 5, 1, 0).AsSpan().SequenceEqual(Corrupted(corruption, 5, 4, 0)),
            "another seed, the same corruption");
    }

    [Fact]
    public void An_obstacle_has_the_size_that_its_severity_says_and_its_mask_says_where()
    {
        var obstacle = CorruptionSuite.All.Single(corruption => corruption.HasMask);
        byte[] rgb = [.. Picture];
        byte[] mask = obstacle.Apply(rgb, Size, 3, seed: 1, index: 7);
        Assert.Equal(20 * 20, mask.Count(value => value != 0));
        for (int i = 0; i < mask.Length; i++)
        {
            if (mask[i] == 0) Assert.True(rgb.AsSpan(i * 3, 3).SequenceEqual(Picture.AsSpan(i * 3, 3)));
        }
    }

    private static byte[] Corrupted(Corruption corruption, int severity, int seed, int index)
    {
        byte[] rgb = [.. Picture];
        corruption.Apply(rgb, Size, severity, seed, index);
        return rgb;
    }

    private static double Difference(byte[] rgb) => rgb.Zip(Picture, (a, b) => (double)(a - b) * (a - b)).Average();

    private static byte[] Decoded()
    {
        using var decoder = new FrameDecoder(Size, new FrameLimits());
        byte[] rgb = new byte[Size.Bytes];
        Assert.Equal(FrameError.None, decoder.Decode(Pictures.Encode(SkiaSharp.SKEncodedImageFormat.Png), rgb));
        return rgb;
    }
}
