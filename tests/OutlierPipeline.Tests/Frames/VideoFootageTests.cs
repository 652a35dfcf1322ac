using System.Diagnostics;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Frames;

/// <summary>Videos that ffmpeg makes, read as footage.</summary>
public sealed class VideoFootageTests : IDisposable
{
    /// <summary>Two seconds of a moving picture.</summary>
    private static readonly string[] Source = ["-f", "lavfi", "-i", "testsrc=s=160x96:r=10:d=2,format=yuv420p"];

    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    public VideoFootageTests() => Repository.Needs("ffmpeg");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Frames_of_a_variable_rate_come_once_each_with_the_times_at_which_they_were_taken()
    {
        // Frames 0, 1, 2, 7, 8, 19 of ten a second, in a container that says one thousand a second.
        string file = Make("vfr.mkv", [.. Source, "-vf", "select='lt(n,3)+between(n,7,8)+eq(n,19)'", "-fps_mode", "passthrough", "-c:v",
            "mjpeg", "-q:v", "3"]);
        var frames = await ReadAsync(file);
        Assert.Equal([0, 100, 200, 700, 800, 1900], frames.Select(frame => (int)Math.Round(frame.Time!.Value.TotalMilliseconds)));
        Assert.Equal(6, frames.Select(frame => Convert.ToHexString(frame.Encoded.Span)).Distinct().Count());
        Assert.Equal("vfr.mkv#000005", Path.GetFileName(frames[^1].Name));
    }

    [Fact]
    public async Task A_recording_whose_picture_begins_after_its_sound_has_no_copies_of_its_first_frame()
    {
        string file = Make("late.mp4", ["-f", "lavfi", "-i", "sine=d=5", "-itsoffset", "2.5", .. Source, "-map", "0:a", "-map", "1:v",
            "-fps_mode", "passthrough", "-c:v", "mpeg4", "-c:a", "aac"]);
        var frames = await ReadAsync(file);
        Assert.Equal(20, frames.Count);
        Assert.InRange(frames[0].Time!.Value.TotalSeconds, 2.4, 2.6);
        Assert.InRange((frames[^1].Time - frames[0].Time)!.Value.TotalSeconds, 1.89, 1.91);
    }

    [Theory]
    [InlineData("a.mts", "-c:v", "mpeg2video", "-f", "mpegts", "-r", "25")]
    [InlineData("a.3gp", "-c:v", "mpeg4")]
    [InlineData("a.mjpeg", "-c:v", "mjpeg", "-f", "mjpeg")]
    [InlineData("a.flv", "-c:v", "flv")]
    [InlineData("a.ts", "-c:v", "mpeg2video", "-r", "25")]
    [InlineData("a.AVI", "-c:v", "mpeg4")]
    [InlineData("a.y4m")]
    [InlineData("a.mov", "-c:v", "mjpeg")]
    [InlineData("a.h264", "-c:v", "libx264", "-bf", "2")]
    [InlineData("a.h265", "-c:v", "libx265", "-x265-params", "log-level=none")]
    [InlineData("a.hevc", "-c:v", "libx265", "-x265-params", "log-level=none")]
    [InlineData("no-extension", "-c:v", "mpeg4", "-f", "matroska")]
    [InlineData("-dash:colon.mkv", "-c:v", "mpeg4")]
    [InlineData("100%d.mkv", "-c:v", "mpeg4")]
    public async Task Whatever_ffmpeg_reads_is_footage(string name, params string[] how)
    {
        string encoder = how.SkipWhile(argument => argument != "-c:v").Skip(1).FirstOrDefault("");
        Assert.SkipUnless(!encoder.StartsWith("lib", StringComparison.Ordinal)
            || Run("-hide_banner", "-encoders").Contains(encoder, StringComparison.Ordinal), $"this ffmpeg has no {encoder}");
        var frames = await ReadAsync(Make(name, [.. Source, .. how]));
        Assert.Equal(20, frames.Count);
        Assert.All(frames, frame => Assert.Equal(FrameError.None, ImageHeader.Read(frame.Encoded.Span, new FrameLimits(), out _)));
        Assert.All(frames.Zip(frames.Skip(1)), pair => Assert.True(pair.First.Time < pair.Second.Time));
    }

    [Theory]
    [InlineData("notes.txt", "some text\nmore of it\n")]
    [InlineData("scores.csv", "file,score\n1.jpg,2\n")]
    [InlineData("drawing.bin", "\u001b[31mred\u001b[0m drawn with characters")]
    [InlineData("empty.mp4", "")]
    public async Task What_is_no_video_is_said_in_one_line(string name, string content)
    {
        string file = Path.Combine(_directory, name);
        await File.WriteAllTextAsync(file, content, TestContext.Current.CancellationToken);
        var refused = await Assert.ThrowsAsync<FootageException>(() => ReadAsync(file));
        Assert.StartsWith(file, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Fact]
    public async Task A_single_picture_is_no_video()
    {
        string file = Path.Combine(_directory, "frame.png");
        await File.WriteAllBytesAsync(file, Pictures.Encode(SkiaSharp.SKEncodedImageFormat.Png), TestContext.Current.CancellationToken);
        Assert.Contains("this is a picture", Assert.Throws<FootageException>(() => FootageSource.Open(file)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sound_alone_is_no_video()
    {
        string file = Make("sound.mkv", ["-f", "lavfi", "-i", "sine=d=1"]);
        Assert.Contains("ffmpeg cannot read it as a video", (await Assert.ThrowsAsync<FootageException>(() => ReadAsync(file))).Message,
            StringComparison.Ordinal);
    }

    private static async Task<List<EncodedFrame>> ReadAsync(string file) =>
        await FootageSource.Open(file).ReadAsync(TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);

    private string Make(string name, string[] how)
    {
        string file = Path.Combine(_directory, name);
        Run(["-v", "error", "-y", .. how, "file:" + file]);
        return file;
    }

    private static string Run(params string[] arguments)
    {
        using var ffmpeg = Process.Start(new ProcessStartInfo("ffmpeg", ["-nostdin", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        })!;
        var errors = ffmpeg.StandardError.ReadToEndAsync();
        string output = ffmpeg.StandardOutput.ReadToEnd();
        ffmpeg.WaitForExit();
        Assert.True(ffmpeg.ExitCode == 0, errors.Result);
        return output;
    }
}
