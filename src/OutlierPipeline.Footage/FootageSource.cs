using System.Runtime.CompilerServices;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Footage;

/// <summary>One encoded picture of some footage.</summary>
/// <param name="Drive">Frames of one drive follow each other in time; <c>.</c> where the source is one drive.</param>
/// <param name="Name">The file, or where in the video or topic it is.</param>
/// <param name="Encoded">JPEG, PNG or WebP.</param>
/// <param name="Time">When it was taken, from the beginning of a video; null where the source does not say.</param>
public sealed record EncodedFrame(string Drive, string Name, ReadOnlyMemory<byte> Encoded, TimeSpan? Time = null)
{
    /// <summary>The date and time it was taken at; null where the source does not say.</summary>
    public DateTimeOffset? Taken { get; init; }
}

/// <summary>Encoded pictures of a directory as they are, of a video as ffmpeg draws them, or of a Kafka topic.</summary>
public abstract class FootageSource
{
    /// <summary>What <see cref="Open"/> takes, for help texts.</summary>
    public const string Kinds = "a directory of pictures in natural order of their names (2 before 10; sub-directories are separate " +
        "drives; DIR[A..B] takes a range, as in DIR[..225] or DIR[70%..85%]), a video, or kafka://host:port/topic?seconds=600 for what a " +
        "topic received in its last seconds";

    /// <summary>Number of pictures, where it is known beforehand.</summary>
    public virtual int? Count => null;

    public abstract IAsyncEnumerable<EncodedFrame> ReadAsync(CancellationToken cancellation);

    /// <param name="input">See <see cref="Kinds"/>.</param>
    /// <param name="camera">Of a topic, only this camera's frames.</param>
    /// <param name="passedOver">Called with one line for every file that cannot be read; without, standard error has them.</param>
    /// <exception cref="FootageException">There is nothing to read there.</exception>
    public static FootageSource Open(string input, string? camera = null, Action<string>? passedOver = null)
    {
        if (input.StartsWith(TopicTail.Scheme, StringComparison.OrdinalIgnoreCase)) return new TopicFootage(input, camera);
        return File.Exists(input) ? new VideoFootage(input) : new DirectoryFootage(input, passedOver ?? Console.Error.WriteLine);
    }

    /// <summary>The media type that the first bytes tell, or null.</summary>
    public static string? ContentType(ReadOnlySpan<byte> encoded) => encoded switch
    {
        [0xFF, 0xD8, ..] => "image/jpeg",
        [0x89, (byte)'P', (byte)'N', (byte)'G', ..] => "image/png",
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', ..] => "image/webp",
        _ => null,
    };

    private sealed class DirectoryFootage(string input, Action<string> passedOver) : FootageSource
    {
        private readonly IReadOnlyList<Drive> _drives = FrameDirectory.Read(input, passedOver);

        public override int? Count => _drives.Sum(drive => drive.Files.Count);

        public override async IAsyncEnumerable<EncodedFrame> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
        {
            foreach (var drive in _drives)
            {
                foreach (string file in drive.Files)
                {
                    if (await ReadAsync(file, cancellation) is { } encoded) yield return new EncodedFrame(drive.Name, file, encoded);
                }
            }
        }

        private async Task<byte[]?> ReadAsync(string file, CancellationToken cancellation)
        {
            try
            {
                // What has no length may be a pipe, from which nothing would ever come.
                return new FileInfo(file).Length == 0 && File.Exists(file) ? [] : await File.ReadAllBytesAsync(file, cancellation);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                passedOver($"{file}: passed over, it cannot be read ({e.Message.ReplaceLineEndings(" ")})");
                return null;
            }
        }
    }
}
