using System.Diagnostics;
using System.Runtime.CompilerServices;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Cli;

/// <summary>Encoded pictures of a directory as they are, or of a video as ffmpeg draws them.</summary>
internal sealed class FootageSource : IDisposable
{
    private static readonly string[] Videos = [".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".ts", ".h264", ".mpg", ".mpeg"];
    private readonly string[]? _files;
    private readonly string _input;
    private Process? _ffmpeg;

    /// <exception cref="FootageException">There is nothing to read there.</exception>
    public FootageSource(string input)
    {
        _input = input;
        if (!File.Exists(input))
        {
            _files = [.. FrameDirectory.Read(input).SelectMany(drive => drive.Files)];
            return;
        }
        if (Path.GetExtension(input).Equals(".mcap", StringComparison.OrdinalIgnoreCase)) throw new FootageException($"{input}: MCAP is not read by this version; expected a directory of pictures or a video");
        if (!Videos.Contains(Path.GetExtension(input), StringComparer.OrdinalIgnoreCase)) throw new FootageException($"{input}: expected a directory of pictures or a video ({string.Join(", ", Videos)})");
    }

    /// <summary>Number of pictures, where it is known beforehand.</summary>
    public int? Count => _files?.Length;

    /// <summary>The media type that the first bytes tell, or null.</summary>
    public static string? ContentType(ReadOnlySpan<byte> encoded) => encoded switch
    {
        [0xFF, 0xD8, ..] => "image/jpeg",
        [0x89, (byte)'P', (byte)'N', (byte)'G', ..] => "image/png",
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', ..] => "image/webp",
        _ => null,
    };

    public async IAsyncEnumerable<byte[]> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        if (_files is not null)
        {
            foreach (string file in _files) yield return await File.ReadAllBytesAsync(file, cancellation);
            yield break;
        }
        using var ffmpeg = Start();
        _ffmpeg = ffmpeg;
        var errors = ffmpeg.StandardError.ReadToEndAsync(cancellation);
        var picture = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        byte last = 0;
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
                yield return picture.ToArray();
                picture.SetLength(0);
            }
            picture.Write(buffer, from, read - from);
        }
        await ffmpeg.WaitForExitAsync(cancellation);
        if (ffmpeg.ExitCode != 0) throw new FootageException($"{_input}: ffmpeg cannot read it: {(await errors).Trim()}");
    }

    public void Dispose()
    {
        try
        {
            _ffmpeg?.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }

    private Process Start()
    {
        var start = new ProcessStartInfo("ffmpeg") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (string argument in new[] { "-nostdin", "-v", "error", "-i", _input, "-f", "image2pipe", "-c:v", "mjpeg", "-q:v", "3", "-" }) start.ArgumentList.Add(argument);
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
