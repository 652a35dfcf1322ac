using System.Runtime.CompilerServices;
using OutlierPipeline.Streaming;

namespace OutlierPipeline.Frames;

/// <summary>One encoded picture of some footage.</summary>
/// <param name="Drive">Frames of one drive follow each other in time; <c>.</c> where the source is one drive.</param>
/// <param name="Name">The file, or where in the video or topic it is.</param>
/// <param name="Encoded">JPEG, PNG or WebP.</param>
public sealed record EncodedFrame(string Drive, string Name, ReadOnlyMemory<byte> Encoded);

/// <summary>Encoded pictures of a directory as they are, of a video as ffmpeg draws them, or of a Kafka topic.</summary>
public abstract class FootageSource
{
    /// <summary>What <see cref="Open"/> takes, for help texts.</summary>
    public const string Kinds = "a directory of pictures in name order (sub-directories are separate drives; DIR[A..B] takes a range, as in DIR[..225] or DIR[70%..85%]), a video, or kafka://host:port/topic?seconds=600 for what a topic received in its last seconds";

    /// <summary>Number of pictures, where it is known beforehand.</summary>
    public virtual int? Count => null;

    public abstract IAsyncEnumerable<EncodedFrame> ReadAsync(CancellationToken cancellation);

    /// <param name="input">See <see cref="Kinds"/>.</param>
    /// <param name="camera">Of a topic, only this camera's frames.</param>
    /// <exception cref="FootageException">There is nothing to read there.</exception>
    public static FootageSource Open(string input, string? camera = null)
    {
        if (input.StartsWith(TopicTail.Scheme, StringComparison.OrdinalIgnoreCase)) return new TopicFootage(input, camera);
        return File.Exists(input) ? new VideoFootage(input) : new DirectoryFootage(input);
    }

    /// <summary>The media type that the first bytes tell, or null.</summary>
    public static string? ContentType(ReadOnlySpan<byte> encoded) => encoded switch
    {
        [0xFF, 0xD8, ..] => "image/jpeg",
        [0x89, (byte)'P', (byte)'N', (byte)'G', ..] => "image/png",
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', ..] => "image/webp",
        _ => null,
    };

    private sealed class DirectoryFootage(string input) : FootageSource
    {
        private readonly IReadOnlyList<Drive> _drives = FrameDirectory.Read(input);

        public override int? Count => _drives.Sum(drive => drive.Files.Count);

        public override async IAsyncEnumerable<EncodedFrame> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
        {
            foreach (var drive in _drives)
            {
                foreach (string file in drive.Files) yield return new EncodedFrame(drive.Name, file, await File.ReadAllBytesAsync(file, cancellation));
            }
        }
    }
}
