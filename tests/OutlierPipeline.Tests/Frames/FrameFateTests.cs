using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;
using SkiaSharp;

namespace OutlierPipeline.Tests.Frames;

/// <summary>
/// What becomes of every kind of file that was seen in the field: the same with every decoder, the right picture, and never another
/// frame's. Made here; and, where they are beside the
/// repository, the files themselves.
/// </summary>
public sealed class FrameFateTests
{
    private static readonly FrameSize Size = new(96, 160);
    private static readonly string Cases = Path.Combine(Repository.Root, "..", "shared", "cases");

    public static TheoryData<JpegLibrary> Libraries => [JpegLibrary.TurboJpeg, JpegLibrary.Skia];

    /// <summary>Files that lack nothing: each is drawn as the sound one.</summary>
    private static IEnumerable<(string Name, byte[] File)> Harmless()
    {
        byte[] sound = Jpegs.Sound();
        foreach (byte marker in new byte[] { 0xdb, 0xc0, 0xc4, 0xda })
        {
            yield return ($"16 zeros before {marker:X2}", Jpegs.Before(sound, marker, new byte[16]));
            yield return ($"64 other bytes before {marker:X2}",
                Jpegs.Before(sound, marker, [.. Enumerable.Range(1, 64).Select(i => (byte)i)]));
            yield return ($"fill bytes before {marker:X2}", Jpegs.Before(sound, marker, 0xff, 0xff, 0xff));
        }
        yield return ("one stray byte before the scan", Jpegs.Before(sound, 0xda, 7));
        yield return ("a restart marker before the end", [.. sound[..^2], 0xff, 0xd0, 0xff, 0xd9]);
        yield return ("padding before the end", [.. sound[..^2], .. new byte[100], 0xff, 0xd9]);
        yield return ("padding behind the end", [.. sound, .. new byte[100]]);
        yield return ("another file behind the end", [.. sound, .. Jpegs.Sound(5)]);
        yield return ("scan parameters 0/0/0", Jpegs.WithScanParameters(sound, 0, 0, 0));
        yield return ("no end", Jpegs.WithoutEnd(sound));
        yield return ("no end, and padding before the scan", Jpegs.WithoutEnd(Jpegs.Before(sound, 0xda, new byte[16])));
        yield return ("JFIF 2", Jpegs.WithJfifVersion(sound, 2));
        yield return ("everything at once",
            Jpegs.WithoutEnd(Jpegs.WithScanParameters(Jpegs.WithJfifVersion(Jpegs.Before(sound, 0xc4, new byte[9]), 2), 0, 0, 0)));
        yield return ("an EXIF block that says nothing", Jpegs.WithOrientation(sound, 1));
        yield return ("an EXIF block that is nonsense", Jpegs.WithOrientation(sound, 99));
    }

    private static IEnumerable<(string Name, byte[] File, FrameError Error)> Damaged()
    {
        byte[] sound = Jpegs.Sound();
        byte[] padded = Jpegs.Before(sound, 0xda, new byte[16]);
        foreach (double share in new[] { 0.25, 0.5, 0.75, 0.9 })
        {
            yield return ($"cut at {share}", Jpegs.Cut(sound, share), FrameError.Truncated);
            yield return ($"padded, cut at {share}", Jpegs.Cut(padded, share), FrameError.Truncated);
            yield return ($"padded before the tables, cut at {share}", Jpegs.Cut(Jpegs.Before(sound, 0xdb, new byte[64]), share),
                FrameError.Truncated);
            yield return ($"cut at {share} and ended", Jpegs.CutAndEnded(sound, share), FrameError.Truncated);
            yield return ($"padded, cut at {share} and ended", Jpegs.CutAndEnded(padded, share), FrameError.Truncated);
        }
        yield return ("two starts", [0xff, 0xd8, .. sound], FrameError.Corrupt);
        yield return ("a start and nothing", [0xff, 0xd8, 0xff, 0xd9], FrameError.Corrupt);
        yield return ("a start in the middle", [.. Jpegs.Cut(sound, 0.7), .. Jpegs.Sound(3)], FrameError.Corrupt);
        yield return ("left-over data before the end", [.. sound[..^2], .. Enumerable.Range(1, 60).Select(i => (byte)i), 0xff, 0xd9],
            FrameError.Corrupt);
        byte[] lossless = [.. sound];
        lossless[lossless.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xff, 0xc0]) + 1] = 0xc3;
        yield return ("lossless", lossless, FrameError.UnsupportedFormat);
        byte[] deep = [.. sound];
        deep[deep.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xff, 0xc0]) + 4] = 12;
        yield return ("12 bits", deep, FrameError.UnsupportedFormat);
        yield return ("thousands of scans", Jpegs.Costly(8192, 1000), FrameError.TooCostly);
        yield return ("many scans of a smaller picture", Jpegs.Costly(2048, 4000), FrameError.TooCostly);
        yield return ("a map of depths", Grey16(), FrameError.UnsupportedFormat);
    }

    [Theory]
    [MemberData(nameof(Libraries))]
    public void What_costs_no_pixel_is_drawn_as_the_sound_file(JpegLibrary library)
    {
        using var decoder = Decoder(library);
        byte[] expected = Decoded(decoder, Jpegs.Sound());
        foreach (var (name, file) in Harmless())
        {
            byte[] rgb = Poisoned();
            Assert.True(decoder.Decode(file, rgb) is FrameError.None and var error, $"{name}: not drawn");
            Assert.True(rgb.AsSpan().SequenceEqual(expected), $"{name}: another picture");
        }
    }

    [Theory]
    [MemberData(nameof(Libraries))]
    public void Damage_is_never_a_frame_and_says_its_reason(JpegLibrary library)
    {
        using var decoder = Decoder(library);
        foreach (var (name, file, expected) in Damaged())
        {
            var error = decoder.Decode(file, Poisoned());
            Assert.True(error == expected, $"{name}: {error} instead of {expected}");
        }
    }

    [Theory]
    [MemberData(nameof(Libraries))]
    public void No_bytes_put_anywhere_ever_leave_the_picture_before(JpegLibrary library)
    {
        // Whatever a decoder makes of it: either every byte is this frame's, or it is no frame. A slot is poisoned before, so that bytes
        // that nobody wrote are seen.
        using var decoder = Decoder(library);
        byte[] sound = Jpegs.Sound(2);
        byte[] expected = Decoded(decoder, sound);
        // What the decoder drew before, and what its memory holds: nothing like the street.
        byte[] before = Encoded(Corners());
        byte[] stale = Decoded(decoder, before);
        Assert.True(MeanDifference(expected, stale) > 60);
        var random = new Random(4);
        int drawn = 0;
        for (int i = 0; i < 600; i++)
        {
            int at = random.Next(2, i % 2 == 0 ? 700 : sound.Length);
            byte[] stray = new byte[random.Next(1, 20)];
            random.NextBytes(stray);
            byte[] rgb = Poisoned();
            Assert.Equal(FrameError.None, decoder.Decode(before, rgb));
            if (decoder.Decode([.. sound[..at], .. stray, .. sound[at..]], rgb) != FrameError.None) continue;
            drawn++;
            // The colours may be spoilt by the bytes, but the corners' picture is not there any more.
            Assert.True(MeanDifference(rgb, stale) > 20, $"bytes at {at}: the picture before");
        }
        Assert.True(drawn > 5, $"{drawn} of 600 were drawn: the test shows nothing");
        byte[] after = Poisoned();
        Assert.Equal(FrameError.None, decoder.Decode(sound, after));
        Assert.True(after.AsSpan().SequenceEqual(expected));
    }

    [Fact]
    public void Both_decoders_agree_on_damage_within_the_data()
    {
        using var turbo = Decoder(JpegLibrary.TurboJpeg);
        using var skia = Decoder(JpegLibrary.Skia);
        var random = new Random(8);
        byte[][] sounds = [Jpegs.Sound(3), TurboEncoder.Encode(320, 192, progressive: true),
            TurboEncoder.Encode(160, 96, Subsampling.Yuv444), TurboEncoder.Encode(161, 97, Subsampling.Grey)];
        int found = 0;
        var differing = new List<string>();
        for (int i = 0; i < 2000; i++)
        {
            byte[] file = [.. sounds[i % sounds.Length]];
            int begin = file.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xff, 0xda]) + 12;
            for (int flips = random.Next(1, 4); flips > 0; flips--) file[random.Next(begin, file.Length - 2)] = (byte)random.Next(256);
            var (first, second) = (turbo.Decode(file, Poisoned()), skia.Decode(file, Poisoned()));
            if (first != FrameError.None) found++;
            if ((first == FrameError.None) != (second == FrameError.None)) differing.Add($"{i}: {first} and {second}");
        }
        Assert.True(found > 500, $"only {found} of 2000 were found damaged");
        Assert.True(differing.Count == 0, $"{differing.Count} differ: {string.Join("; ", differing.Take(10))}");
    }

    [Theory]
    [MemberData(nameof(Libraries))]
    public void Progressive_pictures_count_as_whole_only_with_every_coefficient(JpegLibrary library)
    {
        byte[] whole = TurboEncoder.Encode(320, 192, progressive: true);
        Assert.Equal(FrameError.None, JpegFile.Read(whole, out var file));
        Assert.True(file.Scans > 4);
        using var decoder = Decoder(library);
        Assert.Equal(FrameError.None, decoder.Decode(whole, Poisoned()));
        for (int scans = 1; scans < file.Scans; scans++)
            Assert.Equal(FrameError.Truncated, decoder.Decode(Jpegs.WithScans(whole, scans), Poisoned()));
        Assert.Equal(FrameError.None, decoder.Decode(Jpegs.WithScans(whole, file.Scans), Poisoned()));
    }

    [Theory]
    [MemberData(nameof(Libraries))]
    public void Motion_JPEG_without_tables_is_drawn(JpegLibrary library)
    {
        byte[] sound = TurboEncoder.Encode(320, 192);
        using var decoder = Decoder(library);
        byte[] expected = Decoded(decoder, sound);
        Assert.True(Decoded(decoder, Jpegs.WithoutTables(sound)).AsSpan().SequenceEqual(expected));
    }

    [Theory]
    [MemberData(nameof(Libraries))]
    public void Colours_of_print_are_drawn(JpegLibrary library)
    {
        using var decoder = Decoder(library);
        byte[] inks = Decoded(decoder, TurboEncoder.Encode(320, 192, Subsampling.Yuv444, cmyk: true));
        using var other = Decoder(JpegLibrary.Skia);
        Assert.InRange(MeanDifference(inks, Decoded(other, TurboEncoder.Encode(320, 192, Subsampling.Yuv444, cmyk: true))), 0, 2);
        Assert.True(inks.Distinct().Count() > 50, "a picture of few values");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void EXIF_orientation_is_honoured_by_every_decoder(bool bigEndian)
    {
        foreach (var library in new[] { JpegLibrary.TurboJpeg, JpegLibrary.Skia })
        {
            using var decoder = Decoder(library);
            for (int orientation = 1; orientation <= 8; orientation++)
            {
                using var upright = Corners();
                using var stored = Stored(upright, orientation);
                using var encoded = stored.Encode(SKEncodedImageFormat.Jpeg, 95);
                byte[] expected = Decoded(decoder, Encoded(upright));
                byte[] actual = Decoded(decoder, Jpegs.WithOrientation(encoded.ToArray(), orientation, bigEndian));
                Assert.InRange(MeanDifference(expected, actual), 0, 2.5);
            }
        }
    }

    [Fact]
    public void Repaired_and_turned_files_do_not_go_to_the_GPUs_decoder()
    {
        byte[] sound = TurboEncoder.Encode(320, 192);
        Assert.True(IsForHardware(sound));
        foreach (byte[] file in new[] { Jpegs.Before(sound, 0xda, new byte[16]), Jpegs.WithScanParameters(sound, 0, 0, 0),
            Jpegs.WithoutEnd(sound), Jpegs.WithJfifVersion(sound, 2), Jpegs.WithOrientation(sound, 6), Jpegs.WithoutTables(sound) })
        {
            Assert.Equal(FrameError.None, JpegFile.Read(file, out _));
            Assert.False(IsForHardware(file));
        }
    }

    [Fact]
    public void A_workers_memory_shrinks_again_after_a_huge_picture()
    {
        using var decoder = new FrameDecoder(Size, new FrameLimits { MaxDecodeTime = TimeSpan.FromMinutes(1) });
        using (var huge = new SKBitmap(5000, 4000))
        {
            using var png = huge.Encode(SKEncodedImageFormat.Png, 0);
            Assert.Equal(FrameError.None, decoder.Decode(png.ToArray(), Poisoned()));
        }
        Assert.True(decoder.Held > 60_000_000);
        // Also where what comes next needs another decoder's memory.
        byte[] small = Jpegs.Sound();
        for (int i = 0; i < 40; i++) Assert.Equal(FrameError.None, decoder.Decode(small, Poisoned()));
        Assert.InRange(decoder.Held, 1, 2_000_000);
    }

    [Theory]
    [MemberData(nameof(Libraries))]
    public void Files_from_the_field_have_the_fate_that_is_written_beside_them(JpegLibrary library)
    {
        Assert.SkipUnless(Directory.Exists(Cases), $"no files from the field here ({Path.Combine("..", "shared", "cases")})");
        (string File, FrameError Error)[] fates =
        [
            ("pad-in-header-stale-pixels/00_fog.jpg", FrameError.None),
            ("pad-in-header-stale-pixels/01_street_16_zero_bytes_before_SOS.jpg", FrameError.None),
            ("pad-in-header-stale-pixels/03_street_16_zero_bytes_before_SOS_again.jpg", FrameError.None),
            ("pad-then-cut/a_pad64_whole.jpg", FrameError.None),
            ("pad-then-cut/b_pad64_cut_at_25pct.jpg", FrameError.Truncated),
            ("pad-then-cut/b_pad64_cut_at_50pct.jpg", FrameError.Truncated),
            ("pad-then-cut/c_nopad_cut_at_25pct.jpg", FrameError.Truncated),
            ("pad-then-cut/c_nopad_cut_at_50pct.jpg", FrameError.Truncated),
            ("pad-then-cut/c_nopad_cut_at_90pct.jpg", FrameError.Truncated),
            ("pad-then-cut/d_pad_before_sos_cut_at_25pct.jpg", FrameError.Truncated),
            ("pad-then-cut/d_pad_before_sos_cut_at_90pct.jpg", FrameError.Truncated),
            ("no-eoi/04_no_eoi.jpg", FrameError.None),
            ("odd-subsampling/24_sub_311.jpg", FrameError.None),
            ("odd-subsampling/24_sub_410.jpg", FrameError.None),
            ("odd-subsampling/24_sub_420odd.jpg", FrameError.None),
            ("odd-subsampling/24_sub_441.jpg", FrameError.None),
            ("costly-jpeg/bomb1k.jpg", FrameError.TooCostly),
        ];
        using var decoder = Decoder(library);
        var differing = fates.Select(fate =>
            (fate.File, fate.Error, Actual: decoder.Decode(File.ReadAllBytes(Path.Combine(Cases, fate.File)), Poisoned()))).Where(fate =>
            fate.Error != fate.Actual);
        Assert.Empty(differing);
        byte[] clean = Decoded(decoder, File.ReadAllBytes(Path.Combine(Cases, "pad-in-header-stale-pixels/02_street_clean.jpg")));
        Assert.Equal(clean,
            Decoded(decoder, File.ReadAllBytes(Path.Combine(Cases, "pad-in-header-stale-pixels/01_street_16_zero_bytes_before_SOS.jpg"))));
    }

    private const byte Poison = 0xa5;

    private static byte[] Poisoned() => [.. Enumerable.Repeat(Poison, Size.Bytes)];

    private static FrameDecoder Decoder(JpegLibrary library)
    {
        Assert.SkipUnless(library == JpegLibrary.Skia
            || TurboJpeg.IsAvailable, "libjpeg-turbo is not on this machine (Debian: libturbojpeg0)");
        return new FrameDecoder(Size, new FrameLimits(), library);
    }

    private static byte[] Decoded(FrameDecoder decoder, byte[] file)
    {
        byte[] rgb = Poisoned();
        Assert.Equal(FrameError.None, decoder.Decode(file, rgb));
        return rgb;
    }

    private static bool IsForHardware(byte[] file) => JpegFile.Read(file, out var read) == FrameError.None && read.IsForHardware;

    /// <summary>Four quarters of different colours.</summary>
    private static SKBitmap Corners()
    {
        var bitmap = new SKBitmap(320, 192);
        using var canvas = new SKCanvas(bitmap);
        SKColor[] colours = [SKColors.Red, SKColors.Lime, SKColors.Blue, SKColors.White];
        for (int i = 0; i < 4; i++)
        {
            using var paint = new SKPaint { Color = colours[i] };
            canvas.DrawRect(160 * (i % 2), 96 * (i / 2), 160, 96, paint);
        }
        return bitmap;
    }

    private static byte[] Encoded(SKBitmap bitmap)
    {
        using var encoded = bitmap.Encode(SKEncodedImageFormat.Jpeg, 95);
        return encoded.ToArray();
    }

    /// <summary>The picture as a camera stores it that says to turn it so: the inverse of what EXIF's number asks for.</summary>
    private static SKBitmap Stored(SKBitmap upright, int orientation)
    {
        bool swaps = orientation >= 5;
        var stored = new SKBitmap(swaps ? upright.Height : upright.Width, swaps ? upright.Width : upright.Height);
        var (w, h) = (upright.Width - 1, upright.Height - 1);
        for (int y = 0; y <= h; y++)
        {
            for (int x = 0; x <= w; x++)
            {
                var (column, row) = orientation switch
                {
                    2 => (w - x, y),
                    3 => (w - x, h - y),
                    4 => (x, h - y),
                    5 => (y, x),
                    6 =>
                    (y, w - x),
                    7 => (h - y, w - x),
                    8 => (h - y, x),
                    _ => (x, y)
                };
                stored.SetPixel(column, row, upright.GetPixel(x, y));
            }
        }
        return stored;
    }

    private static byte[] Grey16()
    {
        byte[] png = Pictures.Encode(SKEncodedImageFormat.Png, 64, 40);
        (png[24], png[25]) = (16, 0);
        return png;
    }

    private static double MeanDifference(byte[] a, byte[] b) => a.Zip(b).Average(pair => Math.Abs(pair.First - pair.Second));
}
