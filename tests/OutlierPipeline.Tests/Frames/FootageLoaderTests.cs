using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using SkiaSharp;

namespace OutlierPipeline.Tests.Frames;

public sealed class FootageLoaderTests : IDisposable
{
    private static readonly FrameSize Size = new(48, 80);
    private readonly RenderedFootage _rendered = new();
    private readonly List<string> _unreadable = [];

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public async Task A_picture_in_a_hundred_that_cannot_be_read_is_named_and_passed_over()
    {
        string drive = _rendered.Drive("drive", 120, 1);
        await File.WriteAllTextAsync(Path.Combine(drive, "00050x.jpg"), "no picture", TestContext.Current.CancellationToken);
        using var footage = await LoadAsync(drive);
        Assert.Equal(120, footage.Count);
        Assert.Contains("00050x.jpg", Assert.Single(_unreadable), StringComparison.Ordinal);
        Assert.EndsWith("00051.jpg", footage.NameOf(51), StringComparison.Ordinal);
    }

    [Fact]
    public async Task More_than_one_in_a_hundred_stops_the_run_with_their_number()
    {
        string drive = _rendered.Drive("drive", 30, 1);
        await File.WriteAllTextAsync(Path.Combine(drive, "bad.jpg"), "no picture", TestContext.Current.CancellationToken);
        var stopped = await Assert.ThrowsAsync<FootageException>(() => LoadAsync(drive));
        Assert.Contains("1 of 31", stopped.Message, StringComparison.Ordinal);
        Assert.Contains("bad.jpg", stopped.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pictures_of_two_shapes_in_one_drive_stop_the_run_and_of_two_sizes_do_not()
    {
        string drive = _rendered.Drive("drive", 10, 1);
        await File.WriteAllBytesAsync(Path.Combine(drive, "half.png"), Pictures.Encode(SKEncodedImageFormat.Png, 160, 96),
            TestContext.Current.CancellationToken);
        using (var footage = await LoadAsync(drive)) Assert.Equal(11, footage.Count);
        await File.WriteAllBytesAsync(Path.Combine(drive, "square.png"), Pictures.Encode(SKEncodedImageFormat.Png, 100, 100),
            TestContext.Current.CancellationToken);
        var stopped = await Assert.ThrowsAsync<FootageException>(() => LoadAsync(drive));
        Assert.Contains("100×100", stopped.Message, StringComparison.Ordinal);
        Assert.Contains("320×192", stopped.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Frames_of_one_drive_may_differ_by_a_few_pixels()
    {
        string drive = _rendered.Drive("drive", 3, 1);
        foreach (var (width, height) in new[] { (322, 192), (320, 193), (318, 191), (1279, 767) })
            await File.WriteAllBytesAsync(Path.Combine(drive, $"{width}x{height}.png"),
                Pictures.Encode(SKEncodedImageFormat.Png, width, height), TestContext.Current.CancellationToken);
        using var footage = await LoadAsync(drive);
        Assert.Equal(7, footage.Count);
        Assert.Single(footage.Drives);
        Assert.Empty(_unreadable);
    }

    [Fact]
    public async Task What_macOS_leaves_beside_each_frame_does_not_stop_the_run()
    {
        string drive = _rendered.Drive("drive", 10, 1);
        for (int i = 0; i < 10; i++)
            await File.WriteAllTextAsync(Path.Combine(drive, $"._{i:00000}.jpg"), "Mac OS X", TestContext.Current.CancellationToken);
        using var footage = await LoadAsync(drive);
        Assert.Equal(10, footage.Count);
        Assert.Empty(_unreadable);
    }

    [Fact]
    public async Task An_empty_directory_and_one_without_readable_pictures_are_said()
    {
        string empty = Directory.CreateDirectory(Path.Combine(_rendered.Directory, "empty")).FullName;
        Assert.Contains("no pictures", (await Assert.ThrowsAsync<FootageException>(() => LoadAsync(empty))).Message,
            StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(empty, "a.jpg"), "text", TestContext.Current.CancellationToken);
        Assert.Contains("no picture that can be read", (await Assert.ThrowsAsync<FootageException>(() => LoadAsync(empty))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Frames_are_those_that_the_services_decoder_makes_and_drives_are_split_in_blocks_of_time()
    {
        _rendered.Drive("all/a", 40, 1);
        _rendered.Drive("all/b", 60, 2);
        using var footage = await LoadAsync(Path.Combine(_rendered.Directory, "all"));
        using var decoder = new FrameDecoder(Size, new FrameLimits());
        byte[] expected = new byte[Size.Bytes];
        foreach (int i in new[] { 0, 39, 40, 99 })
        {
            decoder.Decode(await File.ReadAllBytesAsync(footage.NameOf(i), TestContext.Current.CancellationToken), expected);
            Assert.Equal(expected, footage[i]);
        }
        var blocks = footage.SplitByTime(0.7, 0.15, 0.15);
        Assert.Equal([70, 15, 15], blocks.Select(block => block.Count));
        Assert.Equal(100, blocks.SelectMany(block => Enumerable.Range(0, block.Count).Select(block.NameOf)).Distinct().Count());
        foreach (var drive in new[] { "a", "b" })
        {
            string[] Names(DecodedFootage block) =>
                [.. Enumerable.Range(0, block.Count).Select(block.NameOf).Where(name =>
                name.Contains($"/{drive}/", StringComparison.Ordinal))];
            Assert.True(string.CompareOrdinal(Names(blocks[0])[^1], Names(blocks[1])[0]) < 0
                && string.CompareOrdinal(Names(blocks[1])[^1], Names(blocks[2])[0]) < 0);
        }
        Assert.Null(blocks[0].FirstSharedWith(blocks[1]));
        Assert.NotNull(blocks[0].FirstSharedWith(footage));
        Assert.NotEqual(blocks[0].Digest, blocks[1].Digest);
    }

    [Theory]
    [InlineData("kafka://")]
    [InlineData("kafka://localhost:9092")]
    [InlineData("kafka://localhost:9092/topic?seconds=many")]
    [InlineData("kafka://localhost:9092/topic?seconds")]
    public void An_address_that_makes_no_sense_is_said(string address) =>
        Assert.Contains(address, Assert.Throws<FootageException>(() => FootageSource.Open(address)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_mask_is_cropped_as_frames_are_and_one_that_leaves_nothing_is_refused()
    {
        string file = Path.Combine(_rendered.Directory, "mask.png");
        File.WriteAllBytes(file, Painted(320, 192, 96));
        var mask = FrameMask.Load(file, Size);
        Assert.Equal(0.5, mask.Share, 0.03);
        Assert.Equal((0, 1), (mask.Pixels[0], mask.Pixels[^1]));
        Assert.True(mask.Pixels.SequenceEqual(FrameMask.Decode(mask.ToPng(), Size, "again").Pixels));
        File.WriteAllBytes(file, Painted(320, 192, 190));
        Assert.Contains("white is what counts", Assert.Throws<FootageException>(() => FrameMask.Load(file, Size)).Message,
            StringComparison.Ordinal);
        Assert.Contains("missing.png", Assert.Throws<FootageException>(() =>
            FrameMask.Load(Path.Combine(_rendered.Directory, "missing.png"), Size)).Message, StringComparison.Ordinal);
    }

    private Task<DecodedFootage> LoadAsync(string input) =>
        new FootageLoader { Unreadable = _unreadable.Add }.LoadAsync([input], Size, TestContext.Current.CancellationToken);

    /// <summary>Black above a row, white below.</summary>
    private static byte[] Painted(int width, int height, int from)
    {
        using var bitmap = new SKBitmap(width, height);
        using var canvas = new SKCanvas(bitmap);
        canvas.Clear(SKColors.Black);
        using var paint = new SKPaint { Color = SKColors.White };
        canvas.DrawRect(0, from, width, height - from, paint);
        using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }
}
