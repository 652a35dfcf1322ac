namespace OutlierPipeline.Frames;

/// <summary>
/// Crops the centre of a picture to the target's aspect ratio and scales it by averaging areas, in integers: the same bits on every
/// machine.
/// Training and service both scale with this and nothing else. Keeps its tables from picture to picture; not thread-safe.
/// </summary>
internal sealed class AreaScaler(FrameSize target)
{
    private const int WeightBits = 14;
    private const int RowBits = 6;
    private readonly int[] _row = new int[target.Width * 3];
    private readonly int[] _sums = new int[target.Width * 3];
    private Axis _columns = new(0, 1, target.Width);
    private Axis _rows = new(0, 1, target.Height);
    private (int Width, int Height) _source;

    /// <summary>The part of a picture that is kept: the largest of the target's aspect ratio, in the centre.</summary>
    public static (int X, int Y, int Width, int Height) Crop(int width, int height, FrameSize target)
    {
        long byHeight = ((long)height * target.Width + target.Height / 2) / target.Height;
        if (byHeight <= width)
        {
            int kept = (int)Math.Max(1, byHeight);
            return ((width - kept) / 2, 0, kept, height);
        }
        int rows = (int)Math.Max(1, ((long)width * target.Height + target.Width / 2) / target.Width);
        rows = Math.Min(rows, height);
        return (0, (height - rows) / 2, width, rows);
    }

    /// <param name="picture">Upright.</param>
    /// <param name="rgb">Receives <c>[H, W, 3]</c> uint8, every byte of it.</param>
    public void Scale(in DecodedPicture picture, Span<byte> rgb)
    {
        var (width, height, channels) = (picture.Width, picture.Height, picture.Channels);
        int stride = width * channels;
        if (_source != (width, height))
        {
            var crop = Crop(width, height, target);
            _columns = new Axis(crop.X, crop.Width, target.Width);
            _rows = new Axis(crop.Y, crop.Height, target.Height);
            _source = (width, height);
        }
        int reduced = -1;
        for (int y = 0; y < target.Height; y++)
        {
            Array.Clear(_sums);
            var weights = _rows.Weights(y);
            for (int i = 0; i < weights.Length; i++)
            {
                int source = _rows.Start(y) + i;
                // Neighbouring target rows share the source row between them.
                if (source != reduced) ReduceRow(picture.Pixels.Slice(source * stride, width * channels), channels);
                reduced = source;
                Accumulate(_row, weights[i], _sums);
            }
            var output = rgb.Slice(y * target.Width * 3, target.Width * 3);
            for (int x = 0; x < output.Length; x++)
                output[x] = (byte)((_sums[x] + (1 << (2 * WeightBits - RowBits - 1))) >> (2 * WeightBits - RowBits));
        }
    }

    private static void Accumulate(ReadOnlySpan<int> row, int weight, Span<int> sums)
    {
        int x = 0;
        var factor = new System.Numerics.Vector<int>(weight);
        for (; x <= row.Length - System.Numerics.Vector<int>.Count; x += System.Numerics.Vector<int>.Count)
            (new System.Numerics.Vector<int>(sums[x..]) + new System.Numerics.Vector<int>(row[x..]) * factor).CopyTo(sums[x..]);
        for (; x < row.Length; x++) sums[x] += row[x] * weight;
    }

    private void ReduceRow(ReadOnlySpan<byte> source, int channels)
    {
        for (int x = 0, o = 0; x < target.Width; x++, o += 3)
        {
            var weights = _columns.Weights(x);
            int from = _columns.Start(x) * channels;
            int r = 0;
            int g = 0;
            int b = 0;
            for (int i = 0; i < weights.Length; i++, from += channels)
            {
                int weight = weights[i];
                r += source[from] * weight;
                g += source[from + 1] * weight;
                b += source[from + 2] * weight;
            }
            _row[o] = r >> RowBits;
            _row[o + 1] = g >> RowBits;
            _row[o + 2] = b >> RowBits;
        }
    }

    /// <summary>
    /// For each target pixel of one axis, the source pixels it covers and how much of each; the weights of a pixel sum to 2^14.
    /// </summary>
    private sealed class Axis
    {
        private readonly int[] _starts;
        private readonly int[][] _weights;

        public Axis(int offset, int source, int target)
        {
            _starts = new int[target];
            _weights = new int[target][];
            for (int i = 0; i < target; i++)
            {
                // In units of 1/target of a source pixel, so that everything is whole.
                long from = (long)i * source;
                long to = from + source;
                int first = (int)(from / target);
                int last = (int)((to - 1) / target);
                _starts[i] = offset + first;
                var weights = new int[last - first + 1];
                int sum = 0;
                for (int k = 0; k < weights.Length; k++)
                {
                    long covered = Math.Min(to, (first + k + 1L) * target) - Math.Max(from, (first + (long)k) * target);
                    weights[k] = (int)((covered << WeightBits) / source);
                    sum += weights[k];
                }
                weights[weights.Length / 2] += (1 << WeightBits) - sum;
                _weights[i] = weights;
            }
        }

        public int Start(int i) => _starts[i];

        public ReadOnlySpan<int> Weights(int i) => _weights[i];
    }
}
