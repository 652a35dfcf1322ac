using System.Buffers.Binary;
using System.IO.Compression;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Footage;

/// <summary>A segmentation map: the index of a class for each pixel of a picture. In files, a PNG of grey levels or of a palette.</summary>
/// <param name="Indices"><c>[H, W]</c>.</param>
/// <remarks>ISO/IEC 15948 (PNG, third edition), clauses 9 to 11. Read here since decoders of pictures turn indices into colours.</remarks>
public sealed record LabelMap(int Height, int Width, byte[] Indices)
{
    private const int MaxPixels = 64_000_000;
    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a];

    /// <summary>Reads a file.</summary>
    /// <exception cref="FootageException">It is missing, or no PNG of indices.</exception>
    public static LabelMap Read(string file)
    {
        try
        {
            return Decode(File.ReadAllBytes(file));
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or ArgumentOutOfRangeException or OverflowException)
        {
            throw new FootageException($"{file}: is no label map: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FootageException($"{file}: cannot be read: {e.Message}", e);
        }
    }

    /// <param name="png">One channel of 8 bits or fewer, not interlaced: indices as grey levels or into a palette.</param>
    /// <exception cref="InvalidDataException">It is something else, or damaged.</exception>
    public static LabelMap Decode(ReadOnlySpan<byte> png)
    {
        if (!png.StartsWith(Signature) || png.Length < 33 || !png[12..].StartsWith("IHDR"u8))
            throw new InvalidDataException("expected a PNG");
        int width = BinaryPrimitives.ReadInt32BigEndian(png[16..]);
        int height = BinaryPrimitives.ReadInt32BigEndian(png[20..]);
        int depth = png[24];
        if (png[25] is not (0 or 3) || depth is not (1 or 2 or 4 or 8) || png[28] != 0)
            throw new InvalidDataException("expected one class index a pixel: grey or palette, at most 8 bits, not interlaced");
        if (width <= 0 || height <= 0 || (long)width * height > MaxPixels) throw new InvalidDataException("the size makes no sense");
        using var packed = new MemoryStream();
        for (int at = 8; at + 12 <= png.Length;)
        {
            uint length = BinaryPrimitives.ReadUInt32BigEndian(png[at..]);
            if (length > png.Length - at - 12) throw new InvalidDataException("it is cut off");
            if (png.Slice(at + 4, 4).SequenceEqual("IDAT"u8)) packed.Write(png.Slice(at + 8, (int)length));
            at += 12 + (int)length;
        }
        packed.Position = 0;
        using var inflated = new ZLibStream(packed, CompressionMode.Decompress);
        byte[] indices = new byte[width * height];
        byte[] row = new byte[(width * depth + 7) / 8];
        byte[] above = new byte[row.Length];
        for (int y = 0; y < height; y++)
        {
            int filter = inflated.ReadByte();
            inflated.ReadExactly(row);
            Unfilter(filter, row, above);
            for (int x = 0; x < width; x++)
            {
                int bit = x * depth;
                indices[y * width + x] = (byte)(row[bit / 8] >> (8 - depth - bit % 8) & ((1 << depth) - 1));
            }
            (row, above) = (above, row);
        }
        return new LabelMap(height, width, indices);
    }

    /// <summary>A PNG of a palette, whose pixels are the indices.</summary>
    /// <param name="palette">A colour an index.</param>
    public byte[] Encode(IReadOnlyList<(byte Red, byte Green, byte Blue)> palette)
    {
        using var png = new MemoryStream();
        png.Write(Signature);
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, Width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), Height);
        (header[8], header[9]) = (8, 3);
        Chunk(png, "IHDR"u8, header);
        Chunk(png, "PLTE"u8, [.. palette.SelectMany(colour => (byte[])[colour.Red, colour.Green, colour.Blue])]);
        using var packed = new MemoryStream();
        using (var deflated = new ZLibStream(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            for (int y = 0; y < Height; y++)
            {
                deflated.WriteByte(0);
                deflated.Write(Indices, y * Width, Width);
            }
        }
        Chunk(png, "IDAT"u8, packed.ToArray());
        Chunk(png, "IEND"u8, []);
        return png.ToArray();
    }

    /// <summary>The map as a network of another size sees it: what of the picture is kept, and of each pixel the class in its middle.
    /// </summary>
    /// <returns><c>[H, W]</c> of that size.</returns>
    public byte[] FitTo(FrameSize size)
    {
        var crop = AreaScaler.Crop(Width, Height, size);
        byte[] fitted = new byte[size.Height * size.Width];
        for (int y = 0; y < size.Height; y++)
        {
            int from = (crop.Y + (2 * y + 1) * crop.Height / (2 * size.Height)) * Width + crop.X;
            for (int x = 0; x < size.Width; x++)
                fitted[y * size.Width + x] = Indices[from + (2 * x + 1) * crop.Width / (2 * size.Width)];
        }
        return fitted;
    }

    /// <summary>The way back from <see cref="FitTo"/>: what was cropped off gets the class at the edge.</summary>
    /// <param name="fitted"><c>[H, W]</c> of the network's size.</param>
    public static LabelMap Restore(ReadOnlySpan<byte> fitted, FrameSize size, int height, int width)
    {
        var crop = AreaScaler.Crop(width, height, size);
        byte[] indices = new byte[height * width];
        for (int y = 0; y < height; y++)
        {
            int row = Math.Clamp((2 * (y - crop.Y) + 1) * size.Height / (2 * crop.Height), 0, size.Height - 1) * size.Width;
            for (int x = 0; x < width; x++)
            {
                int column = Math.Clamp((2 * (x - crop.X) + 1) * size.Width / (2 * crop.Width), 0, size.Width - 1);
                indices[y * width + x] = fitted[row + column];
            }
        }
        return new LabelMap(height, width, indices);
    }

    private static void Unfilter(int filter, Span<byte> row, ReadOnlySpan<byte> above)
    {
        // Pixels of less than a byte are filtered by bytes too.
        for (int x = 0; x < row.Length; x++)
        {
            int left = x > 0 ? row[x - 1] : 0;
            int corner = x > 0 ? above[x - 1] : 0;
            row[x] += (byte)(filter switch
            {
                0 => 0,
                1 => left,
                2 => above[x],
                3 => (left + above[x]) / 2,
                4 => Paeth(left, above[x], corner),
                _ => throw new InvalidDataException("it is damaged"),
            });
        }
    }

    private static int Paeth(int left, int up, int corner)
    {
        int guess = left + up - corner;
        var (a, b, c) = (Math.Abs(guess - left), Math.Abs(guess - up), Math.Abs(guess - corner));
        return a <= b && a <= c ? left : b <= c ? up : corner;
    }

    private static void Chunk(Stream png, ReadOnlySpan<byte> type, ReadOnlySpan<byte> content)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, content.Length);
        png.Write(number);
        png.Write(type);
        png.Write(content);
        uint sum = ~0u;
        foreach (byte value in type) sum = Summed(sum, value);
        foreach (byte value in content) sum = Summed(sum, value);
        BinaryPrimitives.WriteUInt32BigEndian(number, ~sum);
        png.Write(number);
    }

    /// <summary>A byte more in a cyclic redundancy check (clause D of the standard).</summary>
    private static uint Summed(uint sum, byte value)
    {
        sum ^= value;
        for (int bit = 0; bit < 8; bit++) sum = (sum & 1) != 0 ? 0xedb88320 ^ (sum >> 1) : sum >> 1;
        return sum;
    }
}
