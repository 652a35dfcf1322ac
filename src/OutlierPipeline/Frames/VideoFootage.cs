using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace OutlierPipeline.Frames;

/// <summary>The frames of a video, as JPEGs that ffmpeg draws.</summary>
internal sealed class VideoFootage : FootageSource
{
    private static readonly string[] Extensions = [".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".ts", ".h264", ".mpg", ".mpeg"];
    private readonly string _file;

    /// <exception cref="FootageException">The file is no video by its name.</exception>
    public VideoFootage(string file)
    {
        _file = file;
        string extension = Path.GetExtension(file);
        if (extension.Equals(".mcap", StringComparison.OrdinalIgnoreCase)) throw new FootageException($"{file}: MCAP is not read by this version; expected a directory of pictures or a video");
        if (!Extensions.Contains(extension, StringComparer.OrdinalIgnoreCase)) throw new FootageException($"{file}: expected a directory of pictures or a video ({string.Join(", ", Extensions)})");
    }

    public override async IAsyncEnumerable<EncodedFrame> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        using var ffmpeg = Start();
        try
        {
            var errors = ffmpeg.StandardError.ReadToEndAsync(cancellation);
            using var picture = new MemoryStream();
            byte[] buffer = new byte[1 << 16];
            byte last = 0;
            int index = 0;
            int read;
            while ((read = await ffmpeg.StandardOutput.BaseStream.ReadAsync(buffer, cancellation)) > 0)
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
                    yield return new EncodedFrame(Path.GetFileName(_file), string.Create(CultureInfo.InvariantCulture, $"{_file}#{index++:000000}"), picture.ToArray());
                    picture.SetLength(0);
                }
                picture.Write(buffer, from, read - from);
            }
            await ffmpeg.WaitForExitAsync(cancellation);
            if (ffmpeg.ExitCode != 0) throw new FootageException($"{_file}: ffmpeg cannot read it: {(await errors).Trim()}");
        }
        finally
        {
            // The reader may stop in the middle.
            if (!ffmpeg.HasExited) ffmpeg.Kill();
        }
    }

    private Process Start()
    {
        var start = new ProcessStartInfo("ffmpeg") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (string argument in new[] { "-nostdin", "-v", "error", "-i", _file, "-f", "image2pipe", "-c:v", "mjpeg", "-q:v", "3", "-" }) start.ArgumentList.Add(argument);
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new FootageException("ffmpeg is not on this machine, and videos are read through it: install it (Debian and Ubuntu: apt-get install ffmpeg), or give a directory of pictures");
        }
    }
}
