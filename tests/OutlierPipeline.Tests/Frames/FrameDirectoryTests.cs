using OutlierPipeline.Footage;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Tests.Frames;

public sealed class FrameDirectoryTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    private readonly List<string> _passedOver = [];

    public FrameDirectoryTests()
    {
        Write("b/2.jpg", "b/1.png", "a/9.webp", "a/notes.txt", "a/labels/9.png");
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Sub_directories_are_drives_in_name_order_and_label_maps_are_nobodys_footage()
    {
        var drives = FrameDirectory.Read(_directory, _passedOver.Add);
        Assert.Equal(["a", "b"], drives.Select(drive => drive.Name));
        Assert.Equal(["9.webp", "1.png", "2.jpg"], drives.SelectMany(drive => drive.Files).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("[1..]", 2)]
    [InlineData("[..1]", 1)]
    [InlineData("[^2..^1]", 1)]
    [InlineData("[..67%]", 2)]
    [InlineData("[67%..100%]", 1)]
    public void A_range_counts_over_all_drives(string range, int count) =>
        Assert.Equal(count, FrameDirectory.Read(_directory + range, _passedOver.Add).Sum(drive => drive.Files.Count));

    [Theory]
    [InlineData("[2..9]")]
    [InlineData("[3..3]")]
    [InlineData("/none")]
    public void What_is_not_there_is_said(string suffix) =>
        Assert.Contains(_directory, Assert.Throws<FootageException>(() =>
        FrameDirectory.Read(_directory + suffix, _passedOver.Add)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("frame_1", "frame_2", "frame_9", "frame_10", "frame_011", "frame_100")]
    [InlineData("Frame_1", "Frame_1(2)", "Frame_1(10)", "Frame_2")]
    [InlineData("cam-1-99", "cam-1-100", "cam-2-1", "cam-10-1")]
    [InlineData("1700000000.123456", "1700000000.25", "1700000000.5", "1700000001", "1700000001.0")]
    [InlineData("img 99999999999999999999999", "img 100000000000000000000000")]
    [InlineData("FRAME_1", "frame_2", "Frame_3", "frame_10")]
    public void Frames_stand_in_the_order_in_which_people_count(params string[] names)
    {
        string[] files = [.. names.Select(name => $"c/{name}.jpg")];
        Write([.. files.Reverse()]);
        Assert.Equal(names, Drive("c").Files.Select(Path.GetFileNameWithoutExtension));
    }

    [Fact]
    public void Drives_stand_in_the_order_in_which_people_count()
    {
        Write("d/run 10/1.jpg", "d/run 2/1.jpg", "d/run 2/night/1.jpg", "d/0.jpg");
        Assert.Equal([".", "run 2", "run 2/night", "run 10"], FrameDirectory.Read(Path.Combine(_directory, "d"), _passedOver.Add)
            .Select(drive => drive.Name));
    }

    [Fact]
    public void What_file_managers_and_disks_leave_behind_is_neither_frame_nor_drive()
    {
        Write("a/._9.jpg", "a/.DS_Store", "a/Thumbs.db", "._a/1.jpg", ".thumbnails/1.jpg", "@eaDir/9.webp/thumb.jpg", "lost+found/1.jpg",
            "a/Labels/nested/9.png", "b/#recycle/1.jpg", "__MACOSX/a/9.jpg");
        Assert.Equal(["a", "b"], FrameDirectory.Read(_directory, _passedOver.Add).Select(drive => drive.Name));
        Assert.Equal(["9.webp"], Drive("a").Files.Select(Path.GetFileName));
        Assert.Empty(_passedOver);
    }

    [Fact]
    public void A_directory_that_is_named_itself_is_read_whatever_its_name()
    {
        Write("labels/1.jpg", ".hidden/1.jpg");
        Assert.Single(FrameDirectory.Read(Path.Combine(_directory, "labels"), _passedOver.Add));
        Assert.Single(FrameDirectory.Read(Path.Combine(_directory, ".hidden"), _passedOver.Add));
    }

    [Fact]
    public void Every_usual_extension_of_a_picture_counts()
    {
        Write("c/1.JPG", "c/2.jfif", "c/3.jpe", "c/4.Jpeg", "c/5.PNG", "c/6.webp", "c/7.gif", "c/8.xml");
        Assert.Equal(6, Drive("c").Files.Count);
    }

    [Fact]
    public void Links_that_lead_in_a_circle_are_walked_once_and_a_linked_drive_is_a_drive()
    {
        Directory.CreateSymbolicLink(At("a/self"), ".");
        Directory.CreateSymbolicLink(At("a/parent"), "..");
        Directory.CreateSymbolicLink(At("b/above"), Path.GetDirectoryName(_directory)!);
        Directory.CreateSymbolicLink(At("a/again"), "../b");
        Directory.CreateSymbolicLink(At("_first"), At("b"));
        using var elsewhere = new Elsewhere();
        Directory.CreateSymbolicLink(At("z"), elsewhere.Directory);
        Directory.CreateSymbolicLink(At("z2"), elsewhere.Directory);
        var drives = FrameDirectory.Read(_directory, _passedOver.Add);
        Assert.Equal([("a", 1), ("b", 2), ("z", 1)], drives.Select(drive => (drive.Name, drive.Files.Count)));
        Assert.Empty(_passedOver);
    }

    [Fact]
    public async Task Entries_that_cannot_be_read_are_named_and_passed_over()
    {
        File.CreateSymbolicLink(At("b/3.jpg"), "nowhere.jpg");
        File.CreateSymbolicLink(At("b/4.jpg"), "4.jpg");
        Directory.CreateSymbolicLink(At("c"), At("gone"));
        Directory.CreateSymbolicLink(At("d"), At("d"));
        File.CreateSymbolicLink(At("b/5.jpg"), "1.png");
        var source = FootageSource.Open(_directory, passedOver: _passedOver.Add);
        foreach (string name in new[] { "3.jpg", "4.jpg" })
            Assert.Single(_passedOver, line => line.StartsWith(At("b/" + name), StringComparison.Ordinal));
        Assert.Equal(4, source.Count);
        // Gone, or shut, between the look and the reading.
        File.Delete(At("b/2.jpg"));
        var frames = await source.ReadAsync(TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["9.webp", "1.png", "5.jpg"], frames.Select(frame => Path.GetFileName(frame.Name)));
        Assert.Single(_passedOver, line => line.StartsWith(At("b/2.jpg"), StringComparison.Ordinal));
    }

    private string At(string name) => Path.Combine(_directory, name);

    private Drive Drive(string name) => FrameDirectory.Read(_directory, _passedOver.Add).Single(drive => drive.Name == name);

    private void Write(params string[] files)
    {
        foreach (string file in files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(At(file))!);
            File.WriteAllText(At(file), file);
        }
    }

    /// <summary>A directory with a picture that no other test's directory lies in.</summary>
    private sealed class Elsewhere : IDisposable
    {
        public Elsewhere() => File.WriteAllText(Path.Combine(Directory, "1.jpg"), "");

        public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory().FullName;

        public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);
    }
}
