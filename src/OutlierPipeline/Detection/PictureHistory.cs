using System.Numerics;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>What one camera showed of late, about 55 bytes a cell: windows of frames, and the mean of earlier ones.</summary>
internal sealed class PictureHistory
{
    /// <summary>Frames in a window; another begins every half of it.</summary>
    public const int Window = 40;

    /// <summary>Cells across at least, as long as the picture has as many pixels; less than twice as many.</summary>
    private const int MinColumns = 80;

    /// <summary>Mean difference from the frame before, in levels of 255, below which the car stands.</summary>
    private const double MinMotion = 1.5;

    private const int InverseBits = 32;

    /// <summary>Windows over which the earlier minute is averaged.</summary>
    private const int Memory = 8;

    private readonly int _side;
    private readonly int _width;
    private readonly CellWindow[] _windows;
    private readonly StoredMaps _before;
    private readonly StoredMaps[] _pending;
    private byte[] _last;
    private byte[] _next;
    private bool _hasLast;
    private int _kept;
    private int _frames;

    public PictureHistory(FrameSize size, FrameMask? mask)
    {
        _side = Math.Max(1, size.Width / MinColumns);
        _width = size.Width;
        (Columns, Rows) = (size.Width / _side, size.Height / _side);
        int cells = Columns * Rows;
        Counts = new bool[cells];
        for (int i = 0; i < cells; i++) Counts[i] = mask is null || IsWhole(mask, i);
        CoarseCounts = new bool[Columns / 2 * (Rows / 2)];
        for (int i = 0; i < CoarseCounts.Length; i++)
        {
            int at = i / (Columns / 2) * 2 * Columns + i % (Columns / 2) * 2;
            CoarseCounts[i] = Counts[at] && Counts[at + 1] && Counts[at + Columns] && Counts[at + Columns + 1];
        }
        (ErrorColumns, ErrorRows) = (size.Width / FrameMask.CellSide, size.Height / FrameMask.CellSide);
        int errors = ErrorColumns * ErrorRows;
        _windows = [new CellWindow(cells, errors), new CellWindow(cells, errors)];
        _before = new StoredMaps(cells, errors);
        _pending = [new StoredMaps(cells, errors), new StoredMaps(cells, errors)];
        (_last, _next) = (new byte[3 * cells], new byte[3 * cells]);
    }

    public int Columns { get; }

    public int Rows { get; }

    /// <summary>Cells of the error map across.</summary>
    public int ErrorColumns { get; }

    public int ErrorRows { get; }

    /// <summary>Which cells the mask leaves.</summary>
    public bool[] Counts { get; }

    /// <summary>The same of cells of twice the side.</summary>
    public bool[] CoarseCounts { get; }

    /// <summary>Takes a frame into the windows, unless the car stands.</summary>
    /// <returns>The window that is the longer one now; null where the frame was not taken.</returns>
    public CellWindow? Add(ReadOnlySpan<byte> pixels, ReadOnlySpan<float> errorMap, FrameRef frame)
    {
        Scale(pixels);
        if (_hasLast)
        {
            if (Difference(_next, _last) < MinMotion * _next.Length) return null;
            _windows[0].Add(_next, _last, errorMap, frame);
            if (_frames++ >= Window / 2) _windows[1].Add(_next, _last, errorMap, frame);
        }
        (_last, _next, _hasLast) = (_next, _last, true);
        return _windows[_windows[1].Count > _windows[0].Count ? 1 : 0];
    }

    /// <summary>What the windows showed that ended before the last one began; false before there were two.</summary>
    /// <param name="held">A place where nothing is learned.</param>
    public bool ReadBefore(in CellMaps maps, PictureRegion? held)
    {
        if (_kept >= 2) _before.Learn(_pending[_kept % 2], 1f / Math.Min(_kept - 1, Memory), i => held is { } where && IsIn(where, i));
        if (_kept < 3) return false;
        _before.Load(maps);
        return true;
    }

    /// <summary>Keeps a window's maps, which count as earlier once a window has ended that shares no frame with it.</summary>
    public void Keep(in CellMaps maps) => _pending[_kept++ % 2].Store(maps);

    public void Break()
    {
        foreach (var window in _windows) window.Clear();
        (_hasLast, _frames) = (false, 0);
    }

    private bool IsIn(PictureRegion where, int cell)
    {
        double x = (cell % Columns + 0.5) / Columns - where.X, y = (cell / Columns + 0.5) / Rows - where.Y;
        return x >= 0 && y >= 0 && x <= where.Width && y <= where.Height;
    }

    private bool IsWhole(FrameMask mask, int cell)
    {
        for (int y = cell / Columns * _side, i = 0; i < _side; i++, y++)
        {
            if (mask.Pixels.Slice(y * _width + cell % Columns * _side, _side).Contains((byte)0)) return false;
        }
        return true;
    }

    private void Scale(ReadOnlySpan<byte> pixels)
    {
        int area = _side * _side, cells = Columns * Rows;
        // A division for each cell would cost more than all the rest; exact for sums of so few bytes.
        ulong inverse = ((1UL << InverseBits) + (uint)area - 1) / (uint)area;
        Span<uint> sums = stackalloc uint[3 * Columns];
        for (int row = 0; row < Rows; row++)
        {
            sums.Clear();
            for (int y = row * _side; y < (row + 1) * _side; y++)
            {
                var line = pixels.Slice(y * _width * 3, Columns * _side * 3);
                for (int column = 0; column < Columns; column++)
                {
                    var cell = line.Slice(column * _side * 3, _side * 3);
                    uint red = 0, green = 0, blue = 0;
                    for (int k = 0; k + 2 < cell.Length; k += 3)
                        (red, green, blue) = (red + cell[k], green + cell[k + 1], blue + cell[k + 2]);
                    var sum = sums.Slice(3 * column, 3);
                    (sum[0], sum[1], sum[2]) = (sum[0] + red, sum[1] + green, sum[2] + blue);
                }
            }
            for (int c = 0; c < 3; c++)
            {
                var plane = _next.AsSpan(c * cells + row * Columns, Columns);
                for (int column = 0; column < plane.Length; column++)
                    plane[column] = (byte)((sums[3 * column + c] + (uint)area / 2) * inverse >> InverseBits);
            }
        }
    }

    /// <summary>Sum of the absolute differences between two runs of bytes.</summary>
    private static long Difference(ReadOnlySpan<byte> now, ReadOnlySpan<byte> before)
    {
        var sums = Vector<uint>.Zero;
        int i = 0;
        for (; i <= now.Length - Vector<byte>.Count; i += Vector<byte>.Count)
        {
            var (value, last) = (new Vector<byte>(now[i..]), new Vector<byte>(before[i..]));
            Vector.Widen(Vector.Max(value, last) - Vector.Min(value, last), out var low, out var high);
            Vector.Widen(low + high, out var even, out var odd);
            sums += even + odd;
        }
        long sum = Vector.Sum(sums);
        for (; i < now.Length; i++) sum += Math.Abs(now[i] - before[i]);
        return sum;
    }
}
