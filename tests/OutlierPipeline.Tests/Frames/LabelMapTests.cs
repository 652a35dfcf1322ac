using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using SkiaSharp;

namespace OutlierPipeline.Tests.Frames;

public sealed class LabelMapTests : IDisposable
{
    private static readonly ClassCard[] Classes = [new("sky", "#6fa8dc"), new("road", "#6b5b95")];
    private readonly string _directory = Directory.CreateTempSubdirectory("outlier-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_map_is_read_as_it_was_written_and_shown_by_others_in_the_colours_of_its_classes()
    {
        var map = new LabelMap(3, 5, [.. Enumerable.Range(0, 15).Select(i => (byte)(i % 2))]);
        byte[] png = map.Encode([.. Classes.Select(one => one.Rgb)]);
        Assert.Equal(map.Indices, LabelMap.Decode(png).Indices);
        using var shown = SKBitmap.Decode(png);
        Assert.Equal((5, 3), (shown.Width, shown.Height));
        Assert.Equal(new SKColor(0x6b, 0x5b, 0x95), shown.GetPixel(1, 0));
        Assert.Equal(new SKColor(0x6f, 0xa8, 0xdc), shown.GetPixel(0, 0));
    }

    [Fact]
    public void Grey_levels_that_another_encoder_filtered_are_indices()
    {
        using var picture = new SKBitmap(64, 40, SKColorType.Gray8, SKAlphaType.Opaque);
        byte[] indices = [.. Enumerable.Range(0, 64 * 40).Select(i => (byte)(i / 64 / 7 + i % 64 / 9))];
        indices.CopyTo(picture.GetPixelSpan());
        using var png = picture.Encode(SKEncodedImageFormat.Png, 100);
        Assert.Equal(indices, LabelMap.Decode(png.ToArray()).Indices);
    }

    [Fact]
    public void What_a_network_of_the_same_shape_saw_comes_back_at_the_pictures_size()
    {
        byte[] blocks = [.. Enumerable.Range(0, 8 * 12).Select(i => (byte)(i % 12 / 6 + 2 * (i / 12 / 4)))];
        var large = LabelMap.Restore(blocks, new FrameSize(8, 12), 24, 36);
        Assert.Equal(blocks, large.FitTo(new FrameSize(8, 12)));
        Assert.Equal(3, large.Indices[^1]);
    }

    [Fact]
    public void Missing_maps_other_sizes_unknown_indices_and_other_files_are_told_in_one_line()
    {
        byte[] picture = Picture(6, 4);
        string frame = Path.Combine(_directory, "a.png");
        File.WriteAllBytes(frame, picture);
        string file = new LabelFiles([_directory], []).Of(frame, ".");
        Assert.Equal(Path.Combine(_directory, "labels", "a.png"), file);
        Told("has no label map: expected", () => LabelFiles.Read(file, picture, frame, Classes));
        Directory.CreateDirectory(Path.Combine(_directory, "labels"));
        Save(new LabelMap(4, 5, new byte[20]));
        Told("is 5×4, but its picture", () => LabelFiles.Read(file, picture, frame, Classes));
        Save(new LabelMap(4, 6, [.. Enumerable.Repeat((byte)2, 24)]));
        Told("has the index 2, but the 2 known classes are 0 to 1 (sky to road)",
            () => LabelFiles.Read(file, picture, frame, Classes));
        File.WriteAllBytes(file, picture);
        Told("is no label map: expected one class index a pixel", () => LabelFiles.Read(file, picture, frame, Classes));
        Told("no such directory of label maps", () => _ = new LabelFiles([_directory], [_directory + "-not"]));
        Told("no such file", () => LabelClasses.Read(_directory + "/classes.txt"));

        void Save(LabelMap map) => File.WriteAllBytes(file, map.Encode([(0, 0, 0), (1, 1, 1), (2, 2, 2)]));
    }

    [Fact]
    public void Overlap_and_accuracy_are_counted_without_void()
    {
        var quality = new TranslationQuality(3, 2);
        quality.Add([0, 0, 0, 1, 2, 2], [0, 0, 1, 1, 0, 1]);
        Assert.Equal(4, quality.Pixels);
        Assert.Equal(2.0 / 3, quality.Overlap(0), 12);
        Assert.Equal(0.5, quality.Overlap(1), 12);
        Assert.Equal(1, quality.Recall(1), 12);
        Assert.Equal(0.75, quality.Accuracy, 12);
        Assert.Equal((2.0 / 3 + 0.5) / 2, quality.MeanOverlap(), 12);
    }

    private static void Told(string part, Action action)
    {
        var told = Assert.Throws<FootageException>(action);
        Assert.Contains(part, told.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', told.Message);
    }

    private static byte[] Picture(int width, int height)
    {
        using var picture = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        using var png = picture.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }
}
