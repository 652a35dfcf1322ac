using System.Globalization;
using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Frames;

/// <summary>What decoding costs is estimated before it is spent.</summary>
public sealed class DecodeCostTests
{
    private static readonly FrameLimits Limits = new();

    [Theory]
    [InlineData(JpegLibrary.TurboJpeg, 96, 160)]
    [InlineData(JpegLibrary.Skia, 96, 160)]
    [InlineData(JpegLibrary.TurboJpeg, 1024, 2048)]
    public void No_picture_that_is_accepted_takes_more_than_twice_the_limit_of_a_core(JpegLibrary library, int height, int width)
    {
        Assert.SkipUnless(library == JpegLibrary.Skia
            || TurboJpeg.IsAvailable, "libjpeg-turbo is not on this machine (Debian: libturbojpeg0)");
        var size = new FrameSize(height, width);
        using var decoder = new FrameDecoder(size, Limits, library);
        byte[] rgb = new byte[size.Bytes];
        var lines = new List<string>();
        var slow = new List<string>();
        int refused = 0;
        foreach (var (name, file) in SlowPictures.All)
        {
            var error = FrameError.None;
            var took = Least(() => error = decoder.Decode(file, rgb));
            if (error is FrameError.TooCostly or FrameError.TooLarge) refused++;
            _ = ImageHeader.Read(file, Limits with { MaxDecodeTime = TimeSpan.MaxValue }, out var header);
            lines.Add(string.Create(CultureInfo.InvariantCulture,
                $"{name}: {error}, {took.TotalMilliseconds:0.0} ms, estimated {header.Cost.TotalMilliseconds:0.0}"));
            // What is refused costs next to nothing; what is accepted, twice the limit at most.
            var most = error is FrameError.TooCostly or FrameError.TooLarge ? Limits.MaxDecodeTime / 2 : 2 * Limits.MaxDecodeTime;
            if (took > most) slow.Add(lines[^1]);
        }
        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(Environment.NewLine, lines));
        Assert.True(slow.Count == 0, string.Join(Environment.NewLine, slow));
        Assert.True(refused >= 5, $"only {refused} were refused: nothing costly was among them");
    }

    [Theory]
    [InlineData(JpegLibrary.TurboJpeg)]
    [InlineData(JpegLibrary.Skia)]
    public void Nor_does_any_that_chance_has_changed(JpegLibrary library)
    {
        Assert.SkipUnless(library == JpegLibrary.Skia
            || TurboJpeg.IsAvailable, "libjpeg-turbo is not on this machine (Debian: libturbojpeg0)");
        var size = new FrameSize(96, 160);
        using var decoder = new FrameDecoder(size, Limits, library);
        byte[] rgb = new byte[size.Bytes];
        var random = new Random(11);
        var sources = SlowPictures.All.Where(picture => picture.File.Length < 400_000).ToArray();
        for (int i = 0; i < 1500; i++)
        {
            var (name, sound) = sources[i % sources.Length];
            byte[] file = [.. sound];
            // Mostly where sizes, tables and scans are written.
            for (int changes = random.Next(1, 6); changes > 0; changes--)
                file[random.Next(random.Next(3) == 0 ? file.Length : Math.Min(file.Length, 700))] = (byte)random.Next(256);
            var took = Least(() => decoder.Decode(file, rgb));
            Assert.True(took <= 2 * Limits.MaxDecodeTime, $"{name}, changed by seed 11 in round {i}: {took.TotalMilliseconds:0} ms");
        }
    }

    /// <summary>
    /// Time on a core, the least of three where it is long: a thread that shares its core with another program's takes twice as much.
    /// </summary>
    private static TimeSpan Least(Action decode)
    {
        var least = ThreadTime.Of(decode);
        for (int again = 0; again < 2 && least > Limits.MaxDecodeTime / 2; again++)
            least = TimeSpan.FromTicks(Math.Min(least.Ticks, ThreadTime.Of(decode).Ticks));
        return least;
    }

    [Fact]
    public void What_cameras_send_is_accepted()
    {
        // 4K of noise at the best quality is more than any camera sends; progressive and PNG as well.
        foreach (byte[] file in new[] { TurboEncoder.EncodeNoise(1920, 1080, Subsampling.Yuv420, false), TurboEncoder.Encode(3840, 2160),
            TurboEncoder.Encode(3840, 2160, progressive: true), Pictures.Encode(SkiaSharp.SKEncodedImageFormat.Png, 3840, 2160),
            Pictures.Encode(SkiaSharp.SKEncodedImageFormat.Webp, 1920, 1080) })
            Assert.Equal(FrameError.None, ImageHeader.Read(file, Limits, out _));
    }
}
