using OutlierPipeline.Alerts;

namespace OutlierPipeline.Detection;

/// <summary>
/// Finds a spot that stays while the picture around it moves: there the picture changes less from frame to frame than all around, its mean
/// stands out from its surroundings as it did not before, and the model finds it stranger than it has been.
/// </summary>
/// <remarks>
/// The sum of logarithms below, its weights and its threshold were chosen on rendered drives, the simulator's track and CamVid, with blobs
/// drawn over normal footage; docs/quality.md says how and what other drives gave. Signs after Willson et al., An optical model for image
/// artifacts produced by dust particles on lenses, 2005, and You et al., Adherent raindrop detection and removal in video, CVPR 2013.
/// Not thread-safe.
/// </remarks>
internal sealed class SpotFinder
{
    /// <summary>At this score a spot is there; normal windows reached 14.7.</summary>
    public const float Threshold = 15;

    /// <summary>Cells that belong to a spot may score so much less than its strongest.</summary>
    private const float Slope = 3;

    /// <summary>Levels of 255: where a place changed less before, or its surroundings do now, standing still says nothing.</summary>
    private const float MinSpread = 8;

    /// <summary>Of the median spread of all cells: places that move belong to the livelier ones.</summary>
    private const float MinShare = 0.7f;

    /// <summary>Cells at the picture's edge whose surroundings are not seen.</summary>
    private const int Border = 3;

    /// <summary>What sensors and rounding leave, in levels of 255: added to spreads and to changes before ratios are taken.</summary>
    private const float SpreadFloor = 1.5f, ChangeFloor = 0.7f;

    /// <summary>
    /// What a deviation of the error map over its highest of late adds, how many deviations count, and how much clearer the other signs
    /// must be where the model sees nothing. Without an error map nothing is added.
    /// </summary>
    private const float ErrorWeight = 1.25f, MaxError = 4, ErrorMargin = 1.5f;

    /// <summary>A ring around a cell, in cells; a spot is smaller, its surroundings larger.</summary>
    private static readonly (int X, int Y)[] Ring =
    [
        (0, 5), (0, -5), (5, 0), (-5, 0), (4, 4), (-4, 4), (4, -4), (-4, -4),
        (5, 2), (2, 5), (5, -2), (-2, 5), (-5, 2), (2, -5), (-5, -2), (-2, -5),
    ];

    /// <summary>Cells across that a spot has at most: what is as wide as its ring is a part of the scene.</summary>
    private const int MaxWidth = 10;

    /// <summary>So many places of the ring may be like the spot: something else may stand there.</summary>
    private const int Spared = 2;

    private readonly int _columns;
    private readonly int _rows;
    private readonly int _errorColumns;
    private readonly int _errorRows;
    private readonly float[] _errors;
    private readonly CellMaps _now;
    private readonly CellMaps _before;
    private readonly CellMaps _ring;
    private readonly float[] _ringBefore;
    private readonly float[] _scratch;
    private float _livelier;

    public SpotFinder(int columns, int rows, int errorColumns, int errorRows)
    {
        (_columns, _rows, _errorColumns, _errorRows) = (columns, rows, errorColumns, errorRows);
        int cells = columns * rows;
        (_now, _before, _ring) = (CellMaps.Of(cells, []), CellMaps.Of(cells, []), CellMaps.Of(cells, []));
        _errors = new float[errorColumns * errorRows];
        _ringBefore = new float[3 * cells];
        _scratch = new float[cells];
    }

    /// <summary>The strongest spot at or over the threshold, in shares of the picture; null where there is none.</summary>
    /// <param name="counts">Whether a cell counts; a mask leaves others out.</param>
    public (PictureRegion Where, float Score)? Find(in CellMaps now, in CellMaps before, ReadOnlySpan<bool> counts)
    {
        Prepare(now);
        Smooth(before, _before);
        for (int c = 0; c < 3; c++) RingMean(_before.Means, _ringBefore, c);
        _livelier = Math.Max(MinShare * Median(_before.Spreads), MinSpread);
        bool hasErrors = now.Errors.AsSpan().ContainsAnyExcept(0f);
        for (int i = 0; i < _errors.Length; i++)
            _errors[i] = hasErrors ? ErrorWeight * Math.Clamp(now.Errors[i] - before.Errors[i], -MaxError, MaxError) - ErrorMargin : 0;
        int best = -1;
        float highest = float.NegativeInfinity;
        for (int y = Border; y < _rows - Border; y++)
        {
            for (int x = Border; x < _columns - Border; x++)
            {
                float score = Score(x, y, Threshold, counts);
                if (score > highest) (best, highest) = (y * _columns + x, score);
            }
        }
        return highest >= Threshold && Outline(best, highest - Slope, counts) is { } outline ? (outline, highest) : null;
    }

    /// <summary>How much stiller a place is than its surroundings, by its stillest cell; null where those do not move.</summary>
    public float? Stillness(in CellMaps now, PictureRegion where)
    {
        Prepare(now);
        float? stillest = null;
        int left = (int)(where.X * _columns), right = (int)Math.Ceiling((where.X + where.Width) * _columns);
        int top = (int)(where.Y * _rows), bottom = (int)Math.Ceiling((where.Y + where.Height) * _rows);
        for (int y = Math.Max(0, top); y < Math.Min(_rows, bottom); y++)
        {
            for (int x = Math.Max(0, left); x < Math.Min(_columns, right); x++)
            {
                if (_ring.Spreads[y * _columns + x] <= MinSpread) continue;
                float stillness = StillnessOf(x, y);
                if (!(stillness <= stillest)) stillest = stillness;
            }
        }
        return stillest;
    }

    private void Prepare(in CellMaps now)
    {
        Smooth(now, _now);
        RingMean(_now.Spreads, _ring.Spreads);
        RingMean(_now.Changes, _ring.Changes);
        for (int c = 0; c < 3; c++) RingMean(_now.Means, _ring.Means, c);
    }

    /// <summary>A cell's score; negative infinity where it cannot be a spot, or cannot reach a bound.</summary>
    private float Score(int x, int y, float bound, ReadOnlySpan<bool> counts)
    {
        int cell = y * _columns + x;
        int cells = _columns * _rows;
        if (!counts[cell] || _before.Spreads[cell] <= _livelier || _ring.Spreads[cell] <= MinSpread) return float.NegativeInfinity;
        Span<float> contrast = stackalloc float[3];
        Span<float> change = stackalloc float[3];
        float standsOut = 0, isNew = 0;
        for (int c = 0, k = cell; c < 3; c++, k += cells)
        {
            contrast[c] = _now.Means[k] - _ring.Means[k];
            change[c] = contrast[c] - (_before.Means[k] - _ringBefore[k]);
            standsOut += contrast[c] * contrast[c];
            isNew += change[c] * change[c];
        }
        standsOut = MathF.Sqrt(standsOut);
        isNew = MathF.Sqrt(isNew);
        float error = _errors[y * _errorRows / _rows * _errorColumns + x * _errorColumns / _columns];
        // What a cell can reach at the most costs no look at its ring.
        float most = 2.5f * MathF.Log((_ring.Changes[cell] + ChangeFloor) / (_now.Changes[cell] + ChangeFloor))
            + 0.5f * MathF.Log((_ring.Spreads[cell] + SpreadFloor) / (_now.Spreads[cell] + SpreadFloor)) + 0.3f
            + MathF.Log(1 + standsOut) + 1.5f * MathF.Log(1 + isNew) + 1.5f + error;
        if (most < bound) return float.NegativeInfinity;
        Span<float> along = stackalloc float[Ring.Length];
        for (int r = 0; r < Ring.Length; r++)
        {
            int other = At(x + Ring[r].X, y + Ring[r].Y);
            float sum = 0;
            for (int c = 0; c < 3; c++) sum += (_now.Means[c * cells + cell] - _now.Means[c * cells + other]) * change[c];
            along[r] = sum / (isNew + 1e-3f);
        }
        along.Sort();
        return StillnessOf(x, y) + MathF.Log(1 + standsOut) + 1.5f * MathF.Log(1 + isNew)
            + 0.25f * Math.Clamp(along[Spared] / 10, -4, 6) + error;
    }

    private float StillnessOf(int x, int y)
    {
        int cell = y * _columns + x;
        Span<float> spreads = stackalloc float[Ring.Length];
        Span<float> changes = stackalloc float[Ring.Length];
        for (int r = 0; r < Ring.Length; r++)
        {
            int other = At(x + Ring[r].X, y + Ring[r].Y);
            (spreads[r], changes[r]) = (_now.Spreads[other], _now.Changes[other]);
        }
        spreads.Sort();
        changes.Sort();
        float change = _now.Changes[cell] + ChangeFloor;
        return 0.5f * MathF.Log((spreads[Spared] + SpreadFloor) / (_now.Spreads[cell] + SpreadFloor))
            + MathF.Log((changes[Spared] + ChangeFloor) / change) + 1.5f * MathF.Log((_ring.Changes[cell] + ChangeFloor) / change);
    }

    /// <summary>
    /// The box around the cells that hang together with one and score no less than a bound, and a cell more on each side; null where it is
    /// no spot.
    /// </summary>
    private PictureRegion? Outline(int cell, float bound, ReadOnlySpan<bool> counts)
    {
        var (left, top) = (cell % _columns, cell / _columns);
        var (right, bottom) = (left, top);
        var open = new Stack<int>([cell]);
        var seen = new HashSet<int>([cell]);
        while (open.TryPop(out int at))
        {
            var (x, y) = (at % _columns, at / _columns);
            (left, right, top, bottom) = (Math.Min(left, x), Math.Max(right, x), Math.Min(top, y), Math.Max(bottom, y));
            foreach (var (nextX, nextY) in (ReadOnlySpan<(int, int)>)[(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)])
            {
                if (nextX < Border || nextX >= _columns - Border || nextY < Border || nextY >= _rows - Border
                    || !seen.Add(nextY * _columns + nextX) || Score(nextX, nextY, bound, counts) < bound) continue;
                open.Push(nextY * _columns + nextX);
            }
        }
        if (right - left >= MaxWidth || bottom - top >= MaxWidth) return null;
        return new PictureRegion(Share(left - 1, _columns), Share(top - 1, _rows), Share(right - left + 3, _columns),
            Share(bottom - top + 3, _rows));

        static double Share(int cells, int of) => Math.Round((double)cells / of, 4);
    }

    private int At(int x, int y) => Math.Clamp(y, 0, _rows - 1) * _columns + Math.Clamp(x, 0, _columns - 1);

    private void Smooth(in CellMaps from, in CellMaps to)
    {
        for (int c = 0; c < 3; c++) Smooth(from.Means, to.Means, c);
        Smooth(from.Spreads, to.Spreads);
        Smooth(from.Changes, to.Changes);
    }

    /// <summary>The mean of each cell and its eight neighbours.</summary>
    private void Smooth(float[] from, float[] to, int plane = 0)
    {
        int offset = plane * _columns * _rows;
        for (int y = 0; y < _rows; y++)
        {
            for (int x = 0; x < _columns; x++)
            {
                float sum = 0;
                for (int dy = -1; dy <= 1; dy++)
                {
                    int row = Math.Clamp(y + dy, 0, _rows - 1) * _columns + offset;
                    sum += from[row + Math.Max(x - 1, 0)] + from[row + x] + from[row + Math.Min(x + 1, _columns - 1)];
                }
                to[offset + y * _columns + x] = sum / 9;
            }
        }
    }

    private void RingMean(float[] from, float[] to, int plane = 0)
    {
        int offset = plane * _columns * _rows;
        Array.Clear(to, offset, _columns * _rows);
        foreach (var (dx, dy) in Ring)
        {
            for (int y = 0; y < _rows; y++)
            {
                int row = offset + Math.Clamp(y + dy, 0, _rows - 1) * _columns;
                int own = offset + y * _columns;
                int first = Math.Max(0, -dx), end = Math.Min(_columns, _columns - dx);
                for (int x = 0; x < first; x++) to[own + x] += from[row];
                for (int x = first; x < end; x++) to[own + x] += from[row + x + dx];
                for (int x = end; x < _columns; x++) to[own + x] += from[row + _columns - 1];
            }
        }
        for (int i = 0; i < _columns * _rows; i++) to[offset + i] /= Ring.Length;
    }

    private float Median(float[] values)
    {
        values.CopyTo(_scratch, 0);
        Array.Sort(_scratch);
        return _scratch[_scratch.Length / 2];
    }
}
