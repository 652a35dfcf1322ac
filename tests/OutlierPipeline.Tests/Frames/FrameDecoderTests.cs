using CsCheck;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using SkiaSharp;

namespace OutlierPipeline.Tests.Frames;

public sealed class FrameDecoderTests
{
    private static readonly FrameSize Size = new(96, 160);

    [Theory]
    [InlineData(SKEncodedImageFormat.Jpeg)]
    [InlineData(SKEncodedImageFormat.Png)]
    [InlineData(SKEncodedImageFormat.Webp)]
    public void Every_format_decodes_to_about_the_same_picture(SKEncodedImageFormat format)
    {
        byte[] reference = Decode(Pictures.Encode(SKEncodedImageFormat.Png), JpegLibrary.Fastest);
        Assert.InRange(MeanDifference(reference, Decode(Pictures.Encode(format), JpegLibrary.Fastest)), 0, 3);
    }

    [Theory]
    [InlineData(320, 192)]
    [InlineData(1280, 720)]
    [InlineData(641, 479)]
    [InlineData(100, 300)]
    [InlineData(160, 96)]
    [InlineData(31, 17)]
    public void The_two_JPEG_decoders_draw_the_same_picture(int width, int height)
    {
        Assert.SkipUnless(TurboJpeg.IsAvailable, "libjpeg-turbo is not on this machine (Debian: libturbojpeg0)");
        byte[] jpeg = Pictures.Encode(SKEncodedImageFormat.Jpeg, width, height);
        Assert.InRange(MeanDifference(Decode(jpeg, JpegLibrary.TurboJpeg), Decode(jpeg, JpegLibrary.Skia)), 0, 2);
    }

    [Theory]
    [InlineData(JpegLibrary.Fastest)]
    [InlineData(JpegLibrary.Skia)]
    public void A_truncated_picture_is_never_a_frame_and_never_spoils_the_next(JpegLibrary choice)
    {
        using var decoder = new FrameDecoder(Size, new FrameLimits(), choice);
        byte[] rgb = new byte[Size.Bytes];
        foreach (var format in new[] { SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Png, SKEncodedImageFormat.Webp })
        {
            byte[] whole = Pictures.Encode(format);
            for (int length = 1; length < whole.Length * 9 / 10; length += 97)
            {
                Assert.NotEqual(FrameError.None, decoder.Decode(whole.AsSpan(0, length), rgb));
                Assert.Equal(FrameError.None, decoder.Decode(whole, rgb));
            }
        }
    }

    [Fact]
    public void Random_bytes_and_flipped_bits_give_an_error_or_a_picture_and_never_an_exception()
    {
        byte[][] wholes = [Pictures.Encode(SKEncodedImageFormat.Jpeg), Pictures.Encode(SKEncodedImageFormat.Png, 64, 40),
            Pictures.Encode(SKEncodedImageFormat.Webp, 64, 40)];
        var flips = Gen.Select(Gen.Int[0, 2], Gen.Select(Gen.Int[0, 3000], Gen.Byte).Array[1, 20]);
        using var decoder = new FrameDecoder(Size, new FrameLimits());
        byte[] rgb = new byte[Size.Bytes];
        flips.Sample(damage =>
        {
            byte[] encoded = [.. wholes[damage.Item1]];
            foreach (var (at, value) in damage.Item2) encoded[at % encoded.Length] = value;
            lock (decoder) decoder.Decode(encoded, rgb);
        }, iter: 400, threads: 1);
        Gen.Byte.Array[0, 200].Sample(bytes =>
        {
            lock (decoder) Assert.NotEqual(FrameError.None, decoder.Decode(bytes, rgb));
        }, iter: 400, threads: 1);
    }

    [Fact]
    public void Limits_are_checked_on_the_header_before_anything_is_decoded()
    {
        byte[] jpeg = Pictures.Encode(SKEncodedImageFormat.Jpeg);
        // The size in the header is a lie that would take gigabytes; nothing of it is allocated.
        int frame = jpeg.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC0]);
        jpeg[frame + 5] = jpeg[frame + 6] = jpeg[frame + 7] = jpeg[frame + 8] = 0xFF;
        using var decoder = new FrameDecoder(Size, new FrameLimits());
        byte[] rgb = new byte[Size.Bytes];
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(FrameError.TooLarge, decoder.Decode(jpeg, rgb));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
        using var strict = new FrameDecoder(Size, new FrameLimits { MaxBytes = 100 });
        Assert.Equal(FrameError.TooLarge, strict.Decode(Pictures.Encode(SKEncodedImageFormat.Jpeg), rgb));
    }

    [Theory]
    [InlineData(JpegLibrary.Fastest, SKEncodedImageFormat.Jpeg)]
    public void Decoding_a_JPEG_allocates_nothing(JpegLibrary choice, SKEncodedImageFormat format)
    {
        Assert.SkipUnless(TurboJpeg.IsAvailable, "libjpeg-turbo is not on this machine (Debian: libturbojpeg0)");
        using var decoder = new FrameDecoder(Size, new FrameLimits(), choice);
        byte[] encoded = Pictures.Encode(format);
        byte[] rgb = new byte[Size.Bytes];
        for (int i = 0; i < 50; i++) decoder.Decode(encoded, rgb);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) decoder.Decode(encoded, rgb);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void The_picture_is_cropped_in_its_centre_and_never_stretched()
    {
        // Three stripes side by side; twice as wide as the target's aspect ratio asks for, so that the outer ones vanish.
        using var bitmap = new SKBitmap(640, 192);
        using (var canvas = new SKCanvas(bitmap))
        {
            canvas.Clear(SKColors.Red);
            using var paint = new SKPaint { Color = SKColors.Lime };
            canvas.DrawRect(160, 0, 320, 192, paint);
        }
        using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        byte[] rgb = Decode(png.ToArray(), JpegLibrary.Fastest);
        for (int i = 0; i < rgb.Length; i += 3) Assert.Equal((0, 255, 0), (rgb[i], rgb[i + 1], rgb[i + 2]));
    }

    [Fact]
    public void Scaling_gives_these_bits_on_every_machine()
    {
        // A picture of arithmetic alone: whoever changes the scaler changes what every calibration was made of.
        byte[] pixels = new byte[200 * 120 * 3];
        for (int i = 0; i < pixels.Length; i++) pixels[i] = (byte)(i * 31 ^ i >> 5);
        byte[] rgb = new byte[Size.Bytes];
        new AreaScaler(Size).Scale(new DecodedPicture(pixels, 200, 120, 3), rgb);
        Assert.Equal("sha256:" + ScaledDigest, ModelPackage.DigestOf(rgb));
    }

    private const string ScaledDigest = "bac6f726e55fdfa4a109782ca00c4242840f1016b24c22f67e384dc3c36a63b1";

    private static byte[] Decode(byte[] encoded, JpegLibrary choice)
    {
        using var decoder = new FrameDecoder(Size, new FrameLimits(), choice);
        byte[] rgb = new byte[Size.Bytes];
        Assert.Equal(FrameError.None, decoder.Decode(encoded, rgb));
        return rgb;
    }

    private static double MeanDifference(byte[] a, byte[] b) => a.Zip(b).Average(pair => Math.Abs(pair.First - pair.Second));
}
