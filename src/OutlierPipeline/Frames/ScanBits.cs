namespace OutlierPipeline.Frames;

/// <summary>Reads the bits of a JPEG's scan, up to a restart marker or the end.</summary>
/// <remarks>ITU-T T.81, F.2.2.5.</remarks>
internal ref struct ScanBits(ReadOnlySpan<byte> data)
{
    private readonly ReadOnlySpan<byte> _data = data;
    private int _position;
    private ulong _bits;
    private int _count;

    /// <summary>Whether more bits were asked for than there are.</summary>
    public bool IsExhausted { get; private set; }

    /// <summary>Whether a code that is not in the table counts as a zero.</summary>
    public bool TakesAnyCode { get; set; }

    /// <summary>Bytes read so far, some of which may not be used yet.</summary>
    public readonly int Position => _position;

    /// <summary>The next symbol, or -1 for a code that is not in the table.</summary>
    public int Symbol(HuffmanTable table)
    {
        if (_count < 16) Fill();
        int next = (int)(_count >= 16 ? _bits >> (_count - 16) : _bits << (16 - _count)) & 0xffff;
        var (length, symbol) = table.Find(next);
        if (length == 0)
        {
            if (!TakesAnyCode) return -1;
            length = 17;
        }
        Drop(length);
        return symbol;
    }

    /// <summary>A number of up to 16 bits.</summary>
    public int Take(int bits)
    {
        if (bits == 0) return 0;
        if (_count < bits) Fill();
        int value = (int)(_count >= bits ? _bits >> (_count - bits) : _bits << (bits - _count)) & ((1 << bits) - 1);
        Drop(bits);
        return value;
    }

    /// <summary>
    /// Goes on behind the next restart marker; false where another marker, the end or other bytes than padding stand before it.
    /// </summary>
    /// <param name="number">Of the marker, 0 to 7.</param>
    public bool TryRestart(int number, out Range padding)
    {
        if (!TryPadding(out padding)) return false;
        _count = 0;
        _bits = 0;
        _position = padding.End.Value;
        while (_position < _data.Length - 1 && _data[_position] == 0xff && _data[_position + 1] == 0xff) _position++;
        if (_position > _data.Length - 2 || _data[_position] != 0xff || _data[_position + 1] != 0xd0 + number) return false;
        _position += 2;
        return true;
    }

    /// <summary>
    /// Whether nothing but padding is left before the next marker or the end: one byte, again and again, as encoders fill up what they
    /// send. It belongs to no block.
    /// </summary>
    public readonly bool TryPadding(out Range padding)
    {
        int next = _data[_position..].IndexOf((byte)0xff);
        int end = next < 0 ? _data.Length : _position + next;
        int begin = _position - _count / 8;
        padding = begin..end;
        if (begin == end) return true;
        byte filler = _data[begin];
        if (filler == 0xff || _data[begin..end].ContainsAnyExcept(filler)) return false;
        for (int shift = _count / 8 * 8 - 8; shift >= 0; shift -= 8)
        {
            if ((byte)(_bits >> shift) != filler) return false;
        }
        return true;
    }

    private void Drop(int bits)
    {
        _count -= bits;
        if (_count >= 0) return;
        IsExhausted = true;
        _count = 0;
    }

    private void Fill()
    {
        while (_count <= 48 && _position < _data.Length)
        {
            byte next = _data[_position];
            if (next == 0xff)
            {
                int after = _position + 1;
                while (after < _data.Length && _data[after] == 0xff) after++;
                // A marker, or the file's end: no more bits.
                if (after >= _data.Length || _data[after] != 0) return;
                _position = after;
            }
            _position++;
            _bits = _bits << 8 | next;
            _count += 8;
        }
    }
}
