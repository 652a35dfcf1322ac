namespace OutlierPipeline.Frames;

/// <summary>A Huffman table of a JPEG, for finding the length and the symbol of a code.</summary>
/// <remarks>ITU-T T.81, annexes C and F.2.2.3; the standard tables, which Motion JPEG leaves out, annex K.3.</remarks>
internal sealed class HuffmanTable
{
    private const int FastBits = 9;
    private readonly byte[] _values = new byte[256];
    private readonly ushort[] _fast = new ushort[1 << FastBits];
    private readonly int[] _limits = new int[17];
    private readonly int[] _offsets = new int[17];

    /// <summary>The standard table of its class: 0 luminance DC, 1 chrominance DC, 2 luminance AC, 3 chrominance AC.</summary>
    public static (byte[] Counts, byte[] Values) Standard(int index) => index switch
    {
        0 => ([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        1 => ([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        2 => ([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], Convert.FromHexString(
            "01020300041105122131410613516107227114328191A1082342B1C11552D1F02433627282090A161718191A25262728292A343536373839"
            + "3A434445464748494A535455565758595A636465666768696A737475767778797A838485868788898A92939495969798999AA2A3A4A5A6A7"
            + "A8A9AAB2B3B4B5B6B7B8B9BAC2C3C4C5C6C7C8C9CAD2D3D4D5D6D7D8D9DAE1E2E3E4E5E6E7E8E9EAF1F2F3F4F5F6F7F8F9FA")),
        3 => ([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], Convert.FromHexString(
            "000102031104052131061241510761711322328108144291A1B1C109233352F0156272D10A162434E125F11718191A262728292A35363738"
            + "393A434445464748494A535455565758595A636465666768696A737475767778797A82838485868788898A92939495969798999AA2A3A4A5"
            + "A6A7A8A9AAB2B3B4B5B6B7B8B9BAC2C3C4C5C6C7C8C9CAD2D3D4D5D6D7D8D9DAE2E3E4E5E6E7E8E9EAF2F3F4F5F6F7F8F9FA")),
        _ => throw new ArgumentOutOfRangeException(nameof(index)),
    };

    /// <param name="counts">Codes of each length from 1 to 16.</param>
    /// <param name="values">The symbols, in the order of their codes.</param>
    /// <returns>False for a table that cannot be: more codes than there are.</returns>
    public bool TrySet(ReadOnlySpan<byte> counts, ReadOnlySpan<byte> values)
    {
        values.CopyTo(_values);
        Array.Clear(_fast);
        int code = 0;
        int used = 0;
        for (int length = 1; length <= 16; length++)
        {
            _offsets[length] = used - code;
            for (int i = 0; i < counts[length - 1]; i++, code++, used++)
            {
                if (code >= 1 << length) return false;
                if (length <= FastBits)
                    _fast.AsSpan(code << (FastBits - length), 1 << (FastBits - length)).Fill((ushort)(length << 8 | values[used]));
            }
            // Of the codes of this length the last, or -1 where shorter ones have used none.
            _limits[length] = counts[length - 1] == 0 ? -1 : code - 1;
            code <<= 1;
        }
        return true;
    }

    /// <summary>Finds the code at the head of 16 bits.</summary>
    /// <returns>Its length and symbol; length 0 where there is no such code.</returns>
    public (int Length, int Symbol) Find(int bits)
    {
        int fast = _fast[bits >> (16 - FastBits)];
        if (fast != 0) return (fast >> 8, fast & 255);
        for (int length = FastBits + 1; length <= 16; length++)
        {
            int code = bits >> (16 - length);
            if (code <= _limits[length]) return (length, _values[_offsets[length] + code & 255]);
        }
        return (0, 0);
    }
}
