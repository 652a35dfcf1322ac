using OutlierPipeline.Frames;

namespace OutlierPipeline.Tests.Frames;

public sealed class FrameDirectoryTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    public FrameDirectoryTests()
    {
        foreach (string file in new[] { "b/2.jpg", "b/1.png", "a/9.webp", "a/notes.txt", "a/labels/9.png" })
        {
            string path = Path.Combine(_directory, file);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, file);
        }
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Sub_directories_are_drives_in_name_order_and_label_maps_are_nobodys_footage()
    {
        var drives = FrameDirectory.Read(_directory);
        Assert.Equal(["a", "b"], drives.Select(drive => drive.Name));
        Assert.Equal(["9.webp", "1.png", "2.jpg"], drives.SelectMany(drive => drive.Files).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("[1..]", 2)]
    [InlineData("[..1]", 1)]
    [InlineData("[^2..^1]", 1)]
    [InlineData("[..67%]", 2)]
    [InlineData("[67%..100%]", 1)]
    public void A_range_counts_over_all_drives(string range, int count) => Assert.Equal(count, FrameDirectory.Read(_directory + range).Sum(drive => drive.Files.Count));

    [Theory]
    [InlineData("[2..9]")]
    [InlineData("[3..3]")]
    [InlineData("/none")]
    public void What_is_not_there_is_said(string suffix) => Assert.Contains(_directory, Assert.Throws<FootageException>(() => FrameDirectory.Read(_directory + suffix)).Message, StringComparison.Ordinal);
}
