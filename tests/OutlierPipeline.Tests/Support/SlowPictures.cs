using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using SkiaSharp;

namespace OutlierPipeline.Tests.Support;

/// <summary>Pictures made to be slow to decode, of every format, in sizes from small to the limit.</summary>
internal static class SlowPictures
{
    private static readonly Lazy<(string Name, byte[] File)[]> Made = new(() => [.. Make()]);

    /// <summary>Some hundred files with names that say what they are.</summary>
    public static IReadOnlyList<(string Name, byte[] File)> All => Made.Value;

    private static IEnumerable<(string Name, byte[] File)> Make()
    {
        foreach (int side in new[] { 300, 1800 })
        {
            foreach (bool isNoise in new[] { true, false })
            {
                string content = isNoise ? "noise" : "flat";
                using var bitmap = isNoise ? Noise(side, side) : new SKBitmap(side, side);
                foreach (var format in new[] { SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Png, SKEncodedImageFormat.Webp })
                {
                    // WebP is lossless from 100 on.
                    foreach (int quality in format == SKEncodedImageFormat.Webp ? new[] { 99, 100 } : [100])
                        yield return ($"{format} {content} {side} quality {quality}", Encoded(bitmap, format, quality));
                }
            }
            foreach (bool progressive in new[] { true, false })
            {
                yield return ($"JPEG 4:4:4 noise {side}{(progressive ? " progressive" : "")}",
                    TurboEncoder.EncodeNoise(side, side, Subsampling.Yuv444, progressive));
                yield return ($"JPEG 4:2:0 noise {side}{(progressive ? " progressive" : "")}",
                    TurboEncoder.EncodeNoise(side, side, Subsampling.Yuv420, progressive));
            }
            foreach (int scans in new[] { 1, 4, 16, 64, 256, 1000 })
                yield return ($"JPEG {side} with {scans} empty scans", Jpegs.Costly(side, scans));
            foreach (var (depth, colour) in new[] { (1, 0), (8, 0), (8, 3), (8, 2), (8, 6), (16, 2), (16, 6) })
            {
                foreach (bool isInterlaced in new[] { false, true })
                    yield return ($"PNG {side} depth {depth} colour {colour}{(isInterlaced ? " interlaced" : "")}",
                        Png(side, depth, colour, isInterlaced, chunks: 0));
            }
        }
        foreach (int side in new[] { 5000, 8192 })
        {
            yield return ($"PNG of one bit, {side}", Png(side, 1, 0, false, 0));
            yield return ($"PNG grey {side}", Png(side, 8, 0, false, 0));
            using var flat = new SKBitmap(side, side);
            yield return ($"JPEG flat {side}", Encoded(flat, SKEncodedImageFormat.Jpeg, 90));
            yield return ($"JPEG {side} with 8 empty scans", Jpegs.Costly(side, 8));
        }
        foreach (int chunks in new[] { 10_000, 400_000 }) yield return ($"PNG with {chunks} chunks", Png(64, 8, 2, false, chunks));
        foreach (int count in new[] { 10, 100, 1000 })
            yield return ($"PNG with {count} texts that inflate to 4 MB", Png(64, 8, 2, false, count, Inflating()));
        byte[] sound = Jpegs.Sound();
        foreach (int count in new[] { 10_000, 400_000 })
        {
            yield return ($"JPEG with {count} comments",
                [.. sound[..2], .. Enumerable.Repeat(new byte[] { 0xff, 0xfe, 0, 2 }, count).SelectMany(bytes => bytes), .. sound[2..]]);
            yield return ($"JPEG with {count} restart markers",
                [.. sound[..2], .. Enumerable.Repeat(new byte[] { 0xff, 0xd0 }, count).SelectMany(bytes => bytes), .. sound[2..]]);
        }
        byte[] table = [0xff, 0xc4, 0, 20, 0x03, 1, .. new byte[15], 0];
        yield return ("JPEG with 300000 tables",
            [.. sound[..2], .. Enumerable.Repeat(table, 300_000).SelectMany(bytes => bytes), .. sound[2..]]);
        yield return ("JPEG behind 10 MB of padding", [.. sound[..2], .. new byte[10_000_000], .. sound[2..]]);
    }

    private static SKBitmap Noise(int width, int height)
    {
        var bitmap = new SKBitmap(width, height);
        new Random(1).NextBytes(bitmap.GetPixelSpan());
        var pixels = bitmap.GetPixelSpan();
        for (int i = 3; i < pixels.Length; i += 4) pixels[i] = 255;
        return bitmap;
    }

    private static byte[] Encoded(SKBitmap bitmap, SKEncodedImageFormat format, int quality)
    {
        using var encoded = bitmap.Encode(format, quality);
        return encoded.ToArray();
    }

    /// <summary>A PNG of noise whose rows all have the filter that costs most (Paeth).</summary>
    private static byte[] Png(int side, int depth, int colour, bool isInterlaced, int chunks, byte[]? compressedText = null)
    {
        int channels = colour switch { 0 or 3 => 1, 2 => 3, _ => 4 };
        using var data = new MemoryStream();
        using (var zlib = new ZLibStream(data, CompressionLevel.Fastest, leaveOpen: true))
        {
            var random = new Random(2);
            foreach (var (width, height) in isInterlaced ? Passes(side) : [(side, side)])
            {
                byte[] row = new byte[1 + ((long)width * depth * channels + 7) / 8];
                for (int y = 0; y < height && width > 0; y++)
                {
                    random.NextBytes(row);
                    for (int i = 1; i < row.Length; i++) row[i] &= 0x0f;
                    row[0] = 4;
                    zlib.Write(row);
                }
            }
        }
        using var png = new MemoryStream();
        png.Write([0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a]);
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, side);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), side);
        (header[8], header[9], header[12]) = ((byte)depth, (byte)colour, (byte)(isInterlaced ? 1 : 0));
        Chunk("IHDR"u8, header);
        if (colour == 3) Chunk("PLTE"u8, new byte[768]);
        for (int i = 0; i < chunks; i++) Chunk(compressedText is null ? "teXt"u8 : "zTXt"u8, compressedText ?? [65, 0, 66]);
        Chunk("IDAT"u8, data.ToArray());
        Chunk("IEND"u8, []);
        return png.ToArray();

        void Chunk(ReadOnlySpan<byte> type, byte[] content)
        {
            byte[] number = new byte[4];
            BinaryPrimitives.WriteInt32BigEndian(number, content.Length);
            png.Write(number);
            byte[] body = [.. type, .. content];
            png.Write(body);
            BinaryPrimitives.WriteUInt32BigEndian(number, Crc32.HashToUInt32(body));
            png.Write(number);
        }
    }

    private static byte[] Inflating()
    {
        using var data = new MemoryStream();
        data.Write([65, 0, 0]);
        using (var zlib = new ZLibStream(data, CompressionLevel.SmallestSize, leaveOpen: true)) zlib.Write(new byte[4_000_000]);
        return data.ToArray();
    }

    private static IEnumerable<(int Width, int Height)> Passes(int side)
    {
        (int X, int Y, int Across, int Down)[] passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
            (1, 0, 2, 2), (0, 1, 1, 2)];
        return passes.Select(pass => ((side - pass.X + pass.Across - 1) / pass.Across, (side - pass.Y + pass.Down - 1) / pass.Down));
    }
}
