using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace OutlierPipeline.Frames;

/// <summary>
/// Reads the entropy-coded data of a JPEG to their end without computing a pixel, and so finds what libjpeg warns of and SkiaSharp keeps to
/// itself: rows that are missing, codes that
/// do not exist. A file has the same fate with either. One a worker; not thread-safe.
/// </summary>
/// <remarks>ITU-T T.81, annexes F.2 and G.2.</remarks>
internal sealed class JpegEntropy : IDisposable
{
    /// <summary>
    /// So many bytes behind the last block may lie in libjpeg-turbo's register when it ends, so that it does not warn of them.
    /// </summary>
    private const int Unseen = 7;

    /// <summary>
    /// While so many bytes a block are left of the file, libjpeg-turbo reads without looking for codes that do not exist, and takes them
    /// for zeros. What it draws so is drawn so here.
    /// </summary>
    private const int Unchecked = 512;

    private readonly HuffmanTable[] _tables = [.. Enumerable.Range(0, 8).Select(_ => new HuffmanTable())];
    private readonly bool[] _isSet = new bool[8];
    private readonly PixelBuffer _coefficients = new();
    private readonly Component[] _components = new Component[4];
    private readonly List<(int Begin, int Length)> _padding = [];
    private readonly byte[] _frame = new byte[18];
    private int _frameLength;
    private int _count;
    private int _restartInterval;

    /// <param name="jpeg">Without oddities: one that <see cref="JpegFile.Read"/> has accepted, mended if need be.</param>
    /// <returns><see cref="FrameError.None"/>, <see cref="FrameError.Truncated"/> or <see cref="FrameError.Corrupt"/>.</returns>
    public FrameError Check(ReadOnlySpan<byte> jpeg, in JpegFile file)
    {
        _restartInterval = 0;
        _padding.Clear();
        Array.Clear(_isSet);
        var segments = new JpegSegments(jpeg);
        while (segments.MoveNext())
        {
            var content = segments.Content;
            FrameError error = FrameError.None;
            if (segments.IsFrame) error = SetFrame(content, file);
            else if (segments.Marker == JpegSegments.HuffmanTables) error = SetTables(content);
            else if (segments.Marker == JpegSegments.RestartInterval && content.Length >= 2)
                _restartInterval = BinaryPrimitives.ReadUInt16BigEndian(content);
            else if (segments.Marker == JpegSegments.StartOfScan)
                error = CheckScan(content, segments.ScanData, file, segments.ScanBegin, jpeg.Length - segments.ScanBegin);
            if (error != FrameError.None) return error;
        }
        return FrameError.None;
    }

    /// <summary>Memory for what is known of coefficients.</summary>
    public PixelBuffer Buffer => _coefficients;

    public void Dispose() => _coefficients.Dispose();

    private FrameError SetFrame(ReadOnlySpan<byte> frame, in JpegFile file)
    {
        _count = file.Components;
        _frameLength = 6 + 3 * _count;
        frame[.._frameLength].CopyTo(_frame);
        int horizontal = 1;
        int vertical = 1;
        for (int i = 0; i < _count; i++)
        {
            horizontal = Math.Max(horizontal, frame[7 + 3 * i] >> 4);
            vertical = Math.Max(vertical, frame[7 + 3 * i] & 15);
        }
        int across = (file.Width + 8 * horizontal - 1) / (8 * horizontal);
        int down = (file.Height + 8 * vertical - 1) / (8 * vertical);
        long first = 0;
        for (int i = 0; i < _count; i++)
        {
            int h = frame[7 + 3 * i] >> 4;
            int v = frame[7 + 3 * i] & 15;
            int width = ((file.Width * h + horizontal - 1) / horizontal + 7) / 8;
            int height = ((file.Height * v + vertical - 1) / vertical + 7) / 8;
            _components[i] = new Component(frame[6 + 3 * i], h, v, width, height, across * h, first);
            first += (long)across * h * down * v;
        }
        // Which coefficients are not zero, a bit each: what a refinement reads depends on it.
        if (file.IsProgressive) _coefficients.Rent(first * sizeof(ulong)).Clear();
        return FrameError.None;
    }

    private FrameError SetTables(ReadOnlySpan<byte> content)
    {
        while (content.Length >= 17)
        {
            int index = (content[0] >> 4) * 4 + (content[0] & 15);
            int values = 0;
            foreach (byte count in content.Slice(1, 16)) values += count;
            if (content[0] >> 4 > 1 || (content[0] & 15) > 3 || values > 256 || values > content.Length - 17) return FrameError.Corrupt;
            if (!_tables[index].TrySet(content.Slice(1, 16), content.Slice(17, values))) return FrameError.Corrupt;
            _isSet[index] = true;
            content = content[(17 + values)..];
        }
        return content.IsEmpty ? FrameError.None : FrameError.Corrupt;
    }

    private FrameError CheckScan(ReadOnlySpan<byte> scan, ReadOnlySpan<byte> data, in JpegFile file, int begin, int left)
    {
        int count = scan[0];
        Span<int> components = stackalloc int[count];
        int taken = 0;
        for (int i = 0; i < count; i++)
        {
            components[i] = JpegFile.Find(_frame.AsSpan(0, _frameLength), scan[1 + 2 * i], ref taken);
            if (components[i] < 0) return FrameError.Corrupt;
            int tables = scan[2 + 2 * i];
            _components[components[i]].Dc = TableOf(tables >> 4 & 3);
            _components[components[i]].Ac = TableOf(4 + (tables & 3));
        }
        var pass = file.IsProgressive ? new Pass(scan[^3], scan[^2], scan[^1] >> 4 > 0) : new Pass(0, 63, false);
        var bits = new ScanBits(data);
        int run = 0;
        bool interleaved = count > 1;
        ref var only = ref _components[components[0]];
        int across = interleaved ? only.Stride / only.Horizontal : only.Width;
        int down = interleaved ? (only.Height + only.Vertical - 1) / only.Vertical : only.Height;
        var coefficients = file.IsProgressive ? MemoryMarshal.Cast<byte, ulong>(_coefficients.Current) : default;
        int untilRestart = _restartInterval;
        int restart = 0;
        int blocks = 0;
        foreach (int c in components) blocks += interleaved ? _components[c].Horizontal * _components[c].Vertical : 1;
        for (int y = 0; y < down; y++)
        {
            for (int x = 0; x < across; x++)
            {
                bits.TakesAnyCode = !file.IsProgressive && left - bits.Position >= Unchecked * blocks;
                if (_restartInterval > 0 && untilRestart-- == 0)
                {
                    if (!bits.TryRestart(restart, out var filled)) return FrameError.Corrupt;
                    AddPadding(begin, filled);
                    restart = restart + 1 & 7;
                    untilRestart = _restartInterval - 1;
                    run = 0;
                }
                if (!interleaved)
                {
                    if (!Block(ref bits, ref only, pass, file.IsProgressive, coefficients, only.First + (long)y * only.Stride + x,
                        ref run)) return FrameError.Corrupt;
                }
                else
                {
                    foreach (int c in components)
                    {
                        ref var component = ref _components[c];
                        for (int v = 0; v < component.Vertical; v++)
                        {
                            for (int h = 0; h < component.Horizontal; h++)
                            {
                                long block = component.First + (long)(y * component.Vertical + v) * component.Stride + x
                                    * component.Horizontal + h;
                                if (!Block(ref bits, ref component, pass, file.IsProgressive, coefficients, block, ref run))
                                    return FrameError.Corrupt;
                            }
                        }
                    }
                }
                if (bits.IsExhausted) return FrameError.Truncated;
            }
        }
        bool isPadding = bits.TryPadding(out var rest);
        // Some encoders end with a restart marker that begins nothing.
        bool isAtEnd = rest.End.Equals(data.Length) || rest.End.Value == data.Length - 2 && data[^2] == 0xff && data[^1] is >= 0xd0
            and <= 0xd7;
        if (!isAtEnd || !isPadding && rest.End.Value - rest.Start.Value > Unseen) return FrameError.Corrupt;
        AddPadding(begin, rest);
        return FrameError.None;
    }

    /// <summary>Writes what was checked last without its padding.</summary>
    /// <param name="copy">As long as <paramref name="jpeg"/>.</param>
    /// <returns>Bytes written.</returns>
    public int Strip(ReadOnlySpan<byte> jpeg, Span<byte> copy)
    {
        int length = 0;
        int from = 0;
        foreach (var (begin, padding) in _padding)
        {
            jpeg[from..begin].CopyTo(copy[length..]);
            length += begin - from;
            from = begin + padding;
        }
        jpeg[from..].CopyTo(copy[length..]);
        return length + jpeg.Length - from;
    }

    private void AddPadding(int begin, Range padding)
    {
        int length = padding.End.Value - padding.Start.Value;
        if (length > 0) _padding.Add((begin + padding.Start.Value, length));
    }

    private HuffmanTable TableOf(int index)
    {
        if (!_isSet[index])
        {
            var (counts, values) = HuffmanTable.Standard(Math.Min(index & 3, 1) + (index < 4 ? 0 : 2));
            _tables[index].TrySet(counts, values);
            _isSet[index] = true;
        }
        return _tables[index];
    }

    /// <summary>Reads one block; false for a code that does not exist.</summary>
    private static bool Block(ref ScanBits bits, ref Component component, in Pass pass, bool isProgressive, Span<ulong> coefficients,
        long block, ref int run)
    {
        if (!isProgressive) return Sequential(ref bits, component);
        if (pass.First == 0)
        {
            if (pass.IsRefinement)
            {
                bits.Take(1);
                return true;
            }
            int length = bits.Symbol(component.Dc);
            if (length is < 0 or > 16) return false;
            bits.Take(length);
            return true;
        }
        ref ulong nonzero = ref coefficients[(int)block];
        return pass.IsRefinement
            ? Refine(ref bits, component, pass, ref nonzero, ref run)
            : First(ref bits, component, pass, ref nonzero, ref run);
    }

    private static bool Sequential(ref ScanBits bits, in Component component)
    {
        int length = bits.Symbol(component.Dc);
        if (length is < 0 or > 16) return false;
        bits.Take(length);
        for (int k = 1; k < 64; k++)
        {
            int symbol = bits.Symbol(component.Ac);
            if (symbol < 0) return false;
            int size = symbol & 15;
            if (size == 0 && symbol != 0xf0) break;
            k += symbol >> 4;
            bits.Take(size);
        }
        return true;
    }

    private static bool First(ref ScanBits bits, in Component component, in Pass pass, ref ulong nonzero, ref int run)
    {
        if (run > 0)
        {
            run--;
            return true;
        }
        for (int k = pass.First; k <= pass.Last; k++)
        {
            int symbol = bits.Symbol(component.Ac);
            if (symbol < 0) return false;
            int zeros = symbol >> 4;
            int size = symbol & 15;
            if (size == 0 && zeros != 15)
            {
                run = (1 << zeros) + bits.Take(zeros) - 1;
                break;
            }
            k += zeros;
            if (size == 0) continue;
            bits.Take(size);
            nonzero |= 1UL << (k & 63);
        }
        return true;
    }

    private static bool Refine(ref ScanBits bits, in Component component, in Pass pass, ref ulong nonzero, ref int run)
    {
        int k = pass.First;
        for (; run == 0 && k <= pass.Last; k++)
        {
            int symbol = bits.Symbol(component.Ac);
            int size = symbol & 15;
            if (symbol < 0 || size > 1) return false;
            int zeros = symbol >> 4;
            bits.Take(size);
            if (size == 0 && zeros != 15)
            {
                run = (1 << zeros) + bits.Take(zeros);
                break;
            }
            for (; k <= pass.Last; k++)
            {
                if ((nonzero >> k & 1) != 0) bits.Take(1);
                else if (--zeros < 0) break;
            }
            if (size > 0 && k <= pass.Last) nonzero |= 1UL << k;
        }
        if (run == 0) return true;
        ulong rest = nonzero >> k << k & (pass.Last == 63 ? ulong.MaxValue : (1UL << (pass.Last + 1)) - 1);
        if (k <= pass.Last)
        {
            for (int left = System.Numerics.BitOperations.PopCount(rest); left > 0; left -= Math.Min(left, 16))
                bits.Take(Math.Min(left, 16));
        }
        run--;
        return true;
    }

    /// <summary>Which coefficients a scan brings, and whether it is their first pass.</summary>
    private readonly record struct Pass(int First, int Last, bool IsRefinement);

    private struct Component(byte id, int horizontal, int vertical, int width, int height, int stride, long first)
    {
        public readonly byte Id = id;
        public readonly int Horizontal = horizontal;
        public readonly int Vertical = vertical;

        /// <summary>Blocks across and down that belong to the picture.</summary>
        public readonly int Width = width;
        public readonly int Height = height;

        /// <summary>Blocks across, padding included.</summary>
        public readonly int Stride = stride;

        /// <summary>The number of its first block.</summary>
        public readonly long First = first;
        public HuffmanTable Dc = null!;
        public HuffmanTable Ac = null!;
    }
}
