using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Evaluation;

public sealed class SceneMemoryTests
{
    private static readonly FrameSize Size = new(96, 160);

    [Fact]
    public void A_moving_street_is_new_with_every_second_and_one_that_stands_is_not()
    {
        Assert.Equal(20, News(null, [.. Street(20, i => i)]));
        Assert.Equal(1, News(null, [.. Street(20, _ => 5)]));
        // Stop and go: what was seen before the stop is known after it.
        Assert.Equal(4, News(null, [.. Street(40, i => i / 10)]));
        Assert.Equal(3, News(null, [.. Street(30, i => i % 3)]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(6)]
    public void Noise_and_an_encoders_rounding_are_nothing_new(int deviation)
    {
        var random = new Random(1);
        byte[] frame = Street(1, _ => 5).Single();
        Assert.Equal(1,
            News(null, [.. Enumerable.Range(0, 50).Select(_ =>
            frame.Select(value => (byte)Math.Clamp(value + deviation * Normal(random), 0, 255)).ToArray())]));
    }

    [Fact]
    public void A_clock_in_the_picture_is_nothing_new_where_the_mask_leaves_it_out()
    {
        byte[] frame = Street(1, _ => 5).Single();
        byte[][] clocks = [.. Enumerable.Range(0, 10).Select(i =>
        {
            byte[] clock = [.. frame];
            for (int y = 0; y < 12; y++) clock.AsSpan(y * Size.Width * 3, 120).Fill((byte)(25 * i));
            return clock;
        })];
        byte[] mask = new byte[Size.Height * Size.Width];
        Array.Fill(mask, (byte)1, 12 * Size.Width, (Size.Height - 12) * Size.Width);
        Assert.Equal(10, News(null, clocks));
        Assert.Equal(1, News(new FrameMask(Size, mask), clocks));
    }

    private static int News(FrameMask? mask, byte[][] frames)
    {
        var memory = new SceneMemory(Size, mask);
        return frames.Count(frame => memory.IsNew(frame));
    }

    private static IEnumerable<byte[]> Street(int count, Func<int, double> seconds)
    {
        using var camera = new StreetCamera(7);
        using var decoder = new FrameDecoder(Size, new FrameLimits());
        for (int i = 0; i < count; i++)
        {
            byte[] rgb = new byte[Size.Bytes];
            Assert.Equal(FrameError.None, decoder.Decode(camera.Render(seconds(i)), rgb));
            yield return rgb;
        }
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
