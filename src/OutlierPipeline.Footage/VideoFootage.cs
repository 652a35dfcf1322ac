using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Footage;

/// <summary>The frames of a video as they were taken, each once and with its own time, as JPEGs that ffmpeg draws.</summary>
internal sealed partial class VideoFootage : FootageSource
{
    /// <summary>What ffmpeg takes any bytes for: text and drawings made of characters.</summary>
    private static readonly string[] Characters = ["tty", "bin", "xbin", "adf", "idf"];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly string _file;

    /// <exception cref="FootageException">By its name the file is something else; what else is no video, ffmpeg finds out.</exception>
    public VideoFootage(string file)
    {
        _file = file;
        string extension = Path.GetExtension(file);
        if (extension.Equals(".mcap", StringComparison.OrdinalIgnoreCase))
            throw new FootageException($"{file}: MCAP is not read by this version; expected a directory of pictures or a video");
        if (FrameTree.Extensions.Contains(extension, StringComparer.OrdinalIgnoreCase))
            throw new FootageException($"{file}: this is a picture; give the directory that it is in");
    }

    public override async IAsyncEnumerable<EncodedFrame> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        using var ffmpeg = Start();
        try
        {
            var times = Channel.CreateUnbounded<TimeSpan?>();
            var said = ListenAsync(ffmpeg.StandardError, times.Writer);
            int index = 0;
            await foreach (byte[] picture in PicturesAsync(ffmpeg.StandardOutput.BaseStream, cancellation))
            {
                var time = await NextAsync(times.Reader, cancellation);
                string name = string.Create(CultureInfo.InvariantCulture, $"{_file}#{index++:000000}");
                yield return new EncodedFrame(Path.GetFileName(_file), name, picture, time);
            }
            await ffmpeg.WaitForExitAsync(cancellation);
            string fault = await said;
            if (ffmpeg.ExitCode != 0 || index == 0)
                throw new FootageException(
                    $"{_file}: ffmpeg cannot read it as a video: {(fault.Length > 0 ? fault : "there is no picture in it")}");
        }
        finally
        {
            // The reader may stop in the middle.
            if (!ffmpeg.HasExited) ffmpeg.Kill();
        }
    }

    private Process Start()
    {
        var start = new ProcessStartInfo("ffmpeg")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true
        };
        // 'file:' since a name may hold a colon or begin with a dash. Frames pass as they come: else a gap, or a late first frame, would be
        // filled with copies.
        string[] input = ["-nostdin", "-hide_banner", "-nostats", "-v", "level+info", "-i", "file:" + _file];
        string[] output = ["-vf", "showinfo=checksum=0", "-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "mjpeg", "-q:v", "3", "-"];
        foreach (string argument in input.Concat(output)) start.ArgumentList.Add(argument);
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new FootageException("ffmpeg is not on this machine, and videos are read through it: install it (Debian and Ubuntu: " +
                "apt-get install ffmpeg), or give a directory of pictures");
        }
    }

    private static async IAsyncEnumerable<byte[]> PicturesAsync(Stream stream, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var picture = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        byte last = 0;
        int read;
        while ((read = await stream.ReadAsync(buffer, cancellation)) > 0)
        {
            int from = 0;
            for (int i = 0; i < read; i++)
            {
                // Inside a JPEG's data a byte FF is always followed by 00 or a restart marker, so FF D9 is the end.
                bool isEnd = last == 0xFF && buffer[i] == 0xD9;
                last = buffer[i];
                if (!isEnd) continue;
                picture.Write(buffer, from, i + 1 - from);
                from = i + 1;
                yield return picture.ToArray();
                picture.SetLength(0);
            }
            picture.Write(buffer, from, read - from);
        }
    }

    /// <summary>Reads what ffmpeg says: each frame's time goes to the channel; returns the first fault that it names, or nothing.</summary>
    private async Task<string> ListenAsync(StreamReader said, ChannelWriter<TimeSpan?> times)
    {
        string fault = "";
        while (await said.ReadLineAsync() is { } line)
        {
            if (FrameLine().Match(line) is { Success: true } frame)
            {
                bool isKnown = double.TryParse(frame.Groups["seconds"].Value, CultureInfo.InvariantCulture, out double seconds);
                times.TryWrite(isKnown ? TimeSpan.FromSeconds(seconds) : null);
            }
            else if (InputLine().Match(line) is { Success: true } input && Characters.Contains(input.Groups["format"].Value))
                times.TryComplete(new FootageException($"{_file}: this is not a video; expected one, or a directory of pictures"));
            else if (fault.Length == 0 && FaultLine().Match(line) is { Success: true } error)
                fault = error.Groups["text"].Value.Replace("file:" + _file + ": ", "", StringComparison.Ordinal);
        }
        times.TryComplete();
        return fault;
    }

    /// <summary>When the next frame was taken, null where the video does not say. ffmpeg says it before it draws the frame.</summary>
    private async Task<TimeSpan?> NextAsync(ChannelReader<TimeSpan?> times, CancellationToken cancellation)
    {
        try
        {
            return await times.ReadAsync(cancellation).AsTask().WaitAsync(Patience, cancellation);
        }
        catch (ChannelClosedException e) when (e.InnerException is FootageException other)
        {
            throw other;
        }
        catch (Exception e) when (e is ChannelClosedException or TimeoutException)
        {
            throw new FootageException($"{_file}: ffmpeg does not say when its frames were taken; version 5.1 or newer is needed", e);
        }
    }

    [GeneratedRegex(@"^\[Parsed_showinfo\S* @ \S+\] \[info\] n: *\d+ pts: *\S+ pts_time: *(?<seconds>\S+)")]
    private static partial Regex FrameLine();

    [GeneratedRegex(@"^\[info\] Input #0, (?<format>[^, ]+)")]
    private static partial Regex InputLine();

    [GeneratedRegex(@"\[(error|fatal|panic)\] (?<text>.+)$")]
    private static partial Regex FaultLine();
}
