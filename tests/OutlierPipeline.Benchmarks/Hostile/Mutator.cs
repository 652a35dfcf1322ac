using System.Buffers.Binary;
using System.Text;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary>Damages an input: bits, lengths, cuts, repeats, pieces of other inputs, and values of JSON.</summary>
internal sealed class Mutator(IReadOnlyList<byte[]> corpus, Random random)
{
    private const int MaxLength = 1 << 20;
    private static readonly int[] Numbers = [0, 1, -1, 127, 128, 255, 256, 32767, 65535, int.MaxValue, int.MinValue];

    private static readonly byte[][] Values =
    [
        .. new[]
        {
            "null", "true", "0", "-1", "1e999", "-1e-400", "2147483648", "99999999999999999999", "[]", "{}", "[null]", "\"\"",
            "\"\\ud800\"", "\"\\u0000\"", "\"../../x\"", "\"NaN\"", "{\"a\":null}", "[[],[]]", "\"9999-12-31T23:59:59Z\"", "1.5",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    /// <summary>An input of the corpus with one to six faults.</summary>
    public byte[] Next()
    {
        byte[] input = [.. Any(corpus)];
        for (int faults = random.Next(1, 7); faults > 0; faults--) input = Damaged(input);
        return input.Length > MaxLength ? input[..MaxLength] : input;
    }

    private byte[] Damaged(byte[] input)
    {
        if (input.Length == 0) return [(byte)random.Next(256)];
        if (input[0] is (byte)'{' or (byte)'[' && random.Next(3) > 0) return OtherValue(input);
        int at = random.Next(input.Length);
        int length = Math.Min(input.Length - at, random.Next(1, 1 << random.Next(1, 12)));
        switch (random.Next(9))
        {
            case 0:
                input[at] ^= (byte)(1 << random.Next(8));
                return input;
            case 1:
                input[at] = (byte)random.Next(256);
                return input;
            case 2 when at + 4 <= input.Length:
                BinaryPrimitives.WriteInt32BigEndian(input.AsSpan(at), Any(Numbers));
                return input;
            case 3 when at + 4 <= input.Length:
                BinaryPrimitives.WriteInt32LittleEndian(input.AsSpan(at), Any(Numbers));
                return input;
            case 4:
                return input[..at];
            case 5:
                return [.. input[..at], .. input[(at + length)..]];
            case 6:
                return [.. input[..(at + length)], .. input[at..]];
            case 7:
                byte[] other = Any(corpus);
                int from = random.Next(other.Length + 1);
                return [.. input[..at], .. other[from..Math.Min(other.Length, from + length)], .. input[(at + length)..]];
            default:
                byte[] noise = new byte[random.Next(1, 17)];
                random.NextBytes(noise);
                return [.. input[..at], .. noise, .. input[at..]];
        }
    }

    /// <summary>One value of a JSON text, from behind a colon, a comma or a bracket to the next of them, is another.</summary>
    private byte[] OtherValue(byte[] input)
    {
        int start = random.Next(input.Length);
        int found = input.AsSpan(start).IndexOfAny(":,["u8);
        if (found < 0) return [.. input, .. Any(Values)];
        start += found + 1;
        int length = input.AsSpan(start).IndexOfAny(",]}"u8);
        int end = length < 0 ? input.Length : start + length;
        return [.. input[..start], .. Any(Values), .. input[end..]];
    }

    private T Any<T>(IReadOnlyList<T> values) => values[random.Next(values.Count)];
}
