using OutlierPipeline.Frames;

namespace OutlierPipeline.Training;

/// <summary>Frames decoded into memory, by the service's own decoder.</summary>
public sealed class Footage
{
    private readonly byte[] _pixels;

    private Footage(FrameSize size, byte[] pixels, string digest, int frames)
    {
        Size = size;
        _pixels = pixels;
        Digest = digest;
        Frames = frames;
    }

    public FrameSize Size { get; }

    public int Frames { get; }

    /// <summary>SHA-256 over the encoded files.</summary>
    public string Digest { get; }

    /// <summary>One frame, <c>[H, W, 3]</c> uint8, RGB.</summary>
    public ReadOnlySpan<byte> this[int index] => _pixels.AsSpan(index * Size.Bytes, Size.Bytes);

    /// <exception cref="FootageException">A file cannot be decoded, or there are too many for the memory of one array.</exception>
    public static Footage Load(IReadOnlyList<string> files, FrameSize size)
    {
        if ((long)files.Count * size.Bytes > Array.MaxLength) throw new FootageException($"{files.Count} frames of {size} do not fit into memory at once; take fewer");
        byte[] pixels = new byte[files.Count * size.Bytes];
        using var decoders = new ThreadLocal<FrameDecoder>(() => new FrameDecoder(size, new FrameLimits()), trackAllValues: true);
        try
        {
            Parallel.For(0, files.Count, i =>
            {
                var error = decoders.Value!.Decode(File.ReadAllBytes(files[i]), pixels.AsSpan(i * size.Bytes, size.Bytes));
                if (error != FrameError.None) throw new FootageException($"{files[i]}: {FrameErrors.Describe(error)}");
            });
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<FootageException>().FirstOrDefault() is { } first)
        {
            throw first;
        }
        finally
        {
            foreach (var decoder in decoders.Values) decoder.Dispose();
        }
        return new Footage(size, pixels, FrameDirectory.Digest(files), files.Count);
    }
}
