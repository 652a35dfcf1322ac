using System.Numerics;
using System.Numerics.Tensors;
using OutlierPipeline.Alerts;

namespace OutlierPipeline.Detection;

/// <summary>What a window of frames was like in each cell of the picture, N of them.</summary>
/// <param name="Means">Mean of red, green and blue, 3 N values, a plane a channel.</param>
/// <param name="Spreads">Standard deviation in time, over the three channels; N values.</param>
/// <param name="Changes">Mean absolute difference from frame to frame, over the three channels; N values.</param>
/// <param name="Errors">The mean error map, h·w values of the model's own cells.</param>
internal readonly record struct CellMaps(float[] Means, float[] Spreads, float[] Changes, float[] Errors)
{
    public static CellMaps Of(int cells, float[] errors) => new(new float[3 * cells], new float[cells], new float[cells], errors);
}

/// <summary>Maps that are kept: of half the size.</summary>
internal sealed class StoredMaps(int cells, int errors)
{
    private readonly Half[] _means = new Half[3 * cells];
    private readonly Half[] _spreads = new Half[cells];
    private readonly Half[] _changes = new Half[cells];
    private readonly Half[] _errors = new Half[errors];

    public void Store(in CellMaps maps)
    {
        for (int i = 0; i < _means.Length; i++) _means[i] = (Half)maps.Means[i];
        for (int i = 0; i < _spreads.Length; i++) (_spreads[i], _changes[i]) = ((Half)maps.Spreads[i], (Half)maps.Changes[i]);
        for (int i = 0; i < _errors.Length; i++) _errors[i] = (Half)maps.Errors[i];
    }

    public void Load(in CellMaps maps)
    {
        for (int i = 0; i < _means.Length; i++) maps.Means[i] = (float)_means[i];
        for (int i = 0; i < _spreads.Length; i++) (maps.Spreads[i], maps.Changes[i]) = ((float)_spreads[i], (float)_changes[i]);
        for (int i = 0; i < _errors.Length; i++) maps.Errors[i] = (float)_errors[i];
    }

    /// <summary>
    /// Moves towards other maps by a share, but for cells that are held. Errors rise to the other's at once: a place counts as strange
    /// where it is stranger than it has been.
    /// </summary>
    public void Learn(StoredMaps other, float share, Func<int, bool> isHeld)
    {
        int cells = _spreads.Length;
        for (int i = 0; i < cells; i++)
        {
            if (isHeld(i)) continue;
            for (int c = 0; c < 3; c++) Move(_means, other._means, c * cells + i);
            Move(_spreads, other._spreads, i);
            Move(_changes, other._changes, i);
        }
        for (int i = 0; i < _errors.Length; i++)
        {
            if (other._errors[i] > _errors[i] || share >= 1) _errors[i] = other._errors[i];
            else Move(_errors, other._errors, i);
        }

        void Move(Half[] mine, Half[] theirs, int i) => mine[i] = (Half)((float)mine[i] + share * ((float)theirs[i] - (float)mine[i]));
    }
}

/// <summary>Sums over a window of frames, in integers: bytes of up to 85 frames fit.</summary>
internal sealed class CellWindow(int cells, int errors)
{
    private readonly ushort[] _sums = new ushort[3 * cells];
    private readonly int[] _squares = new int[cells];
    private readonly ushort[] _differences = new ushort[cells];
    private readonly float[] _errors = new float[errors];

    public int Count { get; private set; }

    /// <summary>The window's first frame.</summary>
    public FrameRef Begin { get; private set; }

    /// <param name="now">3 N bytes, a plane a channel.</param>
    /// <param name="before">The frame before, the same.</param>
    /// <param name="errorMap">h·w values; of another length where nobody has them.</param>
    public void Add(ReadOnlySpan<byte> now, ReadOnlySpan<byte> before, ReadOnlySpan<float> errorMap, FrameRef frame)
    {
        if (Count++ == 0) Begin = frame;
        if (errorMap.Length == _errors.Length) TensorPrimitives.Add(_errors, errorMap, _errors);
        for (int c = 0; c < 3; c++)
            Add(now.Slice(c * cells, cells), before.Slice(c * cells, cells), _sums.AsSpan(c * cells, cells), _squares, _differences);
    }

    /// <summary>One plane, as many cells at once as the machine's registers hold.</summary>
    private static void Add(ReadOnlySpan<byte> now, ReadOnlySpan<byte> before, Span<ushort> sums, Span<int> squares,
        Span<ushort> differences)
    {
        int i = 0;
        for (int half = Vector<ushort>.Count, quarter = Vector<int>.Count; i <= now.Length - Vector<byte>.Count; i += Vector<byte>.Count)
        {
            var value = new Vector<byte>(now[i..]);
            var last = new Vector<byte>(before[i..]);
            Vector.Widen(value, out var low, out var high);
            Vector.Widen(Vector.Max(value, last) - Vector.Min(value, last), out var lowChange, out var highChange);
            (new Vector<ushort>(sums[i..]) + low).CopyTo(sums[i..]);
            (new Vector<ushort>(sums[(i + half)..]) + high).CopyTo(sums[(i + half)..]);
            (new Vector<ushort>(differences[i..]) + lowChange).CopyTo(differences[i..]);
            (new Vector<ushort>(differences[(i + half)..]) + highChange).CopyTo(differences[(i + half)..]);
            // The square of a byte fits into 16 bits.
            Square(low, squares[i..], quarter);
            Square(high, squares[(i + half)..], quarter);
        }
        for (; i < now.Length; i++)
        {
            sums[i] += now[i];
            squares[i] += now[i] * now[i];
            differences[i] += (ushort)Math.Abs(now[i] - before[i]);
        }

        static void Square(Vector<ushort> values, Span<int> squares, int quarter)
        {
            Vector.Widen(values * values, out var low, out var high);
            (new Vector<int>(squares) + Vector.AsVectorInt32(low)).CopyTo(squares);
            (new Vector<int>(squares[quarter..]) + Vector.AsVectorInt32(high)).CopyTo(squares[quarter..]);
        }
    }

    public void Read(in CellMaps maps)
    {
        float n = Count;
        for (int i = 0; i < _sums.Length; i++) maps.Means[i] = _sums[i] / n;
        for (int i = 0; i < cells; i++)
        {
            float variance = _squares[i] / n;
            for (int c = 0, k = i; c < 3; c++, k += cells) variance -= maps.Means[k] * maps.Means[k];
            maps.Spreads[i] = MathF.Sqrt(Math.Max(0, variance / 3));
            maps.Changes[i] = _differences[i] / (3 * n);
        }
        TensorPrimitives.Divide(_errors, n, maps.Errors);
    }

    public void Clear()
    {
        Count = 0;
        Array.Clear(_sums);
        Array.Clear(_squares);
        Array.Clear(_differences);
        Array.Clear(_errors);
    }
}
