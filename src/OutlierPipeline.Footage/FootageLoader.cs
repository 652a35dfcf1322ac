using System.Globalization;
using System.Security.Cryptography;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Footage;

/// <summary>
/// Reads and decodes footage: all cores decode, bad pictures are named and passed over, and more than a few of them stop the run.
/// </summary>
public sealed class FootageLoader
{
    /// <summary>Share of pictures that may be unreadable.</summary>
    public const double MaxUnreadable = 0.01;

    private const int Chunk = 64;
    private readonly Dictionary<string, (int Width, int Height, string Name)> _shapes = [];

    /// <summary>Only this camera's frames of a topic.</summary>
    public string? Camera { get; init; }

    /// <summary>Called with the frames read so far and their number, where it is known.</summary>
    public Action<int, int?> Progress { get; init; } = (_, _) => { };

    /// <summary>Called with one line for every picture that cannot be decoded, and every file that cannot be read.</summary>
    public Action<string> Unreadable { get; init; } = Console.Error.WriteLine;

    /// <summary>Reads and decodes at a given size.</summary>
    /// <exception cref="FootageException">Nothing is there, more than one picture in a hundred is unreadable, or one drive mixes
    /// shapes.</exception>
    public Task<DecodedFootage> LoadAsync(IReadOnlyList<string> inputs, FrameSize size, CancellationToken cancellation) =>
        LoadAsync(inputs, (_, _) => size, cancellation);

    /// <summary>Reads and decodes at a size chosen by the first picture's width and height.</summary>
    /// <inheritdoc cref="LoadAsync(IReadOnlyList{string}, FrameSize, CancellationToken)"/>
    public async Task<DecodedFootage> LoadAsync(IReadOnlyList<string> inputs, Func<int, int, FrameSize> choose,
        CancellationToken cancellation)
    {
        _shapes.Clear();
        var sources = inputs.Select(input => FootageSource.Open(input, Camera, Unreadable)).ToArray();
        int? total = sources.Aggregate((int?)0, (sum, source) => sum + source.Count);
        string scratch = Path.Combine(Path.GetTempPath(), $"outlier-{Guid.NewGuid():N}.frames");
        var pixels = File.OpenHandle(scratch, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read, FileOptions.DeleteOnClose);
        try
        {
            var frames = new List<DecodedFootage.Entry>();
            var chunk = new List<EncodedFrame>(Chunk);
            FrameSize? size = null;
            int seen = 0;
            string first = "";
            using var decoders = new ThreadLocal<FrameDecoder>(() =>
                new FrameDecoder(size!.Value, FrameLimits.Footage), trackAllValues: true);
            byte[] decoded = [];
            try
            {
                for (int s = 0; s < sources.Length; s++)
                {
                    // The same camera in two topics, or 'drive1' in two directories, are two drives.
                    string prefix = sources.Length == 1 ? "" : inputs[s] + ":";
                    await foreach (var frame in sources[s].ReadAsync(cancellation))
                    {
                        chunk.Add(frame with { Drive = prefix + frame.Drive });
                        if (chunk.Count == Chunk) Flush();
                    }
                    Flush();
                }
            }
            finally
            {
                foreach (var decoder in decoders.Values) decoder.Dispose();
            }
            if (size is null)
                throw new FootageException(
                    $"{string.Join(", ", inputs)}: no picture that can be read{(first.Length > 0 ? $" (the first: {first})" : "")}");
            int unreadable = seen - frames.Count;
            if (unreadable > MaxUnreadable * seen)
                throw new FootageException(string.Create(CultureInfo.InvariantCulture, $"{unreadable} of {seen} pictures cannot be " +
                    $"read, more than {MaxUnreadable:0 %}: this is not the footage that was meant, or it is damaged (the first: {first})"));
            // Frames of a topic come mixed: each camera's own are put together, in their order.
            var drives = frames.Select(frame => frame.Drive).Distinct().Select((drive, i) => (drive, i)).ToDictionary(pair =>
                pair.drive, pair => pair.i);
            return DecodedFootage.Of(size.Value, pixels, frames.OrderBy(frame => drives[frame.Drive]));

            void Flush()
            {
                if (chunk.Count == 0) return;
                var results = new (FrameError Error, byte[] Hash, ImageHeader Header)[chunk.Count];
                Parallel.For(0, chunk.Count, i =>
                    results[i] = (ImageHeader.Read(chunk[i].Encoded.Span, FrameLimits.Footage, out var header),
                    SHA256.HashData(chunk[i].Encoded.Span), header));
                if (size is null && results.FirstOrDefault(result => result.Error == FrameError.None) is { Header.Width: > 0 } readable)
                    size = choose(readable.Header.Width, readable.Header.Height);
                if (size is { } chosen)
                {
                    if (decoded.Length == 0) decoded = new byte[Chunk * chosen.Bytes];
                    Parallel.For(0, chunk.Count, i =>
                    {
                        if (results[i].Error == FrameError.None)
                            results[i].Error = decoders.Value!.Decode(chunk[i].Encoded.Span,
                                decoded.AsSpan(i * chosen.Bytes, chosen.Bytes));
                    });
                }
                for (int i = 0; i < chunk.Count; i++)
                {
                    seen++;
                    if (results[i].Error != FrameError.None)
                    {
                        string line = $"{chunk[i].Name}: {FrameErrors.Describe(results[i].Error)} ({results[i].Error})";
                        if (first.Length == 0) first = line;
                        Unreadable(line);
                        continue;
                    }
                    CheckShape(chunk[i], results[i].Header);
                    Write(pixels, decoded.AsSpan(i * size!.Value.Bytes, size.Value.Bytes), (long)frames.Count * size.Value.Bytes, scratch);
                    frames.Add(new DecodedFootage.Entry(chunk[i].Drive, chunk[i].Name, chunk[i].Time, chunk[i].Taken, results[i].Hash,
                        frames.Count));
                }
                chunk.Clear();
                Progress(seen, total);
            }
        }
        catch
        {
            pixels.Dispose();
            throw;
        }
    }

    /// <summary>One camera has one shape: another within a drive would be cropped differently, and be strange for that alone.</summary>
    private void CheckShape(EncodedFrame frame, ImageHeader header)
    {
        if (!_shapes.TryGetValue(frame.Drive, out var shape))
        {
            _shapes[frame.Drive] = (header.Width, header.Height, frame.Name);
            return;
        }
        double ratio = (double)header.Width * shape.Height / ((double)header.Height * shape.Width);
        if (Math.Abs(ratio - 1) > 0.01) throw new FootageException($"{frame.Name} is {header.Width}×{header.Height}, but {shape.Name} of " +
            $"the same drive is {shape.Width}×{shape.Height}: mixed shapes would be cropped differently; give each camera a directory of " +
            $"its own");
    }

    private static void Write(Microsoft.Win32.SafeHandles.SafeFileHandle file, ReadOnlySpan<byte> frame, long position, string path)
    {
        try
        {
            RandomAccess.Write(file, frame, position);
        }
        catch (IOException e)
        {
            throw new FootageException(
                $"decoded frames cannot be kept in {Path.GetDirectoryName(path)}: {e.Message} Set TMPDIR to a disk with more room.", e);
        }
    }
}
